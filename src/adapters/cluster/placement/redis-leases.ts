// Leases in Redis: a script says for a node that it lives, renews and takes leases, and answers how things stand.

import { readFileSync } from "node:fs";
import type { Result } from "ioredis";
import type { ClusterNode } from "../../../ports/placement.js";
import type { RedisCommands } from "../redis.js";
import type { RedisChannels } from "../redis-channels.js";
import { LEASE_ROUNDS, type Leases, NODE_ROUNDS, type NodeStatus, type Round, type Standing } from "./leases.js";
import { Rendezvous } from "./rendezvous.js";

declare module "ioredis" {
  interface RedisCommander<Context> {
    trunklinePlace(...args: (string | number)[]): Result<[number, string[], string[], string[]], Context>;
  }
}

const SCRIPT = readFileSync(new URL("../lua/place.lua", import.meta.url), "utf8");
const KEYS = 3;

/** Nodes that a node names as not reached: each node reads what all others say, every round. */
const MAX_UNREACHED = 8;
const DEFAULT_ROUND_MS = 1_000;

/** As the script is told. */
const STATUS: Readonly<Record<NodeStatus, number>> = { stays: 0, leaves: 1, gone: 2, unable: 3 };

export interface RedisLeasesOptions {
  readonly redis: RedisCommands;
  /** Its owner stops it. */
  readonly channels: Pick<RedisChannels, "subscribe">;
  readonly prefix: string;
  /** How often the node says that it lives, in milliseconds; a lease holds for three times as long. Default 1,000. */
  readonly roundMs?: number;
  /** What leases expire by, in milliseconds. Default: Redis's own clock, the only one that all nodes share. */
  readonly leaseClock?: () => number;
  /** How busy the node is, for `readNodes`. Default: it does not say. */
  readonly vitals?: () => NodeVitals;
}

/** How busy a node is, as it says with each round. */
export interface NodeVitals {
  /** Live sessions. */
  readonly sessions: number;
  /** 0 to 1. */
  readonly load: number;
  /** Ids of nodes that live and that it cannot ask. */
  readonly unreached: readonly string[];
}

export class RedisLeases implements Leases {
  readonly #rendezvous = new Rendezvous();
  readonly roundMs: number;
  readonly #options: RedisLeasesOptions;
  readonly #keys: readonly [string, string, string];
  readonly #channel: string;

  constructor(options: RedisLeasesOptions) {
    this.#options = options;
    this.roundMs = options.roundMs ?? DEFAULT_ROUND_MS;
    // One hash slot, so that the script may touch all.
    const key = (of: string): string => `${options.prefix}:{placement}:${of}`;
    this.#keys = [key("nodes"), key("leases"), key("levels")];
    this.#channel = key("changed");
    options.redis.defineCommand("trunklinePlace", { numberOfKeys: KEYS, lua: SCRIPT });
  }

  async round({ node, level, status, released, asked, declined }: Round): Promise<Standing> {
    const { redis, leaseClock, vitals } = this.#options;
    const times = [NODE_ROUNDS * this.roundMs, LEASE_ROUNDS * this.roundMs];
    const { sessions, load, unreached } = vitals?.() ?? { sessions: 0, load: 0, unreached: [] };
    const me = [node.nodeId, node.address, node.since, STATUS[status], ...times, leaseClock?.() ?? 0];
    const said = [[sessions, load.toFixed(2), ...unreached.slice(0, MAX_UNREACHED)].join(","), level];
    const shards = [...counted(released), ...counted(asked), ...counted(declined)];
    const [known, live, leases, needed] = await redis.trunklinePlace(...this.#keys, ...me, ...said, ...shards);
    return {
      known: known !== 0,
      nodes: liveNodes(live),
      owners: new Map(pairs(leases).map(([shard, nodeId]) => [Number(shard), nodeId])),
      needed: new Map(pairs(needed).map(([shard, least]) => [Number(shard), Number(least)])),
    };
  }

  dueTo(shard: number, nodeIds: readonly string[]): string | undefined {
    return this.#rendezvous.owner(shard, nodeIds);
  }

  async notify(): Promise<void> {
    // Whoever does not hear it sees it in the next round.
    await this.#options.redis.spublish(this.#channel, "").catch(() => {});
  }

  async onNotified(listener: () => void): Promise<() => void> {
    const heard = await this.#options.channels.subscribe(this.#channel, { message: listener, missed: listener });
    return () => heard.close();
  }
}

function counted(shards: readonly number[]): readonly number[] {
  return [shards.length, ...shards];
}

function liveNodes(live: readonly string[]): Standing["nodes"] {
  const nodes: { readonly node: ClusterNode; readonly level: number }[] = [];
  for (let at = 0; at + 4 < live.length; at += 5) {
    const [nodeId = "", address = "", since = "", status = "", level = ""] = live.slice(at, at + 5);
    const leaving = status !== String(STATUS.stays);
    nodes.push({ node: { nodeId, address, since: Number(since), leaving }, level: Number(level) });
  }
  return nodes;
}

function pairs(flat: readonly string[]): readonly (readonly [string, string])[] {
  const found: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < flat.length; at += 2) found.push([flat[at] ?? "", flat[at + 1] ?? ""]);
  return found;
}
