// A node that another cannot reach, though both live: who operates them is told, and clients are served all the same.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { NodeReport } from "../../src/adapters/cluster/cluster-nodes.js";
import { nodesCommand } from "../../src/cli/nodes.js";
import { runCommandLine } from "../../src/cli/run.js";
import { testTerminal } from "../cli/test-terminal.js";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster, type TestNode } from "../support/cluster/test-cluster.js";
import { lastingPort } from "../support/services/process.js";
import { Person } from "../support/story/person.js";

const START_MS = 120_000;
const TOLD_MS = 30_000;

describeCluster("a node that cannot be asked", (services) => {
  const cluster = new TestCluster({ services });
  let one: TestNode;
  let nowhere: string;
  let metricsPort: number;

  beforeAll(async () => {
    nowhere = `127.0.0.1:${await lastingPort()}`;
    metricsPort = await lastingPort();
    one = cluster.node("one", { environment: { TRUNKLINE_METRICS_PORT: `${metricsPort}` } });
    const two = cluster.node("two", { environment: { TRUNKLINE_PEER_ADDRESS: nowhere } });
    await one.start();
    await one.ready();
    await two.start();
    await two.ready();
  }, START_MS);
  afterAll(() => cluster.dispose(), START_MS);

  async function nodes(): Promise<readonly Pick<NodeReport, "name" | "shards" | "unreached">[]> {
    const environment = { TRUNKLINE_REDIS_URL: services.redis, TRUNKLINE_CLUSTER_NAME: cluster.name };
    const terminal = testTerminal({ environment });
    await runCommandLine([nodesCommand], ["nodes", "--format", "json"], terminal, "1.2.3");
    return terminal
      .printed()
      .split("\n")
      .filter(Boolean)
      .map((line) => JSON.parse(line));
  }

  async function health(): Promise<unknown> {
    return await (await fetch(`${one.endpoints.http}/health/ready`)).json();
  }

  async function metrics(): Promise<string> {
    return await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
  }

  test("is named by who cannot ask it, which stays ready", { timeout: START_MS }, async () => {
    await expect.poll(async () => (await nodes()).every(({ shards }) => shards > 0), { timeout: TOLD_MS }).toBe(true);
    const ada = await new Person(one, "ada").comes();
    // Some of these are the other node's.
    const made = Array.from({ length: 12 }, (_, room) => ada.makes(`room-${room}`).catch(() => {}));
    await expect.poll(health, { timeout: TOLD_MS }).toMatchObject({
      ready: true,
      limits: [expect.stringContaining(`the node at ${nowhere} cannot be asked: `)],
    });
    await expect.poll(nodes, { timeout: TOLD_MS }).toMatchObject([
      { name: "one", unreached: ["two"] },
      { name: "two", unreached: [] },
    ]);
    expect(await metrics()).toMatch(/^trunkline_peer_away\{node="two\.[0-9a-f]+"\} 1$/m);
    await cluster.node("two").kill();
    await Promise.all(made);
    await expect.poll(metrics, { timeout: TOLD_MS }).not.toContain("trunkline_peer_away{");
    await one.ready();
  });
});
