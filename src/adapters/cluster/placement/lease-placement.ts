// Placement by leases: every node says in each round that it lives, renews its leases and takes what is due to it.

import type { Clock, Timer } from "../../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import type { ClusterNode, Placement, PlacementListener } from "../../../ports/placement.js";
import { KnownCluster } from "./known-cluster.js";
import { LEASE_ROUNDS, type Leases, NODE_ROUNDS, type NodeStatus, type Round } from "./leases.js";

/** A node must have been there for so long before shards are handed over to it: one that restarts again and again gets none. */
const SETTLED_ROUNDS = 2;
/** A node that was forgotten takes nothing new for so long: so may all have been, and whoever cannot say now what it owns holds it until then. */
const RETURN_ROUNDS = LEASE_ROUNDS;
/**
 * A node that cannot write hands its shards over after so long, to one that has been able to for as long: where no node can, all say so within a round
 * of each other.
 */
const UNABLE_ROUNDS = 2;
/** Of all shards, this share is handed over at a time, or FEWEST_YIELDS: each is to wait for its own turn alone, and a node to be gone in time. */
const YIELDS_SHARE = 1 / 16;
const FEWEST_YIELDS = 2;
/** Longest wait for what is under way in a shard that is handed over. */
const YIELD_ROUNDS = 2;
/** Longest wait of a leaving node for the shards it yields. */
const LEAVE_ROUNDS = 5;

export interface LeasePlacementOptions {
  readonly leases: Leases;
  readonly clock: Clock;
  readonly nodeId: string;
  /** Where other nodes reach this one. */
  readonly address: string;
  readonly shards: number;
  /** What this version can fold: a shard goes to no node below the shard's own level. */
  readonly level: number;
  /**
   * Whether the node can write to the log: while it cannot, its shards are due to nodes that can. Asked in each round, and when `turned` says so.
   * Default: it can.
   */
  readonly able?: () => boolean;
  /** Others have taken this node for gone, and it is back: what they told it meanwhile it may not have heard. Must not throw. */
  readonly onReturned?: () => void;
  /** A round has failed; the next one is tried. */
  readonly onFault: (what: string, cause: unknown) => void;
}

export class LeasePlacement implements Placement {
  readonly nodeId: string;
  readonly shards: number;
  readonly #options: LeasePlacementOptions;
  readonly #roundMs: number;
  readonly #since: number;
  readonly #listeners: (() => void)[] = [];
  #listener: PlacementListener | undefined;
  readonly #cluster: KnownCluster;
  /** Until when this node's leases hold, monotonic. */
  readonly #held = new Map<number, number>();
  /** Shards that are being handed over. */
  readonly #yielding = new Set<number>();
  /** Called when one of them has been. */
  #onYielded: () => void = ignore;
  /** Shards that were, and that nobody has taken yet as far as is known: since when, monotonic. */
  readonly #untaken = new Map<number, number>();
  /** Shards that this node was too old for, which it has not said yet. */
  readonly #declined = new Set<number>();
  /** Shards to give up in the next round. */
  readonly #released = new Set<number>();
  #leaving = false;
  /** Since when it cannot write, monotonic; undefined: it can. */
  #unableSinceMs: number | undefined;
  #left: Promise<void> | undefined;
  #stopped = false;
  readonly #ended = Promise.withResolvers<void>();
  #round: Promise<void> | undefined;
  #again = false;
  /** When the last round that was answered was begun, monotonic. */
  #saidAtMs = Number.NEGATIVE_INFINITY;
  /** It takes nothing new before, monotonic. */
  #takesFromMs = Number.NEGATIVE_INFINITY;
  #unlisten: (() => void) | undefined;
  readonly #timers = new Set<Timer>();
  #expiry: Timer | undefined;

  constructor(options: LeasePlacementOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.shards = options.shards;
    this.#cluster = new KnownCluster(options);
    this.#roundMs = options.leases.roundMs;
    this.#since = options.clock.now();
  }

  async start(listener: PlacementListener): Promise<void> {
    this.#listener = listener;
    try {
      this.#unlisten = await this.#options.leases.onNotified(() => void this.#run());
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
    return this.#cluster.ownerOf(shard);
  }

  holds(shard: number): boolean {
    return (this.#held.get(shard) ?? Number.NEGATIVE_INFINITY) > this.#options.clock.monotonic();
  }

  /** Whether the others know that this node lives. */
  get known(): boolean {
    return !this.#stopped && this.#options.clock.monotonic() - this.#saidAtMs < NODE_ROUNDS * this.#roundMs;
  }

  get level(): number {
    return this.#cluster.level;
  }

  /** How many shards this node is too old for. */
  get tooNew(): number {
    return this.#cluster.tooNew;
  }

  decline(shard: number): void {
    this.#declined.add(shard);
    this.#cluster.tooOldFor(shard);
    if (this.#held.has(shard)) this.#released.add(shard);
    this.#lose(shard);
    void this.#run();
  }

  nodes(): readonly ClusterNode[] {
    return this.#cluster.nodes;
  }

  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  leave(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  /** Whether the node can write has changed: the others are told at once. */
  turned(): void {
    if (this.#listener !== undefined) void this.#run();
  }

  stop(): void {
    this.#stopped = true;
    for (const timer of this.#timers) timer.cancel();
    this.#timers.clear();
    this.#expiry?.cancel();
    this.#unlisten?.();
    this.#held.clear();
    this.#ended.resolve();
  }

  async #leave(): Promise<void> {
    if (this.#stopped) return;
    this.#leaving = true;
    const { clock } = this.#options;
    const deadlineMs = clock.monotonic() + LEAVE_ROUNDS * this.#roundMs;
    while (this.#held.size > 0 && clock.monotonic() < deadlineMs && !this.#stopped) {
      await this.#run();
      if (this.#held.size > 0) await this.#yieldedOr(this.#roundMs / 20);
    }
    if (this.#stopped) return;
    this.stop();
    const { leases } = this.#options;
    await leases.round(this.#said("gone", [...this.#released], [], [])).catch(ignore);
    await leases.notify();
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#after(this.#roundMs, () => void this.#run().finally(() => this.#schedule()));
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
        await this.#place().catch((cause: unknown) => this.#options.onFault("placement", cause));
      } while (this.#again && !this.#stopped);
      // At once: whoever asks from now on asks for another.
      this.#round = undefined;
    })();
    this.#round = round;
    return round;
  }

  async #place(): Promise<void> {
    if (this.#stopped) return;
    const { leases, clock } = this.#options;
    const released = [...this.#released];
    const sentAtMs = clock.monotonic();
    this.#unableSinceMs = (this.#options.able?.() ?? true) ? undefined : (this.#unableSinceMs ?? sentAtMs);
    const asked = this.#asked();
    const status = this.#leaving ? "leaves" : this.#unableSinceMs === undefined ? "stays" : "unable";
    const declined = [...this.#declined];
    const standing = await leases.round(this.#said(status, released, asked, declined));
    const { known } = standing;
    if (this.#stopped) return;
    if (!known && Number.isFinite(this.#saidAtMs)) {
      this.#takesFromMs = clock.monotonic() + RETURN_ROUNDS * this.#roundMs;
      this.#options.onReturned?.();
    }
    this.#saidAtMs = sentAtMs;
    for (const shard of released) this.#released.delete(shard);
    for (const shard of declined) this.#declined.delete(shard);
    const before = this.#cluster.picture;
    this.#cluster.learn(standing, clock.monotonic());
    let gained = false;
    for (const shard of asked) {
      // Given up while the round was under way: what it says of it is old.
      if (this.#released.has(shard)) continue;
      if (this.#cluster.holderOf(shard) === this.nodeId) {
        gained ||= !this.#held.has(shard);
        this.#hold(shard, sentAtMs);
      } else this.#lose(shard);
    }
    this.#watchExpiry();
    this.#handOver();
    // Who has something for a new owner is to learn who that is, too.
    if (released.length > 0 || gained || !known) void leases.notify();
    if (this.#cluster.picture !== before) this.#tell();
    // What this round has shown to be nobody's need not wait for the next.
    if (this.#asked().some((shard) => !asked.includes(shard))) this.#again = true;
  }

  /** What this node has or is to have, and nobody else has. */
  #asked(): readonly number[] {
    const held = [...this.#held.keys()].filter((shard) => !this.#released.has(shard));
    const takes = !this.#leaving && this.#unableSinceMs === undefined;
    if (!takes || this.#options.clock.monotonic() < this.#takesFromMs) return held;
    const due = new Set(held);
    for (let shard = 0; shard < this.shards; shard++) {
      if (this.#released.has(shard) || this.ownerOf(shard) !== undefined) continue;
      if (this.#cluster.dueTo(shard) === this.nodeId) due.add(shard);
    }
    return [...due];
  }

  #said(status: NodeStatus, released: readonly number[], asked: readonly number[], declined: readonly number[]): Round {
    const { nodeId, address, level } = this.#options;
    return { node: { nodeId, address, since: this.#since }, level, status, released, asked, declined };
  }

  #hold(shard: number, sentAtMs: number): void {
    const endedMs = this.#held.get(shard);
    // It was over before it was asked for again, and no timer has run since: another may have had the shard meanwhile.
    if (endedMs !== undefined && endedMs <= sentAtMs) this.#lose(shard);
    const had = this.#held.has(shard);
    this.#held.set(shard, sentAtMs + LEASE_ROUNDS * this.#roundMs);
    if (!had) this.#listener?.gained(shard);
  }

  #lose(shard: number): void {
    if (!this.#held.delete(shard)) return;
    this.#yielding.delete(shard);
    this.#listener?.lost(shard);
  }

  /** A lease that could not be renewed ends by itself. */
  #watchExpiry(): void {
    const { clock } = this.#options;
    this.#expiry?.cancel();
    const next = Math.min(...this.#held.values());
    if (!Number.isFinite(next)) return;
    this.#expiry = clock.after(Math.max(next - clock.monotonic(), 0), () => {
      const nowMs = clock.monotonic();
      for (const [shard, untilMs] of [...this.#held]) {
        if (untilMs > nowMs) continue;
        this.#cluster.ended(shard, this.nodeId);
        this.#lose(shard);
      }
      this.#watchExpiry();
      this.#tell();
    });
  }

  /** Yields what another node is to have. */
  #handOver(): void {
    const nowMs = this.#options.clock.monotonic();
    const unableMs = this.#unableSinceMs === undefined ? undefined : nowMs - this.#unableSinceMs;
    if (!this.#leaving && unableMs !== undefined && unableMs < UNABLE_ROUNDS * this.#roundMs) return;
    const settledMs = (unableMs === undefined ? SETTLED_ROUNDS : UNABLE_ROUNDS) * this.#roundMs;
    for (const [shard, sinceMs] of this.#untaken) {
      const taken = (this.#cluster.holderOf(shard) ?? this.nodeId) !== this.nodeId;
      if (taken || nowMs - sinceMs >= this.#roundMs) this.#untaken.delete(shard);
    }
    // Rooms of a node that cannot write wait already.
    const atOnce = unableMs === undefined ? Math.max(FEWEST_YIELDS, this.shards * YIELDS_SHARE) : this.shards;
    for (const shard of this.#held.keys()) {
      if (this.#yielding.size + this.#untaken.size >= atOnce) break;
      if (this.#yielding.has(shard)) continue;
      const due = this.#cluster.dueTo(shard);
      if (due === this.nodeId || (due === undefined && !this.#leaving)) continue;
      const settled = due === undefined || nowMs - (this.#cluster.takesSinceMs(due) ?? nowMs) >= settledMs;
      if (this.#leaving || settled) this.#yield(shard);
    }
  }

  #yield(shard: number): void {
    this.#yielding.add(shard);
    const yielded = Promise.withResolvers<boolean>();
    const timer = this.#after(YIELD_ROUNDS * this.#roundMs, () => yielded.resolve(false));
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
      if (this.#cluster.dueTo(shard) !== undefined) this.#untaken.set(shard, this.#options.clock.monotonic());
      if (!done) this.#listener?.lost(shard);
      void this.#run();
      this.#onYielded();
    });
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  #after(delayMs: number, action: () => void): Timer {
    const timer = this.#options.clock.after(delayMs, () => {
      this.#timers.delete(timer);
      action();
    });
    this.#timers.add(timer);
    return timer;
  }

  /** Resolves when a shard was yielded, after so long, and at once when everything ends. */
  async #yieldedOr(milliseconds: number): Promise<void> {
    const yielded = Promise.withResolvers<void>();
    this.#onYielded = yielded.resolve;
    const timer = this.#after(milliseconds, yielded.resolve);
    await Promise.race([yielded.promise, this.#ended.promise]);
    timer.cancel();
    this.#timers.delete(timer);
  }
}

function ignore(): void {}
