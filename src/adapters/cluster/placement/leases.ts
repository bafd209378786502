// The leases on shards, which all nodes of a cluster share: one store says whose each is and when it is over.

import type { ClusterNode } from "../../../ports/placement.js";

/** How long a lease holds without being renewed, in rounds. */
export const LEASE_ROUNDS = 3;
/** How long a node is known without saying that it lives, in rounds. */
export const NODE_ROUNDS = 5;

/** What becomes of a node: it stays; takes nothing more, because it is about to go or cannot write; or has gone, and its leases with it. */
export type NodeStatus = "stays" | "leaves" | "unable" | "gone";

/** What a node says once in each round, and asks for. Saying it twice changes nothing more than saying it once. */
export interface Round {
  readonly node: Omit<ClusterNode, "leaving">;
  /** What it can fold. */
  readonly level: number;
  readonly status: NodeStatus;
  /** Shards that it gives up. */
  readonly released: readonly number[];
  /** Shards whose leases it wants or renews. */
  readonly asked: readonly number[];
  /** Shards that need a higher level than the node's. */
  readonly declined: readonly number[];
}

/** How things stand after a round. */
export interface Standing {
  /** Whether the node was known to live. */
  readonly known: boolean;
  /** The live nodes, each with its level. */
  readonly nodes: readonly { readonly node: ClusterNode; readonly level: number }[];
  /** By shard, whose lease holds. */
  readonly owners: ReadonlyMap<number, string>;
  /** By shard, the level that a node needs to own it, where some node was below it. */
  readonly needed: ReadonlyMap<number, number>;
}

export interface Leases {
  /** How often a node says that it lives, in milliseconds. */
  readonly roundMs: number;

  /** Rejects where the store is not reachable; the round may have been done all the same. */
  round(round: Round): Promise<Standing>;

  /** Which of the nodes is to own the shard, the same whichever node asks; undefined: there is none. */
  dueTo(shard: number, nodeIds: readonly string[]): string | undefined;

  /** Tells all nodes that one has come, gone, or given something up or taken it. Never rejects. */
  notify(): Promise<void>;

  /** Calls the listener when that is said, or may have been said and was not heard. Resolves with what ends it. */
  onNotified(listener: () => void): Promise<() => void>;
}
