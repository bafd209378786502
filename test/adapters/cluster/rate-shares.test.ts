// Shares of rates over a real Redis.

import { randomUUID } from "node:crypto";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { connectRedis, type RedisCommands } from "../../../src/adapters/cluster/redis.js";
import { RedisRateShares } from "../../../src/adapters/cluster/redis-rate-shares.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { RATE_LEASE_MS } from "../../../src/ports/rate-shares.js";
import { describeRateShares } from "../../contract/rate-shares.js";
import { describeEachRedis, nodesOf } from "./use-redis.js";

describeEachRedis("shares of rates in Redis", (subject) => {
  const connect = (): Promise<RedisCommands> => connectRedis(subject().address, { name: "test", onError: () => {} });
  let shared: Promise<RedisCommands> | undefined;

  afterAll(async () => (await shared)?.disconnect());

  describeRateShares("Redis", async () => {
    shared ??= connect();
    const redis = await shared;
    const prefix = randomUUID();
    let nowMs = 1;
    return {
      node: () => new RedisRateShares({ redis, nodeId: randomUUID(), prefix, leaseClock: () => nowMs }),
      pass: (ms) => {
        nowMs += ms;
      },
      close: async () => {},
    };
  });

  async function useShares() {
    const redis = await connect();
    onTestFinished(() => redis.disconnect());
    const prefix = randomUUID();
    return { redis, prefix, shares: new RedisRateShares({ redis, nodeId: "a", prefix }) };
  }

  it("go by the clock of Redis, and keep nothing of a rate that nobody reports", async () => {
    const { redis, prefix, shares } = await useShares();
    expect(await shares.lease([{ name: "publish:acme/ann", demand: 1 }])).toEqual([1_000]);
    const key = `${prefix}:rate:{publish:acme/ann}`;
    const expiry = Number((await redis.hget(key, "a"))?.split(" ")[2]);
    const [seconds = 0] = await redis.time();
    expect(Math.abs(expiry - RATE_LEASE_MS - Number(seconds) * 1_000)).toBeLessThan(60_000);
    expect(await redis.pttl(key)).toBeGreaterThan(0);
    await shares.lease([{ name: "publish:acme/ann", demand: 0 }]);
    expect(await redis.exists(key)).toBe(0);
  });

  it("survive that Redis loses its scripts", async () => {
    const { redis, shares } = await useShares();
    for (const node of nodesOf(redis)) await node.script("FLUSH");
    expect(await shares.lease([{ name: "publish:acme/ann", demand: 1 }])).toEqual([1_000]);
  });

  it("cannot be leased where Redis is away", async () => {
    const { redis, shares } = await useShares();
    redis.disconnect();
    const asked = shares.lease([{ name: "publish:acme/ann", demand: 1 }]);
    await expect(asked).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });
});
