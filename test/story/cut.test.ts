// Connections that break all the time: every receiver has every event once, in order.

import { setTimeout as pause } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { TestServer } from "../support/server.js";
import { Cast } from "../support/story/cast.js";
import { between, printedSeed, seeded } from "../support/story/random.js";

const CUTS = 120;
const CATCH_UP_MS = 60_000;

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

test("WebSocket clients cut every few hundred milliseconds lose nothing and get nothing twice", async () => {
  const random = seeded(printedSeed("cut"));
  const server = new TestServer();
  ends.push(() => server.dispose());
  await server.start();
  const { endpoints, issuer } = server;
  const cast = new Cast({
    endpoints,
    issuer,
    random,
    roomIds: ["harbour", "market"],
    transports: ["websocket-binary", "websocket-json"],
    window: 4,
    everyMs: 2,
  });
  ends.push(() => cast.stop());
  await cast.createRooms();
  cast.start();

  const everybody = [...cast.publishers, ...cast.receivers];
  for (let cut = 0; cut < CUTS; cut++) {
    await pause(between(random, 20, 120));
    everybody[between(random, 0, everybody.length)]?.cut();
  }

  const verdict = await cast.judge(CATCH_UP_MS);
  const dropped = cast.receivers.reduce((sum, receiver) => sum + receiver.dropped, 0);
  console.log(`cut: ${cast.acknowledged} acknowledged, ${verdict.events} events, ${dropped} dropped by seq`);
  expect(verdict.findings.slice(0, 20)).toEqual([]);
  expect(verdict.violations).toEqual([]);
  expect(cast.receivers.flatMap((receiver) => receiver.resets)).toEqual([]);
  expect(server.faults).toEqual([]);
}, 120_000);
