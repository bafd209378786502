// Rendezvous hashing: every node finds the same owner for a shard, and a node that comes or goes moves only its own share.

import { createHash } from "node:crypto";

/** Nodes whose weights are remembered, at most: more than a cluster has, and few beside the weights of those that have gone. */
const MOST_NODES = 1_000;

export class Rendezvous {
  /** By node, for the shards that were asked for: each round asks for the same ones again. */
  readonly #weights = new Map<string, Map<number, number>>();

  /** Which of the nodes is to own the shard; undefined: there is none. */
  owner(shard: number, nodeIds: Iterable<string>): string | undefined {
    let best: string | undefined;
    let highest = -1;
    for (const nodeId of nodeIds) {
      const weight = this.#weight(shard, nodeId);
      if (weight > highest || (weight === highest && nodeId > (best ?? ""))) {
        best = nodeId;
        highest = weight;
      }
    }
    return best;
  }

  #weight(shard: number, nodeId: string): number {
    let ofNode = this.#weights.get(nodeId);
    if (ofNode === undefined) {
      if (this.#weights.size >= MOST_NODES) this.#weights.clear();
      ofNode = new Map();
      this.#weights.set(nodeId, ofNode);
    }
    let weight = ofNode.get(shard);
    if (weight === undefined) {
      weight = createHash("sha256").update(`${shard}/${nodeId}`).digest().readUIntBE(0, 6);
      ofNode.set(shard, weight);
    }
    return weight;
  }
}
