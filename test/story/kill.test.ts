// The server is killed while everybody talks: what was acknowledged is there, once, in order, and so everybody has seen it.

import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { TestServer } from "../support/server.js";
import { Cast } from "../support/story/cast.js";
import { between, printedSeed, seeded } from "../support/story/random.js";

const ROUNDS = 20;
/** From being reachable to the kill, in milliseconds: somewhere in here. */
const KILL_AFTER_MS = { low: 100, high: 1_200 };
const CATCH_UP_MS = 60_000;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

test(`killed at ${ROUNDS} random moments at full speed, nothing acknowledged is lost, doubled or out of order`, async () => {
  const random = seeded(printedSeed("kill"));
  const server = new TestServer();
  ends.push(() => server.dispose());
  await server.start();
  const { endpoints, issuer } = server;
  const cast = new Cast({ endpoints, issuer, random, roomIds: ["harbour", "market"], window: 16 });
  ends.push(() => cast.stop());
  await cast.createRooms();
  cast.start();

  for (let round = 0; round < ROUNDS; round++) {
    const before = cast.acknowledged;
    await Promise.all(
      cast.publishers.map((publisher) => publisher.until(() => cast.acknowledged > before, "progress", 20_000)),
    );
    await pause(between(random, KILL_AFTER_MS.low, KILL_AFTER_MS.high));
    await server.kill();
    await server.start();
  }

  const verdict = await cast.judge(CATCH_UP_MS);
  const duplicates = cast.publishers.reduce((sum, publisher) => sum + publisher.duplicates, 0);
  const gaps = [...cast.receivers, ...cast.latecomers].reduce((sum, receiver) => sum + receiver.gaps, 0);
  console.log(
    `kill: ${cast.acknowledged} acknowledged, ${verdict.events} events, ${duplicates} duplicates, ${gaps} gaps paged`,
  );
  expect(verdict.findings.slice(0, 20)).toEqual([]);
  expect(verdict.violations).toEqual([]);
  expect(cast.receivers.flatMap((receiver) => receiver.resets)).toEqual([]);
  expect(cast.receivers.every((receiver) => receiver.welcomes > ROUNDS / 2)).toBe(true);
  expect(gaps).toBeGreaterThanOrEqual(cast.latecomers.length);
  expect(server.faults).toEqual([]);
}, 300_000);
