// What one node asks another: the owner of a room, mostly.

import type { PeerAnswer, PeerRequest } from "../gen/trunkline/cluster/v1/peer_pb.js";
import type { ClusterNode } from "./placement.js";

export type PeerQuestion = PeerRequest["request"];
/** Never a refusal: that rejects. */
export type PeerReply = Exclude<PeerAnswer["answer"], { case: "refusal" }>;

/** Answers what other nodes ask; rejects with the refusal. Called in the order that each node asks in. */
export type PeerHandler = (question: PeerQuestion) => Promise<PeerReply>;

export interface Peers {
  /**
   * Asks a node. What one node asks another arrives in the order of the calls, as long as nothing is lost between them. Rejects with the
   * node's refusal; with UNAVAILABLE where it cannot be reached, or does not answer within a few seconds: what was asked may have been
   * done then, and is asked again under the same key.
   */
  ask(node: ClusterNode, question: PeerQuestion): Promise<PeerReply>;

  /** Ends the connections; what has no answer is refused. Idempotent. */
  stop(): void;
}
