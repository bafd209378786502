// Which Redis a node starts with, over real ones.

import { expect, it, onTestFinished } from "vitest";
import { connectRedis } from "../../../src/adapters/cluster/redis.js";
import type { RedisAddress } from "../../../src/adapters/cluster/redis-address.js";
import { checkRedis, redisMisfits } from "../../../src/adapters/cluster/redis-check.js";
import { RedisServer } from "../../support/services/redis.js";
import { RedisClusterServers } from "../../support/services/redis-cluster.js";
import { describeWithServers, useServers } from "./use-redis.js";

async function check(address: RedisAddress, allowUnsafe = false): Promise<void> {
  const redis = await connectRedis(address, { name: "test", onError: () => {} });
  onTestFinished(() => redis.disconnect());
  await checkRedis(redis, allowUnsafe);
}

describeWithServers("a Redis that evicts", (command) => {
  const server = useServers(() =>
    RedisServer.start(command, ["--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru"]),
  );

  it("is refused by the name of the policy, and taken where unsafe settings are", async () => {
    const address = { url: `redis://${server().address}` };
    await expect(check(address)).rejects.toThrow("maxmemory-policy is allkeys-lru");
    await check(address, true);
  });
});

describeWithServers("a Redis Cluster", (command) => {
  const servers = useServers(() => RedisClusterServers.start(command));

  it("is looked at master by master", async () => {
    const [one, two] = servers().masters;
    const address = { cluster: servers().addresses };
    await check(address);
    await two?.admin.config("SET", "maxmemory", "50mb", "maxmemory-policy", "allkeys-lru");
    await expect(check(address)).rejects.toThrow(`${two?.server.address}: maxmemory-policy is allkeys-lru`);
    await expect(check({ url: `redis://${one?.server.address}` })).rejects.toThrow("it is a node of a Redis Cluster");
  });
});

it("is refused where it is older than sharded channels", () => {
  const facts = { version: "6.2.14", maxMemory: 0, policy: "noeviction", clusterEnabled: false };
  expect(redisMisfits(facts, { allowUnsafe: true, isClustered: false })).toEqual(["it is Redis 6.2.14, older than 7"]);
});
