// Leases without Redis, for tests: nodes in one process share a table of them. The rules are those of the script that keeps them in Redis.

import { LeasePlacement } from "../../src/adapters/cluster/placement/lease-placement.js";
import {
  LEASE_ROUNDS,
  type Leases,
  NODE_ROUNDS,
  type NodeStatus,
  type Round,
  type Standing,
} from "../../src/adapters/cluster/placement/leases.js";
import { Rendezvous } from "../../src/adapters/cluster/placement/rendezvous.js";
import type { Clock } from "../../src/ports/clock.js";

const DEFAULT_ROUND_MS = 1_000;

interface Known {
  readonly node: Round["node"];
  readonly level: number;
  readonly status: NodeStatus;
  readonly untilMs: number;
}

interface Lease {
  readonly nodeId: string;
  readonly untilMs: number;
}

export interface MemoryLeasesOptions {
  /** What leases expire by. */
  readonly clock: Pick<Clock, "monotonic">;
  readonly shards: number;
  /** How often a node says that it lives, in milliseconds; a lease holds for three times as long. Default 1,000. */
  readonly roundMs?: number;
}

/** What a node says of itself, where a test does not care. */
export interface MemoryNodeOptions {
  /** Default: one of its own. */
  readonly address?: string;
  /** What it can fold. Default 1. */
  readonly level?: number;
}

/** What one store of leases knows. */
interface Store {
  readonly nodes: Map<string, Known>;
  readonly leases: Map<number, Lease>;
  readonly needed: Map<number, number>;
}

/** A store as it was at a moment. Opaque. */
export interface LeasesSnapshot {
  readonly store: Store;
}

/** What all nodes share, and what goes wrong with it. */
export class MemoryLeases implements Leases {
  readonly shards: number;
  readonly roundMs: number;
  /** Changes whose each shard is to be. */
  salt = "";
  /** The way to the leases and the way back of the answer, of each round of a node: may take its time, and reject. */
  way: (nodeId: string) => Promise<void> = async () => {};
  readonly #clock: Pick<Clock, "monotonic">;
  readonly #rendezvous = new Rendezvous();
  #store: Store = emptyStore();
  /** Where there are two masters: who follows the other one. */
  #other: { readonly store: Store; readonly nodeIds: ReadonlySet<string> } | undefined;
  readonly #listeners = new Set<() => void>();

  constructor({ clock, shards, roundMs = DEFAULT_ROUND_MS }: MemoryLeasesOptions) {
    this.#clock = clock;
    this.shards = shards;
    this.roundMs = roundMs;
  }

  /** A node's placement by these leases. Its timers are of its own clock, which goes as fast as that of the leases. */
  placement(nodeId: string, clock: Clock, { address = `${nodeId}:1`, level = 1 }: MemoryNodeOptions = {}) {
    return new LeasePlacement({
      leases: this,
      clock,
      nodeId,
      address,
      shards: this.shards,
      level,
      // The next round is tried.
      onFault: () => {},
    });
  }

  /** Nobody knows of any node or lease any more. */
  empty(): void {
    this.#store = emptyStore();
  }

  snapshot(): LeasesSnapshot {
    return { store: copyOf(this.#store) };
  }

  /** The store is as it was, but for the leases that have ended since. */
  restore({ store }: LeasesSnapshot): void {
    this.#store = copyOf(store);
  }

  /** These nodes follow another master from now on, which knows what the first one does until now. */
  split(nodeIds: Iterable<string>): void {
    this.#other = { store: copyOf(this.#store), nodeIds: new Set(nodeIds) };
  }

  get isSplit(): boolean {
    return this.#other !== undefined;
  }

  /** One master is left, that which the split has made or the one before it: what the other knew is forgotten. */
  join(other = false): void {
    if (other && this.#other !== undefined) this.#store = this.#other.store;
    this.#other = undefined;
  }

  async round(round: Round): Promise<Standing> {
    await this.way(round.node.nodeId);
    const standing = this.#place(round);
    await this.way(round.node.nodeId);
    return standing;
  }

  dueTo(shard: number, nodeIds: readonly string[]): string | undefined {
    const salted = nodeIds.map((nodeId) => `${this.salt}${nodeId}`);
    return this.#rendezvous.owner(shard, salted)?.slice(this.salt.length);
  }

  async notify(): Promise<void> {
    for (const listener of [...this.#listeners]) listener();
  }

  async onNotified(listener: () => void): Promise<() => void> {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #place({ node, level, status, released, asked, declined }: Round): Standing {
    const nowMs = this.#clock.monotonic();
    const { nodeId } = node;
    const store = this.#other?.nodeIds.has(nodeId) === true ? this.#other.store : this.#store;
    const { nodes, leases, needed } = store;
    const known = nodes.has(nodeId);
    if (status === "gone") nodes.delete(nodeId);
    else nodes.set(nodeId, { node, level, status, untilMs: nowMs + NODE_ROUNDS * this.roundMs });
    for (const [id, { untilMs }] of nodes) if (untilMs <= nowMs) nodes.delete(id);
    for (const shard of released) if (this.#holder(store, shard) === nodeId) leases.delete(shard);
    for (const shard of status === "gone" ? [] : asked) {
      if ((this.#holder(store, shard) ?? nodeId) !== nodeId) continue;
      leases.set(shard, { nodeId, untilMs: nowMs + LEASE_ROUNDS * this.roundMs });
    }
    for (const shard of declined) needed.set(shard, Math.max(needed.get(shard) ?? 0, level + 1));
    const owners = new Map<number, string>();
    for (const shard of leases.keys()) {
      const holder = this.#holder(store, shard);
      if (holder !== undefined) owners.set(shard, holder);
    }
    return { known, nodes: [...nodes.values()].map((each) => this.#shown(each)), owners, needed: new Map(needed) };
  }

  #shown({ node, level, status, untilMs }: Known): Standing["nodes"][number] {
    // One that has said nothing for as long as a lease holds.
    const silent = untilMs - this.#clock.monotonic() <= (NODE_ROUNDS - LEASE_ROUNDS) * this.roundMs;
    return { node: { ...node, leaving: status !== "stays" || silent }, level };
  }

  /** A node that is gone has no leases. */
  #holder({ nodes, leases }: Store, shard: number): string | undefined {
    const lease = leases.get(shard);
    if (lease === undefined || lease.untilMs <= this.#clock.monotonic()) return undefined;
    return nodes.has(lease.nodeId) ? lease.nodeId : undefined;
  }
}

function emptyStore(): Store {
  return { nodes: new Map(), leases: new Map(), needed: new Map() };
}

function copyOf({ nodes, leases, needed }: Store): Store {
  return { nodes: new Map(nodes), leases: new Map(leases), needed: new Map(needed) };
}
