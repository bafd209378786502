// The connection to one other node: a stream of questions, and the answers to them in any order.

import { create, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientDuplexStream, Metadata } from "@grpc/grpc-js";
import {
  type PeerAnswer,
  type PeerAnswers,
  PeerRequestSchema,
  type PeerRequests,
  PeerService,
} from "../../gen/trunkline/cluster/v1/peer_pb.js";
import type { Error as WireError } from "../../gen/trunkline/v1/error_pb.js";
import type { Clock, Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type PeerQuestion, type PeerReply, Unanswered } from "../../ports/peers.js";
import { serviceDefinition } from "../../rpc/definition.js";
import { Gathered } from "../../rpc/gathered.js";
import { type ClientTls, clientCredentials } from "../../rpc/tls.js";

/** Longest wait for an answer, in milliseconds; looked at so often. */
const ANSWER_DEADLINE_MS = 5_000;
const SWEEP_MS = 250;
/** Questions without an answer, at most, and their bytes. */
const MAX_WAITING = 20_000;
const MAX_WAITING_BYTES = 64 * 1024 * 1024;
/** Bytes that a stream may have on its way: a page of history must not wait for the acknowledgement of every 64 KiB. */
const WINDOW_BYTES = 4 * 1024 * 1024;
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;
const KEEPALIVE_MS = 2_000;
const KEEPALIVE_TIMEOUT_MS = 2_000;
const RETRY_AFTER_MS = 200;

export interface PeerLinkOptions {
  /** `host:port` */
  readonly address: string;
  readonly tls: ClientTls | undefined;
  /** What nodes show each other. */
  readonly secret: string;
  readonly clock: Clock;
  /** The other node cannot be asked; undefined: it answers again. Told once of each. */
  readonly onTurn?: (away: { readonly cause: unknown } | undefined) => void;
}

interface Waiting {
  /** Monotonic. */
  readonly dueMs: number;
  readonly bytes: number;
  resolve(reply: PeerReply): void;
  reject(error: TrunklineError): void;
}

/** One stream of questions. */
interface Asking {
  readonly call: ClientDuplexStream<PeerRequests | Uint8Array, PeerAnswers>;
  readonly questions: Gathered;
}

export class PeerLink {
  readonly #options: PeerLinkOptions;
  readonly #client: Client;
  /** In the order they were asked, and so in that of their deadlines. */
  readonly #waiting = new Map<number, Waiting>();
  #waitingBytes = 0;
  #stream: Asking | undefined;
  #lastId = 0;
  #sweep: Timer | undefined;
  #closed = false;
  #away = false;

  constructor(options: PeerLinkOptions) {
    this.#options = options;
    this.#client = new Client(options.address, clientCredentials(options.address, options.tls), {
      "grpc.keepalive_time_ms": KEEPALIVE_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.initial_reconnect_backoff_ms": 100,
      "grpc.max_reconnect_backoff_ms": 1_000,
      "grpc.max_receive_message_length": MAX_MESSAGE_BYTES,
      "grpc-node.flow_control_window": WINDOW_BYTES,
      "grpc.use_local_subchannel_pool": 1,
      "grpc.enable_channelz": 0,
    });
  }

  ask(question: PeerQuestion): Promise<PeerReply> {
    if (this.#closed) return Promise.reject(unavailable("the node is leaving"));
    this.#lastId = (this.#lastId + 1) >>> 0;
    const id = this.#lastId;
    const encoded = toBinary(PeerRequestSchema, create(PeerRequestSchema, { id, request: question }));
    const bytes = encoded.length;
    if (this.#waiting.size >= MAX_WAITING || this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      return Promise.reject(unavailable("the room's owner is behind"));
    }
    const { questions } = this.#stream ?? this.#connect();
    const { clock } = this.#options;
    const answered = new Promise<PeerReply>((resolve, reject) => {
      this.#waiting.set(id, { dueMs: clock.monotonic() + ANSWER_DEADLINE_MS, bytes, resolve, reject });
    });
    this.#waitingBytes += bytes;
    // What waits to be written is bounded with the questions.
    questions.add(encoded);
    this.#arm();
    return answered;
  }

  close(): void {
    this.#closed = true;
    this.#sweep?.cancel();
    this.#drop(this.#stream, unanswered("the room's owner has gone"));
    this.#client.close();
  }

  #connect(): Asking {
    const { path, requestSerialize, responseDeserialize } = serviceDefinition(PeerService).connect;
    const metadata = new Metadata();
    metadata.set("authorization", `Peer ${this.#options.secret}`);
    const call = this.#client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const questions = new Gathered(this.#options.clock, (frame) => call.write(frame));
    const stream = { call, questions };
    call.on("data", ({ answers }: PeerAnswers) => {
      this.#turn(undefined);
      for (const answer of answers) this.#answered(answer);
    });
    call.on("error", (cause: unknown) => {
      this.#turn({ cause });
      this.#drop(stream, unanswered("the room's owner is not reachable", cause));
    });
    call.on("end", () => this.#drop(stream, unanswered("the room's owner is leaving")));
    this.#stream = stream;
    return stream;
  }

  #answered({ id, answer }: PeerAnswer): void {
    const waiting = this.#forget(id);
    if (waiting === undefined) return;
    if (answer.case === "refusal") waiting.reject(refusalOf(answer.value));
    else waiting.resolve(answer);
  }

  #forget(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id);
    if (waiting !== undefined && this.#waiting.delete(id)) this.#waitingBytes -= waiting.bytes;
    return waiting;
  }

  #turn(away: { readonly cause: unknown } | undefined): void {
    if (this.#closed || this.#away === (away !== undefined)) return;
    this.#away = away !== undefined;
    this.#options.onTurn?.(away);
  }

  /** The stream is over: nobody knows what became of what was asked on it. */
  #drop(stream: Asking | undefined, error: TrunklineError): void {
    if (stream === undefined || this.#stream !== stream) return;
    this.#stream = undefined;
    stream.questions.end();
    stream.call.cancel();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    this.#waitingBytes = 0;
    for (const { reject } of waiting) reject(error);
  }

  #arm(): void {
    this.#sweep ??= this.#options.clock.after(SWEEP_MS, () => {
      this.#sweep = undefined;
      const nowMs = this.#options.clock.monotonic();
      for (const [id, { dueMs, reject }] of this.#waiting) {
        if (dueMs > nowMs) break;
        this.#forget(id);
        reject(unanswered("the room's owner does not answer; retry with the same key"));
      }
      if (this.#waiting.size > 0 && !this.#closed) this.#arm();
    });
  }
}

function refusalOf({ code, message, retryAfterMs, field, details }: WireError): TrunklineError {
  return new TrunklineError(code, message, { field, details, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

function unavailable(message: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: RETRY_AFTER_MS });
}

function unanswered(message: string, cause?: unknown): TrunklineError {
  return new Unanswered(message, RETRY_AFTER_MS, cause);
}
