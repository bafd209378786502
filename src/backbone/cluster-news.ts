// What a node knows of the others and says: which have come and gone, which cannot be asked, and how many shards this one has.

import type { Telemetry } from "../core/telemetry.js";
import type { Logger } from "../ops/log.js";
import type { Clock, Timer } from "../ports/clock.js";
import type { ClusterNode, Placement } from "../ports/placement.js";
import { reasonOf } from "./dependency.js";

/** Shards change hands one after the other: they are counted once that is over, in milliseconds. */
const SETTLED_MS = 1_500;
/** A node that was killed and comes back at its address is known twice for less than this, in milliseconds. */
const DOUBLE_MS = 10_000;
/** A node that has died is known for less than this, in milliseconds: who cannot be asked for longer lives, and is not reached. */
const DYING_MS = 6_000;

/** Another node that lives and cannot be asked. */
export interface UnreachedNode {
  readonly node: ClusterNode;
  /** Why not, in words for an operator. */
  readonly reason: string;
}

export class ClusterNews {
  readonly #placement: Placement;
  readonly #logger: Logger;
  readonly #telemetry: Telemetry;
  readonly #clock: Clock;
  #nodes: ReadonlyMap<string, ClusterNode> = new Map();
  #owned = 0;
  #timer: Timer | undefined;
  #doubleTimer: Timer | undefined;
  /** Nodes that cannot be asked, by id; with a timer, where nobody was told yet. */
  readonly #away = new Map<string, UnreachedNode & { readonly timer: Timer | undefined }>();
  #stopped = false;

  constructor(placement: Placement, logger: Logger, clock: Clock, telemetry: Telemetry) {
    this.#placement = placement;
    this.#logger = logger;
    this.#telemetry = telemetry;
    this.#clock = clock;
    placement.onChanged(() => this.#look());
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#doubleTimer?.cancel();
    for (const { timer } of this.#away.values()) timer?.cancel();
    this.#away.clear();
  }

  /** Those that live and have not answered for a while, by id. */
  get unreached(): readonly UnreachedNode[] {
    return [...this.#away.values()]
      .filter(({ timer }) => timer === undefined)
      .sort((one, other) => (one.node.nodeId < other.node.nodeId ? -1 : 1));
  }

  /** Another node cannot be asked, or answers again. */
  turned(node: ClusterNode, away: { readonly cause: unknown } | undefined): void {
    if (this.#stopped) return;
    const { nodeId, address } = node;
    const told = this.#forget(nodeId);
    if (away === undefined) {
      if (told) this.#logger.info({ node: nodeId, address }, "another node answers again");
      return;
    }
    const reason = reasonOf(away.cause);
    const timer = this.#clock.after(DYING_MS, () => {
      if (!this.#placement.nodes().some((live) => live.nodeId === nodeId)) return void this.#forget(nodeId);
      this.#away.set(nodeId, { node, reason, timer: undefined });
      this.#telemetry.emit("peer.turned", { nodeId, away: true });
      this.#logger.error(
        { node: nodeId, address, reason },
        "another node cannot be asked: what is for its rooms is refused here",
      );
    });
    this.#away.set(nodeId, { node, reason, timer });
  }

  /** Whether it was told that the node cannot be asked. */
  #forget(nodeId: string): boolean {
    const away = this.#away.get(nodeId);
    if (away === undefined) return false;
    this.#away.delete(nodeId);
    away.timer?.cancel();
    const told = away.timer === undefined;
    if (told) this.#telemetry.emit("peer.turned", { nodeId, away: false });
    return told;
  }

  #look(): void {
    if (this.#stopped) return;
    const others = this.#placement.nodes().filter(({ nodeId }) => nodeId !== this.#placement.nodeId);
    const now = new Map(others.map((node) => [node.nodeId, node]));
    for (const [node, { address, leaving }] of now) {
      const before = this.#nodes.get(node);
      if (before === undefined) this.#logger.info({ node, address }, "another node is there");
      if (leaving && before?.leaving !== true)
        this.#logger.info({ node, address }, "another node takes no more shards");
    }
    for (const [node, { address }] of this.#nodes) {
      if (now.has(node)) continue;
      this.#forget(node);
      this.#logger.info({ node, address }, "another node is gone");
    }
    this.#nodes = now;
    this.#timer?.cancel();
    this.#timer = this.#clock.after(SETTLED_MS, () => this.#count());
    if (this.#double() === undefined) {
      this.#doubleTimer?.cancel();
      this.#doubleTimer = undefined;
    } else {
      this.#doubleTimer ??= this.#clock.after(DOUBLE_MS, () => this.#tellDouble());
    }
  }

  /** Another node at this one's address. */
  #double(): ClusterNode | undefined {
    const own = this.#placement.nodes().find(({ nodeId }) => nodeId === this.#placement.nodeId);
    return [...this.#nodes.values()].find(({ address }) => address === own?.address);
  }

  #tellDouble(): void {
    const double = this.#double();
    if (double === undefined) return;
    const { nodeId: node, address } = double;
    this.#logger.error(
      { node, address },
      "another node says that it is at this one's address: one of the two is wrong",
    );
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
