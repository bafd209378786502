// Which node a bridge's new sessions go to, and how it leaves, by a clock in the test's hands.

import { describe, expect, it } from "vitest";
import type { Admission } from "../../../src/core/session/port.js";
import { eventually, SINK, useLinks } from "./use-links.js";

it("tells clients that the bridge leaves over a third of the time in which they come back", async () => {
  const { links, clock, at } = await useLinks(1);
  const { sessions } = at(0).core;
  sessions.endsFinished = true;
  for (let count = 0; count < 64; count++) links.accept(SINK, { transport: "websocket", address: "192.0.2.1" });
  await sessions.connection(63);
  const told = (): readonly number[] => sessions.connections.flatMap(({ left }) => (left === undefined ? [] : [left]));
  const left = links.leave(3_200, 10_000);
  expect(links.admit().admitted).toBe(false);
  await eventually(() => expect(told()).toHaveLength(4));
  clock.advance(50);
  await eventually(() => expect(told()).toHaveLength(7));
  for (let ms = 100; ms < 1_000; ms += 50) clock.advance(50);
  await left;
  expect(told()).toEqual(Array.from({ length: 64 }, (_, index) => (index + 1) * 50));
  expect(links.size).toBe(0);
});

it("tells whoever has not been told, and whoever waits for an answer, when its time is over", async () => {
  const { links, clock, at } = await useLinks(1);
  const ends: string[] = [];
  for (let count = 0; count < 10; count++) {
    const sink = { ...SINK, end: (_code: unknown, reason: string) => ends.push(reason) };
    links.accept(sink, { transport: "websocket", address: "192.0.2.1" });
  }
  await at(0).core.sessions.connection(9);
  const left = links.leave(60_000, 500);
  clock.advance(500);
  await left;
  expect(ends).toEqual(Array.from({ length: 10 }, () => "the bridge is leaving"));
});

it("goes to a node that has far less to carry once that one has been so for a while", async () => {
  const { links, clock, turns, next, at, carry } = await useLinks(2);
  const home = await next();
  const other = 1 - home;
  at(home).server.setServing(false);
  await eventually(async () => expect(await next()).toBe(other));
  expect(links.limits).toHaveLength(1);
  carry(other, 50);
  at(home).server.setServing(true);
  await eventually(() => expect(clock.pending).toBe(2));
  clock.advance(29_999);
  expect(await next()).toBe(other);
  clock.advance(1);
  expect(await next()).toBe(home);
  // The link that was there for the first session has been used again.
  expect(turns).toEqual([`${home} up`, `${other} up`]);
});

it("stays where it is while the other comes and goes", async () => {
  const { links, clock, next, at, carry } = await useLinks(2);
  const home = await next();
  at(home).server.setServing(false);
  await eventually(async () => expect(await next()).toBe(1 - home));
  carry(1 - home, 50);
  for (let times = 0; times < 3; times++) {
    at(home).server.setServing(true);
    await eventually(() => expect(clock.pending).toBe(2));
    clock.advance(29_000);
    at(home).server.setServing(false);
    await eventually(() => expect(links.limits).toHaveLength(1));
    clock.advance(29_000);
    expect(await next()).toBe(1 - home);
  }
});

it("stays where it is where it would bring as much as it takes away", async () => {
  const { links, clock, next, at, carry } = await useLinks(2);
  const home = await next();
  for (let count = 0; count < 20; count++) await next();
  at(home).server.setServing(false);
  await eventually(async () => expect(await next()).toBe(1 - home));
  carry(1 - home, 5);
  at(home).server.setServing(true);
  await eventually(() => expect(links.limits).toEqual([]));
  for (let passed = 0; passed < 120_000; passed += 2_000) clock.advance(2_000);
  expect(await next()).toBe(1 - home);
});

it("goes to another node than the bridge before it, and one of two goes where one is missing", async () => {
  const { turns, at, bridge, clock } = await useLinks(2);
  bridge("second", () => 0.5).start();
  const passing = (check: () => void) =>
    eventually(() => {
      clock.advance(50);
      check();
    });
  await passing(() => expect(turns).toHaveLength(2));
  expect(turns.toSorted()).toEqual(["0 up", "1 up"]);
  at(0).server.setServing(false);
  await passing(() => expect(turns.slice(2).toSorted()).toEqual(["0 down", "1 up"]));
  at(0).server.setServing(true);
  // Both look after a while, one earlier than the other.
  await eventually(() => expect(clock.pending).toBe(4));
  clock.advance(30_000);
  await eventually(() => expect(turns.slice(4).toSorted()).toEqual(["0 up", "1 down"]));
  for (let passed = 0; passed < 120_000; passed += 2_000) clock.advance(2_000);
  expect(turns).toHaveLength(6);
});

it("is nobody's that a node has refused once another node is linked to", async () => {
  const { links, next, at } = await useLinks(2);
  const home = await next();
  at(home).core.sessions.admission = { admitted: false, retryAfterMs: 60_000 };
  links.accept(SINK, { transport: "websocket", address: "192.0.2.1" });
  await eventually(() => expect(links.admit().admitted).toBe(false));
  at(home).server.setServing(false);
  await eventually(() => expect(links.admit().admitted).toBe(true));
  expect(await next()).toBe(1 - home);
});

it("ends a link that takes no new sessions with its last", async () => {
  const { clock, turns, next, links, at, carry } = await useLinks(2);
  const connection = links.accept(SINK, { transport: "websocket", address: "192.0.2.1" });
  const [home, other] = turns[0] === "0 up" ? [0, 1] : [1, 0];
  at(home).server.setServing(false);
  await eventually(() => expect(turns).toEqual([`${home} up`, `${other} up`]));
  expect(await next()).toBe(other);
  connection.gone(true);
  expect(turns).toEqual([`${home} up`, `${other} up`, `${home} down`]);
  carry(other, 50);
  at(home).server.setServing(true);
  await eventually(() => expect(clock.pending).toBe(2));
  clock.advance(30_000);
  await eventually(async () => expect(await next()).toBe(home));
});

describe("browsers that come while there is no link", () => {
  /** A bridge whose only node takes no links, and what those are told who come. */
  async function useUnlinked() {
    const { links, clock, at } = await useLinks(1);
    at(0).server.setServing(false);
    await eventually(() => expect(links.limits).toHaveLength(1));
    await at(0).server.close(0);
    await eventually(() => expect(links.admit().admitted).toBe(false));
    const told: Admission[] = [];
    const come = () => links.enter((admission) => told.push(admission));
    return { links, clock, told, come };
  }
  const REFUSED = { admitted: false, retryAfterMs: 1_000 };

  it("are refused when none is made within 3 s, or when the bridge leaves", async () => {
    const { links, clock, told, come } = await useUnlinked();
    come();
    clock.advance(2_999);
    expect(told).toEqual([]);
    clock.advance(1);
    expect(told).toEqual([REFUSED]);
    come();
    come();
    void links.leave(0, 1_000);
    expect(told).toEqual([REFUSED, REFUSED, REFUSED]);
    come();
    expect(told).toHaveLength(4);
  });

  it("are forgotten when they have gone", async () => {
    const { links, clock, told, come } = await useUnlinked();
    const leave = come();
    const { pending } = clock;
    leave();
    leave();
    expect(clock.pending).toBe(pending - 1);
    links.close();
    expect(told).toEqual([]);
  });

  it("are let in with the next link", async () => {
    const { links, clock, at } = await useLinks(2, [0], 1);
    await at(0).server.close(0);
    await eventually(() => expect(links.admit().admitted).toBe(false));
    const told: Admission[] = [];
    links.enter((admission) => {
      told.push(admission);
      links.accept(SINK, { transport: "websocket", address: "192.0.2.1" });
    });
    expect(told).toEqual([]);
    at(1).server.setServing(true);
    await at(1).core.sessions.connection();
    expect(told).toEqual([{ admitted: true }]);
    clock.advance(3_000);
    expect(told).toHaveLength(1);
  });
});

it.each([
  { draws: [0.9, 0, 0], order: [2, 0, 1] },
  { draws: [0.4, 0.6, 0], order: [1, 2, 0] },
])(
  "prefers nodes that are as good as each other in an order that chance gives it: $order",
  async ({ draws, order }) => {
    const { links, next, at } = await useLinks(3, [...draws, ...Array.from({ length: 100 }, () => 0)]);
    for (const [place, index] of order.entries()) {
      await eventually(async () => expect(await next()).toBe(index));
      at(index).server.setServing(false);
      await eventually(() => expect(links.limits).toHaveLength(place + 1));
    }
  },
);
