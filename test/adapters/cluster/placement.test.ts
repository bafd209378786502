// Placement over a real Redis.

import { randomUUID } from "node:crypto";
import { setTimeout as pause } from "node:timers/promises";
import type { Redis } from "ioredis";
import { expect, it, onTestFinished } from "vitest";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import { RedisPlacement } from "../../../src/adapters/cluster/redis-placement.js";
import { rendezvous } from "../../../src/adapters/cluster/rendezvous.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import { describePlacement, type PlacementSubject } from "../../contract/placement.js";
import { describeWith } from "../../support/services/describe-with.js";

const SHARDS = 16;
const ROUND_MS = 200;

async function cluster(url: string): Promise<PlacementSubject & { readonly prefix: string }> {
  const prefix = randomUUID();
  const connections: Redis[] = [];
  const placements: RedisPlacement[] = [];
  const connect = async (): Promise<Redis> => {
    const redis = await connectRedis({ url, name: "test", onError: () => {} });
    connections.push(redis);
    return redis;
  };
  return {
    prefix,
    shards: SHARDS,
    node: async () => {
      const [redis, subscriber] = [await connect(), await connect()];
      const placement = new RedisPlacement({
        redis,
        subscriber,
        clock: createSystemClock(),
        nodeId: randomUUID(),
        address: "127.0.0.1:1",
        shards: SHARDS,
        prefix,
        roundMs: ROUND_MS,
        onFault: () => {},
      });
      placements.push(placement);
      return {
        placement,
        cutOff: () => {
          redis.disconnect();
          subscriber.disconnect();
        },
      };
    },
    // Leases are Redis's and pass by its clock.
    rounds: async (count) => {
      await pause(count * ROUND_MS);
    },
    close: async () => {
      for (const placement of placements) placement.stop();
      for (const redis of connections) redis.disconnect();
    },
  };
}

describeWith("redis", "leases in Redis", (url) => {
  describePlacement("Redis", () => cluster(url));

  it("are taken again after Redis was emptied", async () => {
    const subject = await cluster(url);
    onTestFinished(() => subject.close());
    const redis = await connectRedis({ url, name: "test", onError: () => {} });
    onTestFinished(() => redis.disconnect());
    const { placement } = await subject.node();
    await placement.start({ gained: () => {}, lost: () => {}, yields: async () => {} });
    await redis.del(`${subject.prefix}:{placement}:nodes`, `${subject.prefix}:{placement}:leases`);
    const second = await subject.node();
    await second.placement.start({ gained: () => {}, lost: () => {}, yields: async () => {} });
    await expect.poll(() => second.placement.nodes().length, { timeout: 5_000 }).toBe(2);
    await expect
      .poll(() => Array.from({ length: SHARDS }, (_, shard) => second.placement.ownerOf(shard)).includes(undefined), {
        timeout: 5_000,
      })
      .toBe(false);
  });
});

it("moves only the share of a node that comes", () => {
  const nodes = ["a", "b", "c"];
  const shards = Array.from({ length: 300 }, (_, shard) => shard);
  const before = shards.map((shard) => rendezvous(shard, nodes));
  const after = shards.map((shard) => rendezvous(shard, [...nodes, "d"]));
  const moved = shards.filter((shard) => before[shard] !== after[shard]);
  expect(moved.every((shard) => after[shard] === "d")).toBe(true);
  expect(moved.length).toBeGreaterThan(40);
  expect(moved.length).toBeLessThan(120);
  expect(rendezvous(1, [])).toBeUndefined();
});
