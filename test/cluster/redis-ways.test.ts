// Two nodes on a Redis Cluster, and two on a Redis that Sentinel watches: a master dies while people talk.

import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { Crowd } from "../support/cluster/crowd.js";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster } from "../support/cluster/test-cluster.js";
import { find } from "../support/services/process.js";
import { RedisClusterServers } from "../support/services/redis-cluster.js";
import { type SentinelServers, startSentinel } from "../support/services/redis-sentinel.js";
import { printedSeed, seeded } from "../support/story/random.js";

/** Bounds for the tests, not claims about speed. */
const START_MS = 120_000;
const CATCH_UP_MS = 60_000;

interface Way {
  readonly title: string;
  start(): Promise<Servers>;
}

interface Servers {
  readonly url: string;
  readonly environment: { readonly [name: string]: string };
  /** SIGKILL to the master that keeps the leases of the cluster of this name. */
  killMaster(cluster: string): Promise<void>;
  stop(): Promise<void>;
}

const WAYS: readonly Way[] = [
  {
    title: "a Redis Cluster",
    start: async () => clustered(await RedisClusterServers.start(await redis(), { replicas: true })),
  },
  { title: "a Redis whose master Sentinel names", start: async () => watched(await startSentinel(await redis())) },
];

async function redis(): Promise<string> {
  return (await find("redis-server")) ?? "redis-server";
}

function clustered(servers: RedisClusterServers): Servers {
  return {
    url: "redis://",
    environment: { TRUNKLINE_REDIS_CLUSTER: servers.addresses.join(",") },
    killMaster: (cluster) => servers.masterOf(`${cluster}:{placement}`).server.stop("SIGKILL"),
    stop: () => servers.stop(),
  };
}

function watched({ address, master, stop }: SentinelServers): Servers {
  const { sentinels, master: name, password = "", sentinelPassword = "" } = address;
  return {
    url: `redis://:${encodeURIComponent(password)}@sentinel`,
    environment: {
      TRUNKLINE_REDIS_SENTINELS: sentinels.join(","),
      TRUNKLINE_REDIS_MASTER: name,
      TRUNKLINE_REDIS_SENTINEL_PASSWORD: sentinelPassword,
    },
    killMaster: () => master.stop("SIGKILL"),
    stop,
  };
}

describeCluster("two nodes", ({ kafka, mongo }) => {
  describe.each(WAYS)("on $title", ({ start }) => {
    const random = seeded(printedSeed("redis-ways"));
    let servers: Servers | undefined;
    let cluster: TestCluster;
    beforeAll(async () => {
      servers = await start();
      cluster = new TestCluster({ services: { redis: servers.url, kafka, mongo }, environment: servers.environment });
      for (const node of await cluster.start("one", "two")) await node.ready();
    }, START_MS);
    afterAll(async () => {
      await cluster?.dispose();
      await servers?.stop();
    }, START_MS);

    test("lose nothing when the master with their leases dies", { timeout: START_MS }, async () => {
      const talking = new Crowd({ cluster, roomId: "harbour", random });
      onTestFinished(() => talking.stop());
      await talking.begin(cluster.node("one"));
      await talking.goesOn(10, CATCH_UP_MS);
      await servers?.killMaster(cluster.name);
      await talking.goesOn(20, CATCH_UP_MS);
      const { findings } = await talking.judge(cluster.node("two"), CATCH_UP_MS);
      expect(findings.slice(0, 20)).toEqual([]);
      expect(talking.violations).toEqual([]);
      for (const node of cluster.nodes) await node.ready();
    });
  });
});
