// Which shards have another owner than a moment ago, as far as this node knows.

import type { Placement } from "../../ports/placement.js";

/** Calls `found` with the shards whose owner is not the one that was there when placement said something last, also where it had gone meanwhile. */
export function watchOwners(
  placement: Pick<Placement, "shards" | "ownerOf" | "onChanged">,
  found: (shards: ReadonlySet<number>) => void,
): void {
  const known = new Map<number, string>();
  placement.onChanged(() => {
    const changed = new Set<number>();
    for (let shard = 0; shard < placement.shards; shard++) {
      const owner = placement.ownerOf(shard)?.nodeId;
      if (owner !== undefined && owner !== known.get(shard)) changed.add(shard);
      if (owner === undefined) known.delete(shard);
      else known.set(shard, owner);
    }
    if (changed.size > 0) found(changed);
  });
}
