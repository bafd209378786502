// What a node's log says of the others.

import { expect, onTestFinished, test } from "vitest";
import { ClusterNews } from "../../src/backbone/cluster-news.js";
import { Telemetry } from "../../src/core/telemetry.js";
import { createLog } from "../../src/ops/log.js";
import type { Placement } from "../../src/ports/placement.js";
import { MemoryLeases } from "../support/memory-leases.js";
import { StoppedClock } from "../support/stopped-clock.js";

test("says once who comes, leaves and goes, and how many shards that gives this node", async () => {
  const clock = new StoppedClock();
  const leases = new MemoryLeases({ clock, shards: 8 });
  const lines: string[] = [];
  const { logger } = createLog({ level: "info", format: "json", to: { write: (line) => void lines.push(line) } });
  const said = () => lines.splice(0).map((line) => JSON.parse(line));
  const join = async (nodeId: string): Promise<Placement> => {
    const placement = leases.placement(nodeId, clock);
    onTestFinished(() => placement.stop());
    if (nodeId === "one") {
      const news = new ClusterNews(placement, logger, clock, new Telemetry());
      onTestFinished(() => news.stop());
    }
    await placement.start({ gained: () => {}, lost: () => {}, yields: async () => {} });
    return placement;
  };

  await join("one");
  await elapse(clock, 3_000);
  expect(said()).toMatchObject([{ msg: "shards of this node", owned: 8, of: 8 }]);

  const two = await join("two");
  await elapse(clock, 10_000);
  const [come, fewer, ...more] = said();
  expect(come).toMatchObject({ msg: "another node is there", node: "two", address: "two:1" });
  expect(fewer).toMatchObject({ msg: "shards of this node", owned: expect.toSatisfy((owned) => owned < 8) });
  expect(more).toEqual([]);

  const left = two.leave();
  await elapse(clock, 10_000);
  await left;
  expect(said()).toMatchObject([
    { msg: "another node takes no more shards", node: "two" },
    { msg: "another node is gone", node: "two" },
    { msg: "shards of this node", owned: 8 },
  ]);
});

test("says that another node is at this one's address, unless that is over soon", async () => {
  const clock = new StoppedClock();
  const leases = new MemoryLeases({ clock, shards: 4 });
  const lines: string[] = [];
  const { logger } = createLog({ level: "error", format: "json", to: { write: (line) => void lines.push(line) } });
  const place = (nodeId: string) => leases.placement(nodeId, clock, { address: "one:1" });
  const listener = { gained: () => {}, lost: () => {}, yields: async () => {} };
  const before = place("before");
  await before.start(listener);
  before.stop();

  const one = place("one");
  const news = new ClusterNews(one, logger, clock, new Telemetry());
  await one.start(listener);
  await elapse(clock, 20_000);
  expect(lines).toEqual([]);

  const two = place("two");
  await two.start(listener);
  await elapse(clock, 20_000);
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ node: "two", address: "one:1" }]);
  for (const each of [news, one, two]) each.stop();
});

test("says that a node which lives cannot be asked, and says nothing of one that was dying", async () => {
  const clock = new StoppedClock();
  const leases = new MemoryLeases({ clock, shards: 4 });
  const lines: string[] = [];
  const { logger } = createLog({ level: "info", format: "json", to: { write: (line) => void lines.push(line) } });
  const place = (nodeId: string) => leases.placement(nodeId, clock);
  const listener = { gained: () => {}, lost: () => {}, yields: async () => {} };
  const [one, two, dying] = [place("one"), place("two"), place("dying")];
  const telemetry = new Telemetry();
  const turns: string[] = [];
  telemetry.on("peer.turned", ({ nodeId, away }) => turns.push(`${nodeId} ${away ? "away" : "there"}`));
  const news = new ClusterNews(one, logger, clock, telemetry);
  for (const each of [one, two, dying]) await each.start(listener);
  const said = () =>
    lines.splice(0).flatMap((line) => {
      const { msg, node } = JSON.parse(line);
      return msg.includes("asked") || msg.includes("answers") ? [`${node}: ${msg.split(":")[0]}`] : [];
    });
  const node = (nodeId: string) => ({ nodeId, address: `${nodeId}:1`, since: 0, leaving: false });

  for (const nodeId of ["two", "dying"]) news.turned(node(nodeId), { cause: new Error("Connection dropped") });
  dying.stop();
  expect(said()).toEqual([]);
  await elapse(clock, 10_000);
  expect(said()).toEqual(["two: another node cannot be asked"]);
  expect(news.unreached).toMatchObject([{ node: { nodeId: "two" }, reason: "Connection dropped" }]);
  news.turned(node("two"), undefined);
  expect(said()).toEqual(["two: another node answers again"]);
  expect(news.unreached).toEqual([]);

  news.turned(node("two"), { cause: new Error("Connection dropped") });
  news.turned(node("two"), undefined);
  await elapse(clock, 10_000);
  expect(said()).toEqual([]);

  news.turned(node("two"), { cause: new Error("Connection dropped") });
  await elapse(clock, 10_000);
  two.stop();
  await elapse(clock, 10_000);
  expect(news.unreached).toEqual([]);
  expect(turns).toEqual(["two away", "two there", "two away", "two there"]);
  for (const each of [news, one]) each.stop();
});

/** Time passes in small steps, and what each brings about happens. */
async function elapse(clock: StoppedClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(250);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
