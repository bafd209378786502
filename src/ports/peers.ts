// What one node asks another: the owner of a room, mostly.

import type { PeerAnswer, PeerRequest } from "../gen/trunkline/cluster/v1/peer_pb.js";
import { ErrorCode, TrunklineError } from "./error.js";
import type { ClusterNode } from "./placement.js";

export type PeerQuestion = PeerRequest["request"];
/** Never a refusal: that rejects. */
export type PeerReply = Exclude<PeerAnswer["answer"], { case: "refusal" }>;

/** Answers what other nodes ask; rejects with the refusal. Called in the order that each node asks in. */
export type PeerHandler = (question: PeerQuestion) => Promise<PeerReply>;

/** UNAVAILABLE, because a node could not be reached or did not answer: what was asked may have been done, and is asked again under the same key. */
export class Unanswered extends TrunklineError {
  constructor(message: string, retryAfterMs: number, cause?: unknown) {
    super(ErrorCode.UNAVAILABLE, message, { retryAfterMs, cause });
  }
}

export interface Peers {
  /**
   * Asks a node. What one node asks another arrives in the order of the calls, as long as nothing is lost between them. Rejects with the
   * node's refusal; with `Unanswered` where it cannot be reached, or does not answer within a few seconds; with UNAVAILABLE where too much
   * waits for its answers already, or this node is leaving: then nothing was asked.
   */
  ask(node: ClusterNode, question: PeerQuestion): Promise<PeerReply>;

  /** Ends the connections; what has no answer is refused. Idempotent. */
  stop(): void;
}
