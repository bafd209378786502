// Which Redis a cluster can stand on.

import { expect, test } from "vitest";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import { checkRedis, factsOf, RedisUnfit, redisMisfits } from "../../../src/adapters/cluster/redis-check.js";
import { describeWith } from "../../support/services/describe-with.js";

const FACTS = { version: "7.0.15", maxMemory: 0, policy: "noeviction" };

test.each([
  ["of version 7 without a bound on its memory", FACTS],
  ["that would evict, if it had a bound on its memory", { ...FACTS, policy: "allkeys-lru" }],
  ["with a bound on its memory that evicts nothing", { ...FACTS, version: "8.2.0", maxMemory: 1e9 }],
])("one %s fits", (_, facts) => {
  expect(redisMisfits(facts, false)).toEqual([]);
});

test("one that evicts does not, unless that is allowed; one that is too old never does", () => {
  const evicting = { ...FACTS, maxMemory: 1e9, policy: "allkeys-lru" };
  expect(redisMisfits(evicting, false)).toMatchObject([expect.stringContaining("maxmemory-policy is allkeys-lru")]);
  expect(redisMisfits(evicting, true)).toEqual([]);
  expect(redisMisfits({ ...FACTS, version: "6.2.1" }, true)).toMatchObject([expect.stringContaining("Redis 6.2.1")]);
});

test("what INFO says is read line by line", () => {
  const info = "# Server\r\nredis_version:7.2.0\r\n\r\n# Memory\r\nmaxmemory:42\r\nmaxmemory_policy:volatile-ttl\r\n";
  expect(factsOf(info)).toEqual({ version: "7.2.0", maxMemory: 42, policy: "volatile-ttl" });
});

describeWith("redis", "a Redis of the tests", (url) => {
  test("fits", async () => {
    const redis = await connectRedis({ url, name: "test", onError: () => {} });
    try {
      await checkRedis(redis, false);
      await expect(checkRedis({ info: async () => "redis_version:5.0.1" } as typeof redis, false)).rejects.toThrow(
        RedisUnfit,
      );
    } finally {
      redis.disconnect();
    }
  });
});
