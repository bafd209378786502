// Which Redis a cluster can stand on.

import { expect, test } from "vitest";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import { checkRedis, factsOf, redisMisfits } from "../../../src/adapters/cluster/redis-check.js";
import { describeWith } from "../../support/services/describe-with.js";

const FACTS = { version: "7.0.15", maxMemory: 0, policy: "noeviction", clusterEnabled: false };

const SAFE = { allowUnsafe: false, isClustered: false };

test.each([
  ["of version 7 without a bound on its memory", FACTS],
  ["that would evict, if it had a bound on its memory", { ...FACTS, policy: "allkeys-lru" }],
  ["with a bound on its memory that evicts nothing", { ...FACTS, version: "8.2.0", maxMemory: 1e9 }],
])("one %s fits", (_, facts) => {
  expect(redisMisfits(facts, SAFE)).toEqual([]);
});

test("one that evicts does not, unless that is allowed; one that is too old never does", () => {
  const evicting = { ...FACTS, maxMemory: 1e9, policy: "allkeys-lru" };
  expect(redisMisfits(evicting, SAFE)).toMatchObject([expect.stringContaining("maxmemory-policy is allkeys-lru")]);
  expect(redisMisfits(evicting, { ...SAFE, allowUnsafe: true })).toEqual([]);
  expect(redisMisfits({ ...FACTS, version: "6.2.1" }, { ...SAFE, allowUnsafe: true })).toMatchObject([
    expect.stringContaining("Redis 6.2.1"),
  ]);
});

test("a node of a Redis Cluster is to be named as that", () => {
  const clustered = { ...FACTS, clusterEnabled: true };
  expect(redisMisfits(clustered, SAFE)).toMatchObject([expect.stringContaining("given as a single Redis")]);
  expect(redisMisfits(clustered, { ...SAFE, isClustered: true })).toEqual([]);
});

test("what INFO says is read line by line", () => {
  const info = "# Server\r\nredis_version:7.2.0\r\n\r\n# Memory\r\nmaxmemory:42\r\nmaxmemory_policy:volatile-ttl\r\n";
  expect(factsOf(info)).toEqual({ version: "7.2.0", maxMemory: 42, policy: "volatile-ttl", clusterEnabled: false });
});

describeWith("redis", "a Redis of the tests", (url) => {
  test("fits", async () => {
    const redis = await connectRedis({ url }, { name: "test", onError: () => {} });
    try {
      await checkRedis(redis, false);
    } finally {
      redis.disconnect();
    }
  });
});
