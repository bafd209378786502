// The load of `leases`: nodes that only hold their leases in one Redis. One of them is whole, in a process of its own, so that its CPU can be
// told from theirs; the others say and ask for in each round what a node does that owns its share of the shards.

import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import { LeasePlacement } from "../../src/adapters/cluster/placement/lease-placement.js";
import type { Leases } from "../../src/adapters/cluster/placement/leases.js";
import { RedisLeases } from "../../src/adapters/cluster/placement/redis-leases.js";
import { Rendezvous } from "../../src/adapters/cluster/placement/rendezvous.js";
import { connectRedis, type RedisCommands } from "../../src/adapters/cluster/redis.js";
import { createSystemClock } from "../../src/ops/clock.js";
import { median } from "../stats.js";

export interface LeasesInput {
  readonly redisUrl: string;
  /** Begins the names of what they keep in Redis. */
  readonly prefix: string;
  /** All of them, the whole one included. */
  readonly nodes: number;
  readonly shards: number;
}

export interface NodeLeasesInput extends LeasesInput {
  readonly windowMs: number;
}

export interface OtherLeasesInput extends LeasesInput {
  /** They end once the whole node has been measured, and by then at the latest. */
  readonly deadlineMs: number;
}

export interface LeasesOutcome {
  /** Rounds of all nodes, a second. */
  readonly roundsPerS: number;
  /** What Redis says that one took it, by the clock: on a busy machine longer than its work. */
  readonly redisUs: number;
  /** CPU of Redis, whatever for: in cores. */
  readonly redisCpu: number;
  /** Of the whole node, from asking to the answer: the median. */
  readonly latencyMs: number;
  readonly answerBytes: number;
  /** CPU of the whole node's process. */
  readonly nodeUs: number;
}

const ROUND_MS = 1_000;
const SETTLE_DEADLINE_MS = 60_000;
const POLL_MS = 1_000;
/** So many looks in a row at which nothing had to change. */
const CALM_LOOKS = 5;

/** The whole node: measured. */
export async function runLeases(input: NodeLeasesInput): Promise<LeasesOutcome> {
  const { shards, windowMs, prefix } = input;
  const latencies: number[] = [];
  let problem: string | undefined;
  const fail = (what: string, cause: unknown): void => {
    problem ??= `${what}: ${cause instanceof Error ? cause.message : String(cause)}`;
  };
  const observer = observe(input);
  const redis = await connect(input, "node-0", fail);
  const placement = new LeasePlacement({
    leases: timed(leasesOf(redis, prefix), latencies),
    clock: createSystemClock(),
    nodeId: nodeIds(input)[0] ?? "",
    address: addressOf(0),
    shards,
    level: 1,
    onFault: fail,
  });
  try {
    await placement.start({ gained: () => {}, lost: () => {}, yields: async () => {} });
    const until = performance.now() + SETTLE_DEADLINE_MS;
    for (let calm = 0; calm < CALM_LOOKS; ) {
      calm = isSettled(placement, input) ? calm + 1 : 0;
      if (performance.now() > until) throw new Error("the shards have no owners in time");
      await pause(POLL_MS);
    }
    problem = undefined;
    latencies.length = 0;
    const before = await snapshot(observer);
    await pause(windowMs);
    const after = await snapshot(observer);
    if (!isSettled(placement, input)) throw new Error("shards have changed their owners meanwhile");
    if (problem !== undefined) throw new Error(problem);
    const rounds = after.calls - before.calls;
    return {
      roundsPerS: (rounds * 1_000) / (after.at - before.at),
      redisUs: (after.scriptUs - before.scriptUs) / rounds,
      redisCpu: (after.redisCpuS - before.redisCpuS) / ((after.at - before.at) / 1_000),
      latencyMs: median(latencies),
      answerBytes: (after.output - before.output) / rounds,
      nodeUs: (after.ownCpuUs - before.ownCpuUs) / latencies.length,
    };
  } finally {
    placement.stop();
    redis.disconnect();
    await observer.set(doneKey(input), 1);
    observer.disconnect();
  }
}

/** The others: they say that they live, and hold what is due to them. */
export async function runOtherLeases(input: OtherLeasesInput): Promise<undefined> {
  const { prefix, shards, deadlineMs } = input;
  const ids = nodeIds(input);
  const owned = new Map<string, number[]>(ids.map((id) => [id, []]));
  const rendezvous = new Rendezvous();
  for (let shard = 0; shard < shards; shard++) owned.get(rendezvous.owner(shard, ids) ?? "")?.push(shard);
  const since = Date.now();
  const until = performance.now() + deadlineMs;
  const observer = observe(input);
  let ended = false;
  const watching = (async () => {
    while (!ended && performance.now() < until) {
      await pause(POLL_MS);
      ended = (await observer.exists(doneKey(input)).catch(() => 0)) === 1;
    }
    observer.disconnect();
  })();
  await Promise.all(
    ids.slice(1).map(async (nodeId, at) => {
      // Their rounds do not begin together.
      await pause((at * ROUND_MS) / ids.length);
      // A round that fails is done again with the next.
      const redis = await connect(input, nodeId, () => {});
      const leases = leasesOf(redis, prefix);
      const node = { nodeId, address: addressOf(at + 1), since };
      const round = { node, level: 1, released: [], asked: owned.get(nodeId) ?? [], declined: [] };
      for (let due = performance.now(); !ended && due < until; due += ROUND_MS) {
        await pause(Math.max(0, due - performance.now()));
        await leases.round({ ...round, status: "stays" }).catch(() => {});
      }
      redis.disconnect();
    }),
  );
  await watching;
  return undefined;
}

/** There once the whole node has been measured. */
function doneKey({ prefix }: LeasesInput): string {
  return `${prefix}:done`;
}

/** Waits for as long as Redis takes. */
function observe({ redisUrl }: LeasesInput): Redis {
  const observer = new Redis(redisUrl);
  // It connects again by itself.
  observer.on("error", () => {});
  return observer;
}

type Fail = (what: string, cause: unknown) => void;

function connect({ redisUrl }: LeasesInput, name: string, fail: Fail): Promise<RedisCommands> {
  return connectRedis({ url: redisUrl }, { name, onError: (error) => fail(name, error) });
}

function leasesOf(redis: RedisCommands, prefix: string): RedisLeases {
  return new RedisLeases({
    redis,
    // Nothing is said in a cluster that stays as it is.
    channels: { subscribe: async () => ({ close: () => {} }) },
    prefix,
    roundMs: ROUND_MS,
    vitals: () => ({ sessions: 1_000, load: 0.25, unreached: [] }),
  });
}

/** As long as those of nodes are. */
function nodeIds({ nodes }: LeasesInput): readonly string[] {
  return Array.from({ length: nodes }, (_, at) => `node-${at}.${String(at).padStart(12, "0")}`);
}

function addressOf(at: number): string {
  return `192.0.2.1:${10_000 + at}`;
}

/** All nodes are there, each shard has an owner, and the whole node holds what it is said to own. */
function isSettled(placement: LeasePlacement, { nodes, shards }: LeasesInput): boolean {
  if (placement.nodes().length !== nodes) return false;
  return Array.from({ length: shards }, (_, shard) => shard).every((shard) => {
    const owner = placement.ownerOf(shard)?.nodeId;
    return owner !== undefined && placement.holds(shard) === (owner === placement.nodeId);
  });
}

/** The same leases; how long rounds take is recorded. */
function timed(leases: Leases, latencies: number[]): Leases {
  return {
    roundMs: leases.roundMs,
    round: async (round) => {
      const askedAt = performance.now();
      const standing = await leases.round(round);
      latencies.push(performance.now() - askedAt);
      return standing;
    },
    dueTo: (shard, nodeIds) => leases.dueTo(shard, nodeIds),
    notify: () => leases.notify(),
    onNotified: (listener) => leases.onNotified(listener),
  };
}

async function snapshot(redis: Redis) {
  const [commands, stats, cpu] = [await redis.info("commandstats"), await redis.info("stats"), await redis.info("cpu")];
  const script = /^cmdstat_evalsha:calls=(\d+),usec=(\d+)/m.exec(commands);
  const output = /^total_net_output_bytes:(\d+)/m.exec(stats)?.[1];
  const cpuOf = (kind: string) => Number(new RegExp(`^used_cpu_${kind}:([0-9.]+)`, "m").exec(cpu)?.[1]);
  const redisCpuS = cpuOf("user") + cpuOf("sys");
  if (script === null || output === undefined || Number.isNaN(redisCpuS))
    throw new Error("Redis does not say what it has done");
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now(),
    calls: Number(script[1]),
    scriptUs: Number(script[2]),
    output: Number(output),
    redisCpuS,
    ownCpuUs: user + system,
  };
}
