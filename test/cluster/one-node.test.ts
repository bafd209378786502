// A cluster of one node, on real services: what was said is there after the process is gone.

import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster } from "../support/cluster/test-cluster.js";
import { run } from "../support/services/process.js";
import { Person } from "../support/story/person.js";

const START_MS = 60_000;
const CLI = fileURLToPath(new URL("../../dist/src/cli.js", import.meta.url));

describeCluster("a cluster of one node", (services) => {
  const cluster = new TestCluster({ services });
  const node = cluster.node("one");
  beforeAll(async () => {
    await node.start();
    await node.ready();
  }, START_MS);
  afterAll(() => cluster.dispose(), START_MS);

  test("carries a conversation", async () => {
    const [ada, bob] = [await new Person(node, "ada").comes(), await new Person(node, "bob").comes()];
    await ada.makes("harbour", { members: [{ userId: "bob" }] });
    await ada.reads("harbour");
    await bob.reads("harbour");
    await ada.says("harbour", "is anybody there?");
    await bob.says("harbour", "yes");
    await ada.sees("harbour", "ada: is anybody there?", "bob: yes");
    await bob.sees("harbour", "ada: is anybody there?", "bob: yes");
  });

  test("is ready, and says so", async () => {
    await node.ready();
    expect(await node.readiness()).toEqual({ ready: true, reasons: [] });
  });

  test("is listed with its shards and sessions", async () => {
    const nodes = async (...more: readonly string[]) => {
      const environment = { TRUNKLINE_REDIS_URL: services.redis, TRUNKLINE_CLUSTER_NAME: cluster.name };
      const env = { PATH: process.env.PATH, ...environment };
      return (await run(process.execPath, [CLI, "nodes", ...more], { env })).stdout;
    };
    const listed = { name: "one", shards: 8, sessions: 2, leaving: false };
    await expect
      .poll(async () => JSON.parse(await nodes("--format", "json")), { timeout: START_MS })
      .toMatchObject(listed);
    expect(await nodes()).toMatch(/^NAME +ID .*\none +one\.[0-9a-f]+ +127\.0\.0\.1:\d+ .* live +8 +2 /);
  });

  test("has everything that was said when it comes back after it was killed", { timeout: START_MS }, async () => {
    const ada = await new Person(node, "ada", { device: "phone" }).comes();
    await ada.makes("market");
    await ada.says("market", "fish");
    ada.vanishes();
    await node.kill();
    await node.start();
    await ada.comes();
    // What it had before its death is that other node's until its leases have run out: so long it is not ready.
    await node.ready();
    const room = { call: { getRoom: { roomId: "market" } } };
    expect(await ada.tries(room)).toHaveProperty("callResult");
    await ada.reads("market");
    await ada.says("market", "and chips");
    await ada.sees("market", "ada: fish", "ada: and chips");
  });
});
