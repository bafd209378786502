// What a node knows of the others, as of its last round: who is there, whose each shard is, and who is to have it.

import type { ClusterNode } from "../../../ports/placement.js";
import type { Leases, Standing } from "./leases.js";

export interface KnownClusterOptions {
  readonly leases: Pick<Leases, "dueTo">;
  /** What this node can fold. */
  readonly level: number;
}

export class KnownCluster {
  readonly #options: KnownClusterOptions;
  readonly #nodes = new Map<string, ClusterNode>();
  /** Since when each node has been known to take shards, monotonic. */
  #seen = new Map<string, number>();
  readonly #owners = new Map<number, string>();
  /** The level of each node. */
  readonly #levels = new Map<string, number>();
  #level: number;
  /** Of shards that some node was too old for: what it takes at least to own them. */
  readonly #needed = new Map<number, number>();

  constructor(options: KnownClusterOptions) {
    this.#options = options;
    this.#level = options.level;
  }

  get nodes(): readonly ClusterNode[] {
    return [...this.#nodes.values()].sort((one, other) => (one.nodeId < other.nodeId ? -1 : 1));
  }

  /** The level that every node has. */
  get level(): number {
    return this.#level;
  }

  /** How many shards this node is too old for. */
  get tooNew(): number {
    return [...this.#needed.values()].filter((level) => level > this.#options.level).length;
  }

  /** Whose lease on the shard holds. */
  holderOf(shard: number): string | undefined {
    return this.#owners.get(shard);
  }

  /** The same; undefined also where it is not known to live. */
  ownerOf(shard: number): ClusterNode | undefined {
    const nodeId = this.#owners.get(shard);
    return nodeId === undefined ? undefined : this.#nodes.get(nodeId);
  }

  /** Who is to own the shard; undefined: there is none that can. */
  dueTo(shard: number): string | undefined {
    const needed = this.#needed.get(shard) ?? 0;
    const able = [...this.#nodes.values()].filter(
      ({ nodeId, leaving }) => !leaving && (this.#levels.get(nodeId) ?? 0) >= needed,
    );
    return this.#options.leases.dueTo(
      shard,
      able.map(({ nodeId }) => nodeId),
    );
  }

  /** Since when the node has been known to take shards, monotonic; undefined: it has not. */
  takesSinceMs(nodeId: string): number | undefined {
    return this.#seen.get(nodeId);
  }

  learn({ nodes, owners, needed }: Standing, nowMs: number): void {
    const seen = new Map<string, number>();
    this.#nodes.clear();
    this.#levels.clear();
    for (const { node, level } of nodes) {
      this.#nodes.set(node.nodeId, node);
      this.#levels.set(node.nodeId, level);
      seen.set(node.nodeId, node.leaving ? nowMs : (this.#seen.get(node.nodeId) ?? nowMs));
    }
    this.#seen = seen;
    this.#level = Math.min(this.#options.level, ...this.#levels.values());
    this.#owners.clear();
    for (const [shard, nodeId] of owners) this.#owners.set(shard, nodeId);
    for (const [shard, level] of needed) this.#needed.set(shard, level);
  }

  /** This node is too old for the shard. */
  tooOldFor(shard: number): void {
    this.#needed.set(shard, Math.max(this.#needed.get(shard) ?? 0, this.#options.level + 1));
  }

  /** The lease of a node on the shard has ended. */
  ended(shard: number, nodeId: string): void {
    if (this.#owners.get(shard) === nodeId) this.#owners.delete(shard);
  }

  /** Differs where something has changed that others ask for. */
  get picture(): string {
    const nodes = this.nodes.map(({ nodeId, leaving }) => `${nodeId}${leaving ? "-" : "+"}`);
    return `${nodes.join()} ${[...this.#owners].map(([shard, owner]) => `${shard}:${owner}`).join()}`;
  }
}
