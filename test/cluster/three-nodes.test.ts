// Three nodes, each a process of its own, on real services: people on different nodes are in one room, whatever becomes of the nodes.

import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { Crowd } from "../support/cluster/crowd.js";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster, type TestNode } from "../support/cluster/test-cluster.js";
import { Person } from "../support/story/person.js";
import { printedSeed, seeded } from "../support/story/random.js";

/** Bounds for the tests, not claims about speed. */
const START_MS = 120_000;
const CATCH_UP_MS = 60_000;

describeCluster("three nodes", (services) => {
  const random = seeded(printedSeed("three-nodes"));
  const cluster = new TestCluster({ services });
  const [one, two, three] = [cluster.node("one"), cluster.node("two"), cluster.node("three")];
  beforeAll(async () => {
    for (const node of await cluster.start("one", "two", "three")) await node.ready();
  }, START_MS);
  afterAll(() => cluster.dispose(), START_MS);

  async function crowd(roomId: string): Promise<Crowd> {
    const talking = new Crowd({ cluster, roomId, random });
    onTestFinished(() => talking.stop());
    await talking.begin(one);
    await talking.goesOn(5, CATCH_UP_MS);
    return talking;
  }

  async function holds(talking: Crowd, at: TestNode): Promise<void> {
    const { findings } = await talking.judge(at, CATCH_UP_MS);
    expect(findings.slice(0, 20)).toEqual([]);
    expect(talking.violations).toEqual([]);
    expect(talking.receivers.flatMap(({ resets }) => resets)).toEqual([]);
  }

  test("people on different nodes talk in one room, in one order", async () => {
    const ada = await new Person(one, "ada").comes();
    const bob = await new Person(two, "bob", { transport: "grpc" }).comes();
    const carl = await new Person(three, "carl", { transport: "websocket-binary" }).comes();
    await ada.makes("harbour", { members: [{ userId: "bob" }, { userId: "carl" }] });
    for (const person of [ada, bob, carl]) await person.reads("harbour");
    await ada.says("harbour", "is anybody there?");
    await bob.sees("harbour", "ada: is anybody there?");
    await bob.says("harbour", "yes");
    await carl.sees("harbour", "ada: is anybody there?", "bob: yes");
    await carl.says("harbour", "so am I");
    for (const person of [ada, bob, carl]) {
      await person.sees("harbour", "ada: is anybody there?", "bob: yes", "carl: so am I");
    }
  });

  test("who has no WebSocket is heard, to whatever node their requests come", async () => {
    const [here, elsewhere] = [one.endpoints, two.endpoints];
    const { issuer } = one;
    const dora = await new Person({ endpoints: { ...here, frames: elsewhere.http }, issuer }, "dora", {
      transport: "events",
    }).comes();
    const emil = await new Person(three, "emil").comes();
    await dora.makes("attic", { members: [{ userId: "emil" }] });
    for (const person of [dora, emil]) await person.reads("attic");
    await dora.says("attic", "through another door");
    await emil.says("attic", "I hear you");
    for (const person of [dora, emil]) {
      await person.sees("attic", "dora: through another door", "emil: I hear you");
    }
  });

  test("all at full speed from all nodes see one history", { timeout: START_MS }, async () => {
    const talking = await crowd("market");
    await talking.goesOn(50, CATCH_UP_MS);
    await holds(talking, three);
  });

  test("a node is killed at full speed: nothing acknowledged is lost, doubled or out of order", {
    timeout: START_MS,
  }, async () => {
    const talking = await crowd("kill");
    await two.kill();
    await talking.goesOn(20, CATCH_UP_MS);
    await two.start();
    await talking.goesOn(20, CATCH_UP_MS);
    await holds(talking, two);
  });

  test("a node leaves at full speed and comes back: nothing is refused for good", { timeout: START_MS }, async () => {
    const talking = await crowd("leave");
    expect(await three.stop()).toBe(0);
    await talking.goesOn(20, CATCH_UP_MS);
    await three.start();
    await talking.goesOn(20, CATCH_UP_MS);
    await holds(talking, three);
  });

  test("a fourth joins at full speed, and is one of them", { timeout: START_MS }, async () => {
    const talking = await crowd("join");
    const [four] = await cluster.start("four");
    await talking.goesOn(20, CATCH_UP_MS);
    await holds(talking, four);
    await expect.poll(() => four.readiness(), { timeout: CATCH_UP_MS }).toEqual({ ready: true, reasons: [] });
  });

  test("no node has logged a fault", () => {
    expect(cluster.faults).toEqual([]);
  });
});
