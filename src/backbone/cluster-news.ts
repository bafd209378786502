// What the log says of the cluster: which nodes have come and gone, and how many shards this one has.

import type { Logger } from "../ops/log.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { ClusterNode, Placement } from "../ports/placement.js";

/** Shards change hands one after the other: they are counted once that is over, in milliseconds. */
const SETTLED_MS = 1_500;

export class ClusterNews {
  readonly #placement: Placement;
  readonly #logger: Logger;
  readonly #clock: Clock;
  #nodes: ReadonlyMap<string, ClusterNode> = new Map();
  #owned = 0;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(placement: Placement, logger: Logger, clock: Clock) {
    this.#placement = placement;
    this.#logger = logger;
    this.#clock = clock;
    placement.onChanged(() => this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }

  #look(): void {
    if (this.#stopped) return;
    const others = this.#placement.nodes().filter(({ nodeId }) => nodeId !== this.#placement.nodeId);
    const now = new Map(others.map((node) => [node.nodeId, node]));
    for (const [node, { address, leaving }] of now) {
      const before = this.#nodes.get(node);
      if (before === undefined) this.#logger.info({ node, address }, "another node is there");
      if (leaving && before?.leaving !== true) this.#logger.info({ node, address }, "another node is leaving");
    }
    for (const [node, { address }] of this.#nodes) {
      if (!now.has(node)) this.#logger.info({ node, address }, "another node is gone");
    }
    this.#nodes = now;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(SETTLED_MS, () => this.#count());
  }

  #count(): void {
    const { shards, nodeId } = this.#placement;
    let owned = 0;
    for (let shard = 0; shard < shards; shard++) if (this.#placement.ownerOf(shard)?.nodeId === nodeId) owned += 1;
    if (owned === this.#owned) return;
    this.#owned = owned;
    this.#logger.info({ owned, of: shards }, "shards of this node");
  }
}
