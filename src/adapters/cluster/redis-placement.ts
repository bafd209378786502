// Placement by leases in Redis: every node says once a second that it lives, renews its leases and takes what is due to it.

import { readFileSync } from "node:fs";
import type { Result } from "ioredis";
import type { Clock, Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { ClusterNode, Placement, PlacementListener } from "../../ports/placement.js";
import type { RedisCommands } from "./redis.js";
import type { ChannelSubscription, RedisChannels } from "./redis-channels.js";
import { rendezvous } from "./rendezvous.js";

declare module "ioredis" {
  interface RedisCommander<Context> {
    trunklinePlace(...args: (string | number)[]): Result<[number, string[], string[], string[]], Context>;
  }
}

const SCRIPT = readFileSync(new URL("lua/place.lua", import.meta.url), "utf8");
const KEYS = 3;

/** How often a node says that it lives, in milliseconds. All other times are so many rounds. */
const DEFAULT_ROUND_MS = 1_000;
/** How long a lease holds without being renewed. */
const LEASE_ROUNDS = 3;
/** How long a node is known without saying that it lives. */
const NODE_ROUNDS = 5;
/** A node must have been there for so long before shards are handed over to it: one that restarts again and again gets none. */
const SETTLED_ROUNDS = 2;
/** A node that was forgotten takes nothing new for so long: so may all have been, and whoever cannot say now what it owns holds it until then. */
const RETURN_ROUNDS = LEASE_ROUNDS;
/** A node that cannot write hands its shards over after so long, to one that has been able to for as long: where no node can, all are about to say so. */
const UNABLE_ROUNDS = 3;
/** Longest wait for what is under way in a shard that is handed over. */
const YIELD_ROUNDS = 2;
/** Longest wait of a leaving node for the shards it yields. */
const LEAVE_ROUNDS = 5;

/** What the script is told of this node. */
const STAYS = 0;
const LEAVES = 1;
const GONE = 2;
const UNABLE = 3;

export interface RedisPlacementOptions {
  readonly redis: RedisCommands;
  /** Its owner stops it. */
  readonly channels: Pick<RedisChannels, "subscribe">;
  readonly clock: Clock;
  readonly nodeId: string;
  /** Where other nodes reach this one. */
  readonly address: string;
  readonly shards: number;
  readonly prefix: string;
  /** What this version can fold: a shard goes to no node below the shard's own level. */
  readonly level: number;
  /** How often the node says that it lives, in milliseconds; a lease holds for three times as long. Default 1,000. */
  readonly roundMs?: number;
  /** What leases expire by, in milliseconds. Default: Redis's own clock, the only one that all nodes share. */
  readonly leaseClock?: () => number;
  /** How busy the node is, for `readNodes`. Default: it does not say. */
  readonly vitals?: () => NodeVitals;
  /** Whether the node can write to the log: while it cannot, its shards are due to nodes that can. Asked in each round. Default: it can. */
  readonly able?: () => boolean;
  /** Others have taken this node for gone, and it is back: what they told it meanwhile it may not have heard. Must not throw. */
  readonly onReturned?: () => void;
  readonly onFault: (what: string, cause: unknown) => void;
}

/** How busy a node is, as it says with each round. */
export interface NodeVitals {
  /** Live sessions. */
  readonly sessions: number;
  /** 0 to 1. */
  readonly load: number;
}

export class RedisPlacement implements Placement {
  readonly nodeId: string;
  readonly shards: number;
  readonly #options: RedisPlacementOptions;
  readonly #roundMs: number;
  readonly #since: number;
  readonly #keys: readonly [string, string, string];
  readonly #channel: string;
  readonly #listeners: (() => void)[] = [];
  #listener: PlacementListener | undefined;
  #nodes = new Map<string, ClusterNode>();
  /** Since when each node has been known to take shards, monotonic. */
  #seen = new Map<string, number>();
  #owners = new Map<number, string>();
  /** Until when this node's leases hold, monotonic. */
  readonly #held = new Map<number, number>();
  /** Shards that are being handed over. */
  readonly #yielding = new Set<number>();
  /** The level of each node. */
  #levels = new Map<string, number>();
  #level: number;
  /** Of shards that some node was too old for: what it takes at least to own them. */
  readonly #needed = new Map<number, number>();
  /** Those that this node was too old for, which it has not said yet. */
  readonly #declined = new Set<number>();
  /** Shards to give up in the next round. */
  readonly #released = new Set<number>();
  #leaving = false;
  /** Since when it cannot write, monotonic; undefined: it can. */
  #unableSinceMs: number | undefined;
  #left: Promise<void> | undefined;
  #stopped = false;
  #round: Promise<void> | undefined;
  #again = false;
  /** When the last round that was answered was begun, monotonic. */
  #saidAtMs = Number.NEGATIVE_INFINITY;
  /** It takes nothing new before, monotonic. */
  #takesFromMs = Number.NEGATIVE_INFINITY;
  #notices: ChannelSubscription | undefined;
  #timer: Timer | undefined;
  #expiry: Timer | undefined;

  constructor(options: RedisPlacementOptions) {
    this.#options = options;
    this.nodeId = options.nodeId;
    this.shards = options.shards;
    this.#level = options.level;
    this.#roundMs = options.roundMs ?? DEFAULT_ROUND_MS;
    this.#since = options.clock.now();
    // One hash slot, so that the script may touch both.
    const key = (of: string): string => `${options.prefix}:{placement}:${of}`;
    this.#keys = [key("nodes"), key("leases"), key("levels")];
    this.#channel = `${options.prefix}:{placement}:changed`;
    options.redis.defineCommand("trunklinePlace", { numberOfKeys: KEYS, lua: SCRIPT });
  }

  async start(listener: PlacementListener): Promise<void> {
    this.#listener = listener;
    try {
      this.#notices = await this.#options.channels.subscribe(this.#channel, {
        message: this.#noticed,
        missed: this.#noticed,
      });
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
    return nodeId === undefined ? undefined : this.#nodes.get(nodeId);
  }

  holds(shard: number): boolean {
    return (this.#held.get(shard) ?? Number.NEGATIVE_INFINITY) > this.#options.clock.monotonic();
  }

  /** Whether the others know that this node lives. */
  get known(): boolean {
    return !this.#stopped && this.#options.clock.monotonic() - this.#saidAtMs < NODE_ROUNDS * this.#roundMs;
  }

  get level(): number {
    return this.#level;
  }

  /** How many shards this node is too old for. */
  get tooNew(): number {
    return [...this.#needed.values()].filter((level) => level > this.#options.level).length;
  }

  decline(shard: number): void {
    this.#declined.add(shard);
    this.#needed.set(shard, Math.max(this.#needed.get(shard) ?? 0, this.#options.level + 1));
    if (this.#held.has(shard)) this.#released.add(shard);
    this.#lose(shard);
    void this.#run();
  }

  nodes(): readonly ClusterNode[] {
    return [...this.#nodes.values()].sort((one, other) => (one.nodeId < other.nodeId ? -1 : 1));
  }

  onChanged(listener: () => void): void {
    this.#listeners.push(listener);
  }

  leave(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#expiry?.cancel();
    this.#notices?.close();
    this.#held.clear();
  }

  async #leave(): Promise<void> {
    if (this.#stopped) return;
    this.#leaving = true;
    const { clock } = this.#options;
    const deadlineMs = clock.monotonic() + LEAVE_ROUNDS * this.#roundMs;
    while (this.#held.size > 0 && clock.monotonic() < deadlineMs && !this.#stopped) {
      await this.#run();
      // What is yielded runs a round by itself.
      if (this.#held.size > 0) await new Promise<void>((resolve) => void clock.after(this.#roundMs / 20, resolve));
    }
    if (this.#stopped) return;
    this.stop();
    const { redis } = this.#options;
    await redis.trunklinePlace(...this.#keys, ...this.#arguments(GONE, [...this.#released], [], [])).catch(ignore);
    await redis.spublish(this.#channel, "").catch(ignore);
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer?.cancel();
    this.#timer = this.#options.clock.after(this.#roundMs, () => {
      this.#run().finally(() => this.#schedule());
    });
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
    })().finally(() => {
      this.#round = undefined;
    });
    this.#round = round;
    return round;
  }

  async #place(): Promise<void> {
    if (this.#stopped) return;
    const { redis, clock } = this.#options;
    const released = [...this.#released];
    const sentAtMs = clock.monotonic();
    this.#unableSinceMs = (this.#options.able?.() ?? true) ? undefined : (this.#unableSinceMs ?? sentAtMs);
    const asked = this.#asked();
    const status = this.#leaving ? LEAVES : this.#unableSinceMs === undefined ? STAYS : UNABLE;
    const declined = [...this.#declined];
    const [known, live, leases, needed] = await redis.trunklinePlace(
      ...this.#keys,
      ...this.#arguments(status, released, asked, declined),
    );
    if (this.#stopped) return;
    if (known === 0 && Number.isFinite(this.#saidAtMs)) {
      this.#takesFromMs = clock.monotonic() + RETURN_ROUNDS * this.#roundMs;
      this.#options.onReturned?.();
    }
    this.#saidAtMs = sentAtMs;
    for (const shard of released) this.#released.delete(shard);
    for (const shard of declined) this.#declined.delete(shard);
    const before = this.#picture();
    this.#learn(live, leases);
    for (let at = 0; at + 1 < needed.length; at += 2) this.#needed.set(Number(needed[at]), Number(needed[at + 1]));
    for (const shard of asked) {
      // Given up while the round was under way: what it says of it is old.
      if (this.#released.has(shard)) continue;
      if (this.#owners.get(shard) === this.nodeId) this.#hold(shard, sentAtMs + LEASE_ROUNDS * this.#roundMs);
      else this.#lose(shard);
    }
    this.#watchExpiry();
    this.#handOver();
    if (released.length > 0 || known === 0) redis.spublish(this.#channel, "").catch(ignore);
    if (this.#picture() !== before) this.#tell();
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
      if (this.#dueTo(shard) === this.nodeId) due.add(shard);
    }
    return [...due];
  }

  #dueTo(shard: number): string | undefined {
    const needed = this.#needed.get(shard) ?? 0;
    const able = [...this.#nodes.values()].filter(
      ({ nodeId, leaving }) => !leaving && (this.#levels.get(nodeId) ?? 0) >= needed,
    );
    return rendezvous(
      shard,
      able.map(({ nodeId }) => nodeId),
    );
  }

  #arguments(
    status: number,
    released: readonly number[],
    asked: readonly number[],
    declined: readonly number[],
  ): (string | number)[] {
    const { address, leaseClock, vitals, level } = this.#options;
    const times = [NODE_ROUNDS * this.#roundMs, LEASE_ROUNDS * this.#roundMs];
    const { sessions, load } = vitals?.() ?? { sessions: 0, load: 0 };
    const said = `${sessions},${load.toFixed(2)}`;
    const me = [this.nodeId, address, this.#since, status, ...times, leaseClock?.() ?? 0, said, level];
    return [...me, ...counted(released), ...counted(asked), ...counted(declined)];
  }

  #learn(live: readonly string[], leases: readonly string[]): void {
    const nowMs = this.#options.clock.monotonic();
    const nodes = new Map<string, ClusterNode>();
    const seen = new Map<string, number>();
    this.#levels = new Map();
    for (let at = 0; at + 4 < live.length; at += 5) {
      const [nodeId = "", address = "", since = "", leaving = "", level = ""] = live.slice(at, at + 5);
      this.#levels.set(nodeId, Number(level));
      const takes = leaving === String(STAYS);
      nodes.set(nodeId, { nodeId, address, since: Number(since), leaving: !takes });
      seen.set(nodeId, takes ? (this.#seen.get(nodeId) ?? nowMs) : nowMs);
    }
    this.#level = Math.min(this.#options.level, ...this.#levels.values());
    this.#nodes = nodes;
    this.#seen = seen;
    this.#owners = new Map();
    for (let at = 0; at + 1 < leases.length; at += 2) this.#owners.set(Number(leases[at]), leases[at + 1] ?? "");
  }

  #hold(shard: number, untilMs: number): void {
    const had = this.#held.has(shard);
    this.#held.set(shard, untilMs);
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
        if (this.#owners.get(shard) === this.nodeId) this.#owners.delete(shard);
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
    for (const shard of this.#held.keys()) {
      if (this.#yielding.has(shard)) continue;
      const due = this.#dueTo(shard);
      if (due === this.nodeId || (due === undefined && !this.#leaving)) continue;
      const settled = due === undefined || nowMs - (this.#seen.get(due) ?? nowMs) >= settledMs;
      if (this.#leaving || settled) this.#yield(shard);
    }
  }

  #yield(shard: number): void {
    const { clock } = this.#options;
    this.#yielding.add(shard);
    const yielded = Promise.withResolvers<boolean>();
    const timer = clock.after(YIELD_ROUNDS * this.#roundMs, () => yielded.resolve(false));
    this.#listener?.yields(shard).then(
      () => yielded.resolve(true),
      () => yielded.resolve(false),
    );
    yielded.promise.then((done) => {
      timer.cancel();
      // It was lost meanwhile, or everything has ended.
      if (this.#stopped || !this.#yielding.delete(shard)) return;
      this.#held.delete(shard);
      this.#released.add(shard);
      if (!done) this.#listener?.lost(shard);
      this.#run();
    }, ignore);
  }

  #picture(): string {
    const nodes = this.nodes().map(({ nodeId, leaving }) => `${nodeId}${leaving ? "-" : "+"}`);
    return `${nodes.join()} ${[...this.#owners].map(([shard, owner]) => `${shard}:${owner}`).join()}`;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }

  /** Somebody has come, gone, or given something up; or that may have been said and was not heard. */
  readonly #noticed = (): void => {
    this.#run();
  };
}

function counted(shards: readonly number[]): readonly number[] {
  return [shards.length, ...shards];
}

function ignore(): void {}
