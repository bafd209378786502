// Placement without Redis, for tests: nodes in one process share a table of leases. The rules, and the times in rounds, are those of a cluster.

import type { Clock, Timer } from "../../src/ports/clock.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { ClusterNode, Placement, PlacementListener } from "../../src/ports/placement.js";

const DEFAULT_ROUND_MS = 1_000;
const LEASE_ROUNDS = 3;
const NODE_ROUNDS = 5;
const SETTLED_ROUNDS = 2;
const RETURN_ROUNDS = LEASE_ROUNDS;
const YIELDS_SHARE = 1 / 16;
const FEWEST_YIELDS = 2;
const YIELD_ROUNDS = 2;
const LEAVE_ROUNDS = 5;

interface Known {
  readonly node: ClusterNode;
  readonly untilMs: number;
}

interface Lease {
  readonly nodeId: string;
  readonly untilMs: number;
}

/** What a node says of itself, and asks for. */
interface Round {
  readonly node: ClusterNode;
  readonly gone: boolean;
  readonly released: readonly number[];
  readonly asked: readonly number[];
}

/** How things stand. */
interface Standing {
  /** Whether the node was known to live. */
  readonly known: boolean;
  readonly nodes: readonly ClusterNode[];
  readonly owners: ReadonlyMap<number, string>;
}

export interface MemoryLeasesOptions {
  /** What leases expire by. */
  readonly clock: Pick<Clock, "monotonic">;
  readonly shards: number;
  /** How often a node says that it lives, in milliseconds; a lease holds for three times as long. Default 1,000. */
  readonly roundMs?: number;
}

/** What one store of leases knows. */
interface Store {
  readonly nodes: Map<string, Known>;
  readonly leases: Map<number, Lease>;
}

/** A store as it was at a moment. Opaque. */
export interface LeasesSnapshot {
  readonly store: Store;
}

/** What all nodes share. */
export class MemoryLeases {
  readonly shards: number;
  readonly roundMs: number;
  /** Changes whose each shard is to be. */
  salt = "";
  /** The way to the leases and the way back of the answer, of each round of a node: may take its time, and reject. */
  way: (nodeId: string) => Promise<void> = async () => {};
  /** What a node can fold. */
  levelOf: (nodeId: string) => number = () => 1;
  readonly #needed = new Map<number, number>();
  readonly #clock: Pick<Clock, "monotonic">;
  #store: Store = { nodes: new Map(), leases: new Map() };
  /** Where there are two masters: who follows the other one. */
  #other: { readonly store: Store; readonly nodeIds: ReadonlySet<string> } | undefined;
  readonly #listeners = new Set<() => void>();

  constructor({ clock, shards, roundMs = DEFAULT_ROUND_MS }: MemoryLeasesOptions) {
    this.#clock = clock;
    this.shards = shards;
    this.roundMs = roundMs;
  }

  /** A node's placement. Its timers are of its own clock, which goes as fast as that of the leases. */
  node(nodeId: string, clock: Clock, address = `${nodeId}:1`): MemoryPlacement {
    return new MemoryPlacement(this, clock, { nodeId, address, since: clock.now(), leaving: false });
  }

  /** A node is too old for a shard, and with it all of its level. */
  tooOld(shard: number, nodeId: string): void {
    const needed = Math.max(this.#needed.get(shard) ?? 0, this.levelOf(nodeId) + 1);
    this.#needed.set(shard, needed);
  }

  isTooOld(shard: number, nodeId: string): boolean {
    return this.levelOf(nodeId) < (this.#needed.get(shard) ?? 0);
  }

  /** Nobody knows of any node or lease any more. */
  empty(): void {
    this.#store = { nodes: new Map(), leases: new Map() };
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

  /** Who of them is to own the shard. */
  dueTo(shard: number, nodeIds: readonly string[]): string | undefined {
    const weighed = nodeIds.map((nodeId) => ({ nodeId, weight: weigh(`${this.salt}/${shard}/${nodeId}`) }));
    weighed.sort((one, other) => other.weight - one.weight || (one.nodeId < other.nodeId ? -1 : 1));
    return weighed[0]?.nodeId;
  }

  /** Calls the listener when somebody has come, gone or given something up. */
  onNoticed(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  notice(): void {
    for (const listener of [...this.#listeners]) listener();
  }

  async round(round: Round): Promise<Standing> {
    await this.way(round.node.nodeId);
    const standing = this.#place(round);
    await this.way(round.node.nodeId);
    return standing;
  }

  #place({ node, gone, released, asked }: Round): Standing {
    const nowMs = this.#clock.monotonic();
    const { nodeId } = node;
    const store = this.#other?.nodeIds.has(nodeId) === true ? this.#other.store : this.#store;
    const known = store.nodes.has(nodeId);
    if (gone) store.nodes.delete(nodeId);
    else store.nodes.set(nodeId, { node, untilMs: nowMs + NODE_ROUNDS * this.roundMs });
    for (const [id, { untilMs }] of store.nodes) if (untilMs <= nowMs) store.nodes.delete(id);
    for (const shard of released) if (this.#holder(store, shard) === nodeId) store.leases.delete(shard);
    let taken = false;
    for (const shard of gone ? [] : asked) {
      const holder = this.#holder(store, shard);
      if (holder !== undefined && holder !== nodeId) continue;
      taken ||= holder === undefined;
      store.leases.set(shard, { nodeId, untilMs: nowMs + LEASE_ROUNDS * this.roundMs });
    }
    const owners = new Map<number, string>();
    for (const shard of store.leases.keys()) {
      const holder = this.#holder(store, shard);
      if (holder !== undefined) owners.set(shard, holder);
    }
    if (!known || gone || taken || released.length > 0) this.notice();
    const silentMs = (NODE_ROUNDS - LEASE_ROUNDS) * this.roundMs;
    const nodes = Array.from(store.nodes.values(), (each) => ({
      ...each.node,
      // One that has said nothing for as long as a lease holds.
      leaving: each.node.leaving || each.untilMs - nowMs <= silentMs,
    }));
    return { known, nodes, owners };
  }

  /** A node that is gone has no leases. */
  #holder({ nodes, leases }: Store, shard: number): string | undefined {
    const lease = leases.get(shard);
    if (lease === undefined || lease.untilMs <= this.#clock.monotonic()) return undefined;
    return nodes.has(lease.nodeId) ? lease.nodeId : undefined;
  }
}

/** One node's. */
export class MemoryPlacement implements Placement {
  readonly nodeId: string;
  readonly shards: number;
  readonly #leases: MemoryLeases;
  readonly #clock: Clock;
  readonly #self: ClusterNode;
  readonly #listeners: (() => void)[] = [];
  #listener: PlacementListener | undefined;
  #nodes: readonly ClusterNode[] = [];
  /** Since when each node has been known to take shards, monotonic. */
  #seen = new Map<string, number>();
  #owners = new Map<number, string>();
  /** Until when this node's leases hold, monotonic. */
  readonly #held = new Map<number, number>();
  readonly #yielding = new Set<number>();
  #onYielded: () => void = ignore;
  /** Shards that were yielded, and that nobody has taken yet as far as is known: since when, monotonic. */
  readonly #untaken = new Map<number, number>();
  readonly #released = new Set<number>();
  readonly #timers = new Set<Timer>();
  #unnotice: (() => void) | undefined;
  #left: Promise<void> | undefined;
  #leaving = false;
  #stopped = false;
  #round: Promise<void> | undefined;
  #again = false;
  /** Others have known it; and it takes nothing new before, monotonic. */
  #wasKnown = false;
  #takesFromMs = Number.NEGATIVE_INFINITY;
  #expiry: Timer | undefined;

  constructor(leases: MemoryLeases, clock: Clock, self: ClusterNode) {
    this.nodeId = self.nodeId;
    this.shards = leases.shards;
    this.#leases = leases;
    this.#clock = clock;
    this.#self = self;
  }

  async start(listener: PlacementListener): Promise<void> {
    this.#listener = listener;
    this.#unnotice = this.#leases.onNoticed(() => void this.#run());
    try {
      // The first one learns who is there, the second takes what is due.
      await this.#place();
      await this.#place();
    } catch (cause) {
      this.stop();
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "the placement of shards is not reachable", { cause });
    }
    this.#tell();
    this.#schedule();
  }

  ownerOf(shard: number): ClusterNode | undefined {
    const nodeId = this.#owners.get(shard);
    return this.#nodes.find((node) => node.nodeId === nodeId);
  }

  holds(shard: number): boolean {
    return (this.#held.get(shard) ?? Number.NEGATIVE_INFINITY) > this.#clock.monotonic();
  }

  nodes(): readonly ClusterNode[] {
    return [...this.#nodes].sort((one, other) => (one.nodeId < other.nodeId ? -1 : 1));
  }

  get level(): number {
    const { levelOf } = this.#leases;
    return Math.min(levelOf(this.nodeId), ...this.#nodes.map(({ nodeId }) => levelOf(nodeId)));
  }

  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  decline(shard: number): void {
    this.#leases.tooOld(shard, this.nodeId);
    if (this.#held.has(shard)) this.#released.add(shard);
    this.#lose(shard);
    void this.#run();
  }

  leave(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#expiry?.cancel();
    this.#unnotice?.();
    this.#held.clear();
  }

  async #leave(): Promise<void> {
    if (this.#stopped) return;
    this.#leaving = true;
    const { roundMs } = this.#leases;
    const deadlineMs = this.#clock.monotonic() + LEAVE_ROUNDS * roundMs;
    while (this.#held.size > 0 && this.#clock.monotonic() < deadlineMs && !this.#stopped) {
      await this.#run();
      if (this.#held.size > 0) {
        await new Promise<void>((resolve) => {
          this.#onYielded = resolve;
          this.#after(roundMs / 20, resolve);
        });
      }
    }
    if (this.#stopped) return;
    this.stop();
    const last = { node: this.#self, gone: true, released: [...this.#released], asked: [] };
    await this.#leases.round(last).catch(ignore);
  }

  #after(delayMs: number, action: () => void): Timer {
    const timer = this.#clock.after(delayMs, () => {
      this.#timers.delete(timer);
      action();
    });
    this.#timers.add(timer);
    return timer;
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#after(this.#leases.roundMs, () => void this.#run().finally(() => this.#schedule()));
  }

  /** A round, or one more after the one under way. Never rejects. */
  #run(): Promise<void> {
    if (this.#round !== undefined) {
      this.#again = true;
      return this.#round;
    }
    const round = (async () => {
      do {
        this.#again = false;
        await this.#place().catch(ignore);
      } while (this.#again && !this.#stopped);
      this.#round = undefined;
    })();
    this.#round = round;
    return round;
  }

  async #place(): Promise<void> {
    if (this.#stopped) return;
    const released = [...this.#released];
    const asked = this.#asked();
    // The lease is counted from before it was asked for.
    const sentAtMs = this.#clock.monotonic();
    const node = { ...this.#self, leaving: this.#leaving };
    const { known, nodes, owners } = await this.#leases.round({ node, gone: false, released, asked });
    if (this.#stopped) return;
    if (!known && this.#wasKnown) this.#takesFromMs = this.#clock.monotonic() + RETURN_ROUNDS * this.#leases.roundMs;
    this.#wasKnown = true;
    for (const shard of released) this.#released.delete(shard);
    const before = this.#picture();
    this.#nodes = nodes;
    const nowMs = this.#clock.monotonic();
    this.#seen = new Map(
      nodes.map(({ nodeId, leaving }) => [nodeId, leaving ? nowMs : (this.#seen.get(nodeId) ?? nowMs)]),
    );
    this.#owners = new Map(owners);
    for (const shard of asked) {
      // Given up while the round was under way: what it says of it is old.
      if (this.#released.has(shard)) continue;
      if (owners.get(shard) === this.nodeId) this.#hold(shard, sentAtMs);
      else this.#lose(shard);
    }
    this.#watchExpiry();
    this.#handOver();
    if (this.#picture() !== before) this.#tell();
    // What this round has shown to be nobody's need not wait for the next.
    if (this.#asked().some((shard) => !asked.includes(shard))) this.#again = true;
  }

  /** What this node has or is to have, and nobody else has. */
  #asked(): readonly number[] {
    const held = [...this.#held.keys()].filter((shard) => !this.#released.has(shard));
    if (this.#leaving || this.#clock.monotonic() < this.#takesFromMs) return held;
    const asked = new Set(held);
    for (let shard = 0; shard < this.shards; shard++) {
      if (this.#released.has(shard) || this.ownerOf(shard) !== undefined) continue;
      if (this.#dueTo(shard) === this.nodeId) asked.add(shard);
    }
    return [...asked];
  }

  #dueTo(shard: number): string | undefined {
    const staying = this.#nodes.filter(({ nodeId, leaving }) => !leaving && !this.#leases.isTooOld(shard, nodeId));
    return this.#leases.dueTo(
      shard,
      staying.map(({ nodeId }) => nodeId),
    );
  }

  #hold(shard: number, sentAtMs: number): void {
    const endedMs = this.#held.get(shard);
    // It was over before it was asked for again, and nobody has noticed: another may have had the shard meanwhile.
    if (endedMs !== undefined && endedMs <= sentAtMs) this.#lose(shard);
    const had = this.#held.has(shard);
    this.#held.set(shard, sentAtMs + LEASE_ROUNDS * this.#leases.roundMs);
    if (!had) this.#listener?.gained(shard);
  }

  #lose(shard: number): void {
    if (!this.#held.delete(shard)) return;
    this.#yielding.delete(shard);
    this.#listener?.lost(shard);
  }

  /** A lease that could not be renewed ends by itself. */
  #watchExpiry(): void {
    this.#expiry?.cancel();
    const next = Math.min(...this.#held.values());
    if (!Number.isFinite(next)) return;
    this.#expiry = this.#clock.after(Math.max(next - this.#clock.monotonic(), 0), () => {
      const nowMs = this.#clock.monotonic();
      for (const [shard, untilMs] of [...this.#held]) {
        if (untilMs > nowMs) continue;
        if (this.#owners.get(shard) === this.nodeId) this.#owners.delete(shard);
        this.#lose(shard);
      }
      this.#watchExpiry();
      this.#tell();
    });
  }

  /** Yields what another node is to have. */
  #handOver(): void {
    const nowMs = this.#clock.monotonic();
    for (const [shard, sinceMs] of this.#untaken) {
      const taken = (this.#owners.get(shard) ?? this.nodeId) !== this.nodeId;
      if (taken || nowMs - sinceMs >= this.#leases.roundMs) this.#untaken.delete(shard);
    }
    for (const shard of this.#held.keys()) {
      if (this.#yielding.size + this.#untaken.size >= Math.max(FEWEST_YIELDS, this.shards * YIELDS_SHARE)) break;
      if (this.#yielding.has(shard)) continue;
      const due = this.#dueTo(shard);
      if (due === this.nodeId || (due === undefined && !this.#leaving)) continue;
      const knownMs = due === undefined ? 0 : nowMs - (this.#seen.get(due) ?? nowMs);
      if (this.#leaving || knownMs >= SETTLED_ROUNDS * this.#leases.roundMs) this.#yield(shard);
    }
  }

  #yield(shard: number): void {
    this.#yielding.add(shard);
    const yielded = Promise.withResolvers<boolean>();
    const timer = this.#after(YIELD_ROUNDS * this.#leases.roundMs, () => yielded.resolve(false));
    this.#listener?.yields(shard).then(
      () => yielded.resolve(true),
      () => yielded.resolve(false),
    );
    void yielded.promise.then((done) => {
      timer.cancel();
      this.#timers.delete(timer);
      // It was lost meanwhile, or everything has ended.
      if (this.#stopped || !this.#yielding.delete(shard)) return;
      this.#held.delete(shard);
      this.#released.add(shard);
      if (this.#dueTo(shard) !== undefined) this.#untaken.set(shard, this.#clock.monotonic());
      if (!done) this.#listener?.lost(shard);
      void this.#run();
      this.#onYielded();
    });
  }

  #picture(): string {
    const nodes = this.nodes().map(({ nodeId, leaving }) => `${nodeId}${leaving ? "-" : "+"}`);
    return `${nodes.join()} ${[...this.#owners].map(([shard, owner]) => `${shard}:${owner}`).join()}`;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

function copyOf({ nodes, leases }: Store): Store {
  return { nodes: new Map(nodes), leases: new Map(leases) };
}

function weigh(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  return hash >>> 0;
}

function ignore(): void {}
