// Redis in the ways that a cluster may have it: what the adapters promise holds over each of them.

import { Cluster, type Redis } from "ioredis";
import { afterAll, beforeAll, describe } from "vitest";
import { connectRedis, type RedisCommands } from "../../../src/adapters/cluster/redis.js";
import type { RedisAddress } from "../../../src/adapters/cluster/redis-address.js";
import { RedisChannels } from "../../../src/adapters/cluster/redis-channels.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import type { Clock } from "../../../src/ports/clock.js";
import type { RoomRef } from "../../../src/ports/room-ref.js";
import { describeWith } from "../../support/services/describe-with.js";
import { find } from "../../support/services/process.js";
import { RedisClusterServers } from "../../support/services/redis-cluster.js";

export const redisServer = await find("redis-server");
const START_DEADLINE_MS = 60_000;

/** A describe that needs processes of redis-server of its own; skipped, or failing in CI, where it is not installed. */
export function describeWithServers(title: string, body: (command: string) => void): void {
  if (redisServer !== undefined) describe(title, () => body(redisServer ?? ""));
  else if (process.env.CI === "true") throw new Error(`${title}: install redis-server. In CI it must be there`);
  else describe.skip(`${title} (install redis-server)`, () => body(""));
}

/** The servers of a suite: started before it, ended after it. */
export function useServers<T extends { stop(): Promise<void> }>(start: () => Promise<T>): () => T {
  let servers: T | undefined;
  beforeAll(async () => {
    servers = await start();
  }, START_DEADLINE_MS);
  afterAll(() => servers?.stop());
  return () => {
    if (servers === undefined) throw new Error("the servers have not started");
    return servers;
  };
}

/** Where a suite's Redis is, and a channel on each of its nodes, all with the prefix. */
export interface RedisSubject {
  readonly address: RedisAddress;
  readonly channels: (prefix: string) => readonly string[];
}

/** Describes the same of one Redis and of a Redis Cluster. */
export function describeEachRedis(title: string, body: (subject: () => RedisSubject) => void): void {
  describeWith("redis", `${title}, one server`, (url) => {
    body(() => ({ address: { url }, channels: (prefix) => [`${prefix}:{0}`] }));
  });
  describeWithServers(`${title} as a cluster`, (command) => {
    const servers = useServers(() => RedisClusterServers.start(command));
    body(() => ({
      address: { cluster: servers().addresses },
      channels: (prefix) => servers().keys(prefix),
    }));
  });
}

/** What a node has of Redis. */
export interface RedisOfNode {
  readonly redis: RedisCommands;
  readonly channels: RedisChannels;
  /** As though its connections were cut for good. */
  stop(): void;
}

export async function redisOfNode(
  address: RedisAddress,
  nodeId: string,
  prefix: string,
  { clock = createSystemClock() }: { readonly clock?: Clock } = {},
): Promise<RedisOfNode> {
  const redis = await connectRedis(address, { name: "test", onError: () => {} });
  const channels = await RedisChannels.open({
    address,
    commands: redis,
    clock,
    nodeId,
    prefix,
    name: nodeId,
    onFault: () => {},
  });
  return {
    redis,
    channels,
    stop: () => {
      channels.stop();
      redis.disconnect();
    },
  };
}

/** Rooms are spread over a few shards. */
export function someShard({ key }: RoomRef): number {
  return Buffer.from(key).reduce((sum, byte) => sum + byte, 0) % 8;
}

/** Cuts the connections that a node listens on, on every Redis node: they are made anew. */
export async function cutChannels(redis: RedisCommands, nodeId: string): Promise<void> {
  for (const node of nodesOf(redis)) {
    const clients = String(await node.client("LIST")).split("\n");
    for (const client of clients) {
      const id = /^id=(\d+) /.exec(client)?.[1];
      if (id !== undefined && client.includes(nodeId)) await node.client("KILL", "ID", id);
    }
  }
}

/** The Redis nodes that a connection leads to. */
export function nodesOf(redis: RedisCommands): readonly Redis[] {
  return redis instanceof Cluster ? redis.nodes("master") : [redis];
}

/** Resolves once everything that was asked on the node's connections before is answered, and what was said is heard. */
export async function heardAll({ redis, channels }: RedisOfNode, { channels: names }: RedisSubject): Promise<void> {
  await Promise.all(nodesOf(redis).map((node) => node.ping()));
  const heard = names("settled").map((name) => channels.subscribe(name, { message: () => {}, missed: () => {} }));
  for (const subscription of await Promise.all(heard)) subscription.close();
}

/** On all Redis nodes. */
export async function keysOf(redis: RedisCommands, pattern: string): Promise<readonly string[]> {
  return (await Promise.all(nodesOf(redis).map((node) => node.keys(pattern)))).flat();
}
