// Which Redis a node starts with, over real ones.

import { expect, it, onTestFinished } from "vitest";
import { connectRedis, RedisProbe } from "../../../src/adapters/cluster/redis.js";
import type { RedisAddress } from "../../../src/adapters/cluster/redis-address.js";
import { checkRedis, redisMisfits } from "../../../src/adapters/cluster/redis-check.js";
import { reasonOf } from "../../../src/backbone/dependency.js";
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

describeWithServers("a Redis", (command) => {
  const server = useServers(() => RedisServer.start(command, ["--databases", "2"]));

  it("is not used in another database than the one that was asked for", async () => {
    await check({ url: `redis://${server().address}/1` });
    const failed = check({ url: `redis://${server().address}/2` }).catch(reasonOf);
    expect(await failed).toBe("ERR DB index is out of range");
  });

  it("that has no cluster says so, where it was given as one", async () => {
    const connected = connectRedis(
      { cluster: [server().address] },
      { name: "test", deadlineMs: 1_500, onError: () => {} },
    );
    expect(await connected.catch(reasonOf)).toBe("ERR This instance has cluster support disabled");
  });

  it("that is away is told by why there is no connection", async () => {
    const away = await RedisServer.start(command);
    const redis = await connectRedis({ url: `redis://${away.address}` }, { name: "test", onError: () => {} });
    onTestFinished(() => redis.disconnect());
    const probe = new RedisProbe(redis);
    await probe.ask();
    const noticed = new Promise((resolve) => redis.once("error", resolve));
    await away.stop("SIGKILL");
    await noticed;
    expect(await probe.ask().catch(reasonOf)).toBe(`connect ECONNREFUSED ${away.address}`);
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
