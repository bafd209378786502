// Placement over a real Redis.

import { randomUUID } from "node:crypto";
import type { Redis } from "ioredis";
import { expect, it, onTestFinished } from "vitest";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import { RedisPlacement } from "../../../src/adapters/cluster/redis-placement.js";
import { rendezvous } from "../../../src/adapters/cluster/rendezvous.js";
import { describePlacement, type PlacementSubject } from "../../contract/placement.js";
import { describeWith } from "../../support/services/describe-with.js";
import { StoppedClock } from "../../support/stopped-clock.js";

const SHARDS = 16;
const ROUND_MS = 1_000;
/** Steps in which a round passes, and turns in each after which everything that follows has been asked and answered. */
const STEPS = 4;
const TURNS = 8;

async function cluster(url: string): Promise<PlacementSubject & { readonly prefix: string }> {
  const prefix = randomUUID();
  const connections: Redis[] = [];
  const placements: RedisPlacement[] = [];
  const clock = new StoppedClock();
  const connect = async (): Promise<Redis> => {
    const redis = await connectRedis({ url, name: "test", onError: () => {} });
    connections.push(redis);
    return redis;
  };
  /** Redis answers in order, so that a ping on each connection comes back after everything asked before. */
  const settle = async (): Promise<void> => {
    for (let turn = 0; turn < TURNS; turn++) {
      await Promise.allSettled(connections.map((redis) => redis.ping()));
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  return {
    prefix,
    shards: SHARDS,
    node: async () => {
      const [redis, subscriber] = [await connect(), await connect()];
      const placement = new RedisPlacement({
        redis,
        subscriber,
        clock,
        leaseClock: () => 1 + clock.now(),
        nodeId: randomUUID(),
        address: "127.0.0.1:1",
        shards: SHARDS,
        prefix,
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
    rounds: async (count) => {
      for (let step = 0; step < count * STEPS; step++) {
        clock.advance(ROUND_MS / STEPS);
        await settle();
      }
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
    await subject.rounds(6);
    for (const node of [placement, second.placement]) {
      expect(node.nodes()).toHaveLength(2);
      for (let shard = 0; shard < SHARDS; shard++) expect(node.ownerOf(shard)).toBeDefined();
    }
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
