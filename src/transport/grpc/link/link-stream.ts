// One link: the sessions of one bridge, over one bidirectional stream.

import { create, toBinary } from "@bufbuild/protobuf";
import type { ServerDuplexStream, StatusObject } from "@grpc/grpc-js";
import type { Relayed, Resumable, SessionPort } from "../../../core/session/port.js";
import { CloseCode, type Error as WireError } from "../../../gen/trunkline/v1/error_pb.js";
import {
  type LinkDown,
  LinkDownSchema,
  type LinkOpen,
  type LinkTaken,
  LinkTransport,
  type LinkUp,
  type LinkUpItem,
} from "../../../gen/trunkline/v1/link_pb.js";
import type { Timer } from "../../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import { Undecodable } from "../../../rpc/definition.js";
import { decodeFrame, RefusedFrame } from "../frame-decoder.js";
import { type HandlerContext, undecodable } from "../handler.js";
import { http2StreamOf, letGoOnceReset } from "../http2-stream.js";
import { GRPC_ENCODING } from "../session-stream.js";
import { LinkBatch } from "./batch.js";
import { LinkRelays, type RelayingLink } from "./link-relays.js";
import { type Ending, LinkedSession, type SessionLink, WINDOW_BYTES } from "./linked-session.js";

export type LinkCall = ServerDuplexStream<LinkUp | Undecodable, LinkDown | Uint8Array>;

/** A batch is written before the turn ends once it is so long, in bytes: who reads it is not held up for longer. */
const BATCH_BYTES = 256 * 1024;
/** Bytes that grpc-js may hold for a bridge that reads slowly; beyond, every session waits in its own, bounded outbox. */
const WRITE_AHEAD_BYTES = 1024 * 1024;
/** Sessions of one link, at most: more than one process can hold connections for. */
const MAX_SESSIONS = 100_000;
const FULL_RETRY_MS = 5_000;
/** From the stream's beginning to hello, in milliseconds. */
const HELLO_DEADLINE_MS = 10_000;
/** Longest name of a bridge, and longest address or token of a client, in UTF-16 units. */
const MAX_NAME = 128;
const MAX_ADDRESS = 128;
const MAX_TOKEN = 16 * 1024;

export interface LinkContext extends HandlerContext {
  readonly sessions: SessionPort;
  /** The longest frame of a client that is handled, in bytes. */
  readonly maxFrameBytes: number;
  /** Reports what ends a link, and says it for the peer. */
  readonly refuse: (error: unknown) => StatusObject;
}

export class LinkStream implements SessionLink, RelayingLink {
  readonly #call: LinkCall;
  readonly #context: LinkContext;
  readonly #onOver: () => void;
  readonly encoding = GRPC_ENCODING;
  readonly #sessions = new Map<number, LinkedSession>();
  readonly #relays = new LinkRelays(this);
  /** Those that wait for the stream to take more. */
  #waiting = new Set<Resumable>();
  readonly #deadline: Timer;
  #batch = new LinkBatch();
  #asked = false;
  #aheadBytes = 0;
  #full = false;
  /** What its bridge calls itself; undefined: it has not said. */
  #bridge: string | undefined;
  /** The greatest number given to a session. */
  #lastNumber = 0;
  #over = false;

  /** `onOver` is called once, when the stream has ended. */
  constructor(call: LinkCall, context: LinkContext, onOver: () => void) {
    this.#call = call;
    this.#context = context;
    this.#onOver = onOver;
    const over = (): void => this.#end();
    call.once("cancelled", over).once("error", over).once("close", over);
    letGoOnceReset(http2StreamOf(call));
    this.#deadline = context.clock.after(HELLO_DEADLINE_MS, () =>
      this.fail(context.refuse(new TrunklineError(ErrorCode.DEADLINE, "no hello came in time"))),
    );
    call.on("data", (up: LinkUp | Undecodable) => this.#read(up));
    call.on("end", () => {
      this.#end();
      call.end();
    });
  }

  /** Sessions on it. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Ends the stream. What waits to be written is written; sessions that are left have lost their connection. */
  close(): void {
    if (this.#over) return;
    this.#flush();
    this.#end();
    this.#call.end();
  }

  /** Ends the stream with an error. */
  fail(status: StatusObject): void {
    if (this.#over) return;
    this.#end();
    this.#call.emit("error", status);
  }

  // — what sessions ask of it —

  get batch(): LinkBatch {
    if (this.#batch.bytes > BATCH_BYTES) this.#flush();
    this.#flushSoon();
    return this.#batch;
  }

  get full(): boolean {
    return this.#full;
  }

  wait(waiting: Resumable): void {
    if (!this.#over) this.#waiting.add(waiting);
  }

  openRelay(): number {
    return this.#relays.open();
  }

  relay(relay: number, frame: Uint8Array, sent: number): void {
    if (!this.#over) this.batch.relay(frame, relay, sent);
  }

  attach(relayed: Relayed, relay: number, sent: number): number {
    return this.#relays.attach(relayed, relay, sent);
  }

  detach(attachment: number): void {
    this.#relays.detach(attachment);
  }

  sessionOf(number: number): LinkedSession | undefined {
    return this.#sessions.get(number);
  }

  ended({ number: session }: LinkedSession, ending: Ending): void {
    if (this.#forget(session) !== undefined) this.batch.end({ session, ...ending });
  }

  // — what the bridge says —

  #read(up: LinkUp | Undecodable): void {
    try {
      if (up instanceof Undecodable) throw undecodable(up);
      for (const item of up.items) {
        if (this.#over) return;
        this.#take(item);
      }
    } catch (error) {
      this.fail(this.#context.refuse(error));
    }
  }

  #take({ item }: LinkUpItem): void {
    if (this.#bridge === undefined) {
      if (item.case !== "hello") throw TrunklineError.invalid(item.case ?? "item", "the first item must be hello");
      this.#greet(item.value.bridge);
      return;
    }
    switch (item.case) {
      case "open":
        this.#open(item.value);
        return;
      case "frame":
        this.#receive(item.value.session, item.value.frame);
        return;
      case "malformed": {
        const { session, error, undecodable: broken, ref } = item.value;
        this.#sessions.get(session)?.connection?.malformed(errorOf(error), broken, ref === 0 ? undefined : ref);
        return;
      }
      case "taken":
        this.#taken(item.value);
        return;
      case "finish": {
        const { session, reconnectAfterMs } = item.value;
        const connection = this.#sessions.get(session)?.connection;
        if (reconnectAfterMs === undefined) connection?.finish();
        else connection?.leave(reconnectAfterMs);
        return;
      }
      case "left":
        this.#relays.left(item.value);
        return;
      case "gone":
        this.#forget(item.value.session)?.gone(item.value.clean);
        return;
      case "hello":
        throw TrunklineError.invalid("hello", "it was said already");
      case undefined:
        throw TrunklineError.invalid("item", "nothing that this server knows is set");
    }
  }

  #greet(bridge: string): void {
    if (bridge === "" || bridge.length > MAX_NAME) {
      throw TrunklineError.invalid("hello.bridge", `must be 1 to ${MAX_NAME} characters`);
    }
    this.#bridge = bridge;
    this.#deadline.cancel();
    this.#context.telemetry.emit("link.turned", { peer: bridge, up: true, sessions: 0 });
    const welcome = { windowBytes: WINDOW_BYTES, maxFrameBytes: this.#context.maxFrameBytes };
    this.#write(toBinary(LinkDownSchema, create(LinkDownSchema, { welcome })));
  }

  #open({ session: number, address, token, transport: how }: LinkOpen): void {
    if (number <= this.#lastNumber) throw TrunklineError.invalid("open.session", "must be greater than any before");
    if (address.length > MAX_ADDRESS) throw TrunklineError.tooLarge("open.address", MAX_ADDRESS);
    if (token.length > MAX_TOKEN) throw TrunklineError.tooLarge("open.token", MAX_TOKEN);
    this.#lastNumber = number;
    const { sessions, telemetry } = this.#context;
    const transport = how === LinkTransport.EVENTS ? "events" : "websocket";
    const full = this.#sessions.size >= MAX_SESSIONS;
    const admission = full ? { admitted: false as const, retryAfterMs: FULL_RETRY_MS } : sessions.admit();
    if (!admission.admitted) {
      const reason = "the server takes no more connections now";
      telemetry.emit("session.refused", { transport, code: CloseCode.OVERLOADED, reason });
      const retryAfterMs = Math.ceil(admission.retryAfterMs);
      this.batch.end({ session: number, code: CloseCode.OVERLOADED, reason, retryAfterMs });
      return;
    }
    const session = new LinkedSession(this, number);
    this.#sessions.set(number, session);
    session.start(sessions.accept(session, { transport, address, ...(token === "" ? {} : { token }) }));
  }

  #receive(number: number, bytes: Uint8Array): void {
    const connection = this.#sessions.get(number)?.connection;
    if (connection === undefined) return;
    const frame = decodeFrame(bytes, this.#context.maxFrameBytes);
    if (frame instanceof RefusedFrame) connection.malformed(frame.error, frame.undecodable, frame.ref);
    else connection.receive(frame);
  }

  #taken({ sessions, bytes }: LinkTaken): void {
    if (sessions.length !== bytes.length) throw TrunklineError.invalid("taken.bytes", "as many as sessions");
    for (const [index, number] of sessions.entries()) {
      const known = this.#sessions.get(number);
      if (known?.taken(bytes[index] ?? 0) === false) {
        throw TrunklineError.invalid("taken.bytes", "more than was under way");
      }
    }
  }

  // — the stream —

  #flushSoon(): void {
    if (this.#asked) return;
    this.#asked = true;
    this.#context.clock.soon(() => {
      this.#asked = false;
      this.#flush();
    });
  }

  #flush(): void {
    const batch = this.#batch;
    if (batch.empty || this.#over) return;
    this.#batch = new LinkBatch();
    this.#write(batch.encode());
  }

  #write(bytes: Uint8Array): void {
    this.#aheadBytes += bytes.length;
    this.#call.write(bytes, () => this.#written(bytes.length));
    this.#full ||= this.#aheadBytes >= WRITE_AHEAD_BYTES;
  }

  #written(bytes: number): void {
    this.#aheadBytes -= bytes;
    // Half of it, so that the stream does not run dry while sessions are told.
    if (!this.#full || this.#over || this.#aheadBytes > WRITE_AHEAD_BYTES / 2) return;
    this.#full = false;
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    let told = 0;
    while (told < waiting.length && !this.#full) waiting[told++]?.resume();
    // Filled again: who has not had a turn waits ahead of who has.
    if (told < waiting.length) this.#waiting = new Set([...waiting.slice(told), ...this.#waiting]);
  }

  #forget(number: number): LinkedSession | undefined {
    const session = this.#sessions.get(number);
    if (session === undefined) return undefined;
    this.#sessions.delete(number);
    this.#waiting.delete(session);
    return session;
  }

  #end(): void {
    if (this.#over) return;
    this.#over = true;
    this.#deadline.cancel();
    const sessions = [...this.#sessions.values()];
    this.#sessions.clear();
    this.#waiting.clear();
    for (const session of sessions) session.gone(false);
    if (this.#bridge !== undefined) {
      this.#context.telemetry.emit("link.turned", { peer: this.#bridge, up: false, sessions: sessions.length });
    }
    this.#onOver();
  }
}

function errorOf(error: WireError | undefined): TrunklineError {
  if (error === undefined) return TrunklineError.invalid("frame", "not valid");
  const { code, message, field, details } = error;
  // What a client's frame was refused for, as the bridge has found it; a code that makes no sense here is none of the client's business.
  const known = code === ErrorCode.TOO_LARGE ? code : ErrorCode.INVALID_ARGUMENT;
  return new TrunklineError(known, message, { field, details });
}
