// Counts of tenants' sessions over a real Redis.

import { randomUUID } from "node:crypto";
import { afterAll, expect, it, onTestFinished } from "vitest";
import { connectRedis, type RedisCommands } from "../../../src/adapters/cluster/redis.js";
import { RedisTenantSessions } from "../../../src/adapters/cluster/redis-tenant-sessions.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { describeTenantSessions } from "../../contract/tenant-sessions.js";
import { describeEachRedis } from "./use-redis.js";

describeEachRedis("counts of tenants' sessions in Redis", (subject) => {
  const connect = (): Promise<RedisCommands> => connectRedis(subject().address, { name: "test", onError: () => {} });
  let shared: Promise<RedisCommands> | undefined;

  afterAll(async () => (await shared)?.disconnect());

  describeTenantSessions("Redis", async () => {
    shared ??= connect();
    const redis = await shared;
    const prefix = randomUUID();
    let nowMs = 1;
    return {
      node: () => new RedisTenantSessions({ redis, nodeId: randomUUID(), prefix, leaseClock: () => nowMs }),
      pass: (ms) => {
        nowMs += ms;
      },
      close: async () => {},
    };
  });

  it("keep nothing of a tenant that has none, and are UNAVAILABLE where Redis is away", async () => {
    const redis = await connect();
    onTestFinished(() => redis.disconnect());
    const prefix = randomUUID();
    const counts = new RedisTenantSessions({ redis, nodeId: "a", prefix });
    const key = `${prefix}:sessions:{acme}`;
    await counts.count({ tenantId: "acme", sessions: 1, limit: 0 });
    expect(await redis.pttl(key)).toBeGreaterThan(0);
    await counts.count({ tenantId: "acme", sessions: 0, limit: 0 });
    expect(await redis.exists(key)).toBe(0);
    redis.disconnect();
    const asked = counts.count({ tenantId: "acme", sessions: 1, limit: 0 });
    await expect(asked).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });
});
