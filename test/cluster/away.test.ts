// A node whose services go away one after the other and come back: what it says of itself meanwhile.

import { afterAll, beforeAll, expect, test } from "vitest";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster, type TestNode } from "../support/cluster/test-cluster.js";
import { type RunningKafka, startKafka } from "../support/services/kafka.js";
import { type RunningMongo, startMongo } from "../support/services/mongo.js";
import { lastingPort } from "../support/services/process.js";
import { type RunningRedis, startRedis } from "../support/services/redis.js";
import { Person } from "../support/story/person.js";

const START_MS = 120_000;
const TURN_MS = 30_000;
/** Once for each turn. */
const LINES = ["a service is away: what needs it is refused", "a service is there again"];

describeCluster("a node whose services go away", () => {
  let [redis, kafka, mongo]: [RunningRedis?, RunningKafka?, RunningMongo?] = [];
  let cluster: TestCluster;
  let node: TestNode;
  let metricsPort: number;

  beforeAll(async () => {
    [redis, kafka, mongo] = await Promise.all([startRedis(), startKafka(), startMongo()]);
    metricsPort = await lastingPort();
    cluster = new TestCluster({
      services: { redis: redis?.url ?? "", kafka: kafka?.url ?? "", mongo: mongo?.url ?? "" },
      environment: { TRUNKLINE_METRICS_PORT: `${metricsPort}` },
    });
    [node] = await cluster.start("one");
    await node.ready();
  }, START_MS);
  afterAll(async () => {
    await cluster?.dispose();
    await Promise.all([redis?.stop(), kafka?.stop(), mongo?.stop()]);
  }, START_MS);

  /** The gauge of the metrics, by service. */
  async function away(dependency: string): Promise<boolean> {
    const text = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    return text.includes(`trunkline_dependency_away{dependency="${dependency}"} 1`);
  }

  /** Goes through a turn each way; what a look at `/health/ready` then holds is the caller's. */
  async function turns(
    dependency: string,
    { goes, comes }: { goes: () => Promise<void> | void; comes: () => Promise<void> | void },
    told: (health: Health) => unknown,
  ): Promise<void> {
    const logged = () => LINES.map((line) => node.timesLogged(line));
    const before = logged();
    await goes();
    await expect
      .poll(async () => told(await health()), { timeout: TURN_MS })
      .toEqual(expect.stringContaining("is away: "));
    await expect.poll(() => away(dependency), { timeout: TURN_MS }).toBe(true);
    expect((await fetch(`${node.endpoints.http}/health/live`)).status).toBe(200);
    await comes();
    await expect.poll(() => health(), { timeout: TURN_MS }).toEqual({ ready: true, reasons: [], limits: [] });
    expect(await away(dependency)).toBe(false);
    await expect.poll(logged, { timeout: TURN_MS }).toEqual(before.map((times) => times + 1));
  }

  interface Health {
    readonly ready: boolean;
    readonly reasons: readonly string[];
    readonly limits: readonly string[];
  }

  async function health(): Promise<Health> {
    const response = await fetch(`${node.endpoints.http}/health/ready`);
    return { limits: [], ...((await response.json()) as Omit<Health, "limits">) };
  }

  async function carries(roomId: string): Promise<void> {
    const ada = await new Person(node, "ada").comes();
    await ada.makes(roomId);
    await ada.reads(roomId);
    await ada.says(roomId, "all well");
    await ada.sees(roomId, "ada: all well");
  }

  test("is not ready without Redis, and is again when it has come back with nothing", {
    timeout: START_MS,
  }, async () => {
    const service = { goes: () => redis?.kill(), comes: () => redis?.restart("nothing") };
    await turns("redis", service, ({ ready, reasons }) => !ready && reasons.join("; "));
    await carries("after-redis");
  });

  test("is not ready without Kafka, and is again when it answers", { timeout: START_MS }, async () => {
    const service = { goes: () => kafka?.pause(), comes: () => kafka?.resume() };
    await turns("kafka", service, ({ ready, reasons }) => !ready && reasons.join("; "));
    await carries("after-kafka");
  });

  test("is ready within limits without MongoDB", { timeout: START_MS }, async () => {
    const service = { goes: () => mongo?.pause(), comes: () => mongo?.resume() };
    await turns("mongodb", service, ({ ready, limits }) => ready && limits.join("; "));
    await carries("after-mongodb");
  });
});
