// Nodes of one process that ask each other, for tests: as bytes, in order, over ways that can be slow or cut.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type PeerAnswer,
  PeerAnswerSchema,
  type PeerRequest,
  PeerRequestSchema,
} from "../../src/gen/trunkline/cluster/v1/peer_pb.js";
import type { Clock, Timer } from "../../src/ports/clock.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { type PeerHandler, type PeerQuestion, type PeerReply, type Peers, Unanswered } from "../../src/ports/peers.js";
import type { ClusterNode } from "../../src/ports/placement.js";

/** Longest wait for an answer, in milliseconds. */
const ANSWER_DEADLINE_MS = 5_000;

/** Where all nodes find each other. */
export class MemoryPeerNetwork {
  /** A message on its way from one node to another, a question or an answer: may take its time; a rejection loses it, and says so. */
  way: (from: string, to: string) => Promise<void> = async () => {};
  readonly #handlers = new Map<string, PeerHandler>();

  /** What the node asks others. */
  node(nodeId: string, clock: Clock): MemoryPeers {
    return new MemoryPeers(this, nodeId, clock);
  }

  /** The node is there and answers. */
  serve(nodeId: string, handler: PeerHandler): void {
    this.#handlers.set(nodeId, handler);
  }

  /** The node is gone: nobody reaches it any more. */
  end(nodeId: string): void {
    this.#handlers.delete(nodeId);
  }

  handlerOf(nodeId: string): PeerHandler {
    const handler = this.#handlers.get(nodeId);
    if (handler === undefined) throw new Unanswered(`the node ${nodeId} is not reachable`, 200);
    return handler;
  }
}

interface Waiting {
  readonly timer: Timer;
  reject(error: TrunklineError): void;
}

export class MemoryPeers implements Peers {
  readonly #network: MemoryPeerNetwork;
  readonly #nodeId: string;
  readonly #clock: Clock;
  /** The last question on its way to each node: the next one comes after it. */
  readonly #ways = new Map<string, Promise<void>>();
  readonly #waiting = new Set<Waiting>();
  #stopped = false;

  constructor(network: MemoryPeerNetwork, nodeId: string, clock: Clock) {
    this.#network = network;
    this.#nodeId = nodeId;
    this.#clock = clock;
  }

  ask({ nodeId }: ClusterNode, question: PeerQuestion): Promise<PeerReply> {
    if (this.#stopped) return Promise.reject(unavailable("the node is leaving"));
    const bytes = toBinary(PeerRequestSchema, create(PeerRequestSchema, { request: question }));
    const asked = this.#arrive(nodeId).then(async () => {
      const request = fromBinary(PeerRequestSchema, bytes);
      const answer = await answerTo(this.#network.handlerOf(nodeId), request);
      await this.#network.way(nodeId, this.#nodeId).catch(lost);
      return replyOf(fromBinary(PeerAnswerSchema, answer));
    });
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(ANSWER_DEADLINE_MS, () => {
        this.#waiting.delete(waiting);
        reject(new Unanswered("the room's owner does not answer; retry with the same key", 200));
      });
      const waiting: Waiting = { timer, reject };
      this.#waiting.add(waiting);
      const settled = (): void => {
        timer.cancel();
        this.#waiting.delete(waiting);
      };
      asked.finally(settled).then(resolve, reject);
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer, reject } of this.#waiting) {
      timer.cancel();
      reject(unavailable("the node is leaving"));
    }
    this.#waiting.clear();
  }

  /** Resolves when the next question arrives: after those before it, also where one of them was lost. */
  #arrive(nodeId: string): Promise<void> {
    const before = this.#ways.get(nodeId) ?? Promise.resolve();
    const way = this.#network.way(this.#nodeId, nodeId).catch(lost);
    const arrived = before.then(
      () => way,
      () => way,
    );
    // Whoever asks is told of a loss; whoever comes after only waits.
    arrived.catch(ignore);
    way.catch(ignore);
    this.#ways.set(nodeId, arrived);
    return arrived;
  }
}

async function answerTo(handler: PeerHandler, { request }: PeerRequest): Promise<Uint8Array> {
  try {
    return toBinary(PeerAnswerSchema, create(PeerAnswerSchema, { answer: await handler(request) }));
  } catch (error) {
    if (!(error instanceof TrunklineError)) throw error;
    const { code, message, field, details, retryAfterMs } = error;
    const refusal = { code, message, field, details, retryable: error.retryable, retryAfterMs };
    return toBinary(PeerAnswerSchema, create(PeerAnswerSchema, { answer: { case: "refusal", value: refusal } }));
  }
}

function replyOf({ answer }: PeerAnswer): PeerReply {
  if (answer.case !== "refusal") return answer;
  const { code, message, field, details, retryAfterMs } = answer.value;
  throw new TrunklineError(code, message, { field, details, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}

function lost(cause: unknown): never {
  throw new Unanswered("the way to the node is cut", 200, cause);
}

function unavailable(message: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: 200 });
}

function ignore(): void {}
