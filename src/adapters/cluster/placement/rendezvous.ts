// Rendezvous hashing: every node finds the same owner for a shard, and a node that comes or goes moves only its own share.

import { createHash } from "node:crypto";

/** Which of the nodes is to own the shard; undefined: there is none. */
export function rendezvous(shard: number, nodeIds: Iterable<string>): string | undefined {
  let best: string | undefined;
  let highest = -1;
  for (const nodeId of nodeIds) {
    const weight = createHash("sha256").update(`${shard}/${nodeId}`).digest().readUIntBE(0, 6);
    if (weight > highest || (weight === highest && nodeId > (best ?? ""))) {
      best = nodeId;
      highest = weight;
    }
  }
  return best;
}
