// Leases go wrong as they are told to.

import { beforeEach, expect, onTestFinished, test } from "vitest";
import type { Placement } from "../../src/ports/placement.js";
import { MemoryLeases } from "./memory-leases.js";
import { StoppedClock } from "./stopped-clock.js";

const SHARDS = 8;
const ROUND_MS = 1_000;

let clock: StoppedClock;
let leases: MemoryLeases;

beforeEach(() => {
  clock = new StoppedClock();
  leases = new MemoryLeases({ clock, shards: SHARDS, roundMs: ROUND_MS });
});

async function join(nodeId: string, told: string[] = []): Promise<Placement> {
  const placement = leases.placement(nodeId, clock);
  onTestFinished(() => placement.stop());
  await placement.start({
    gained: (shard) => void told.push(`gained ${shard}`),
    lost: (shard) => void told.push(`lost ${shard}`),
    yields: async () => {},
  });
  return placement;
}

async function elapse(rounds: number): Promise<void> {
  for (let passed = 0; passed < rounds * 10; passed++) {
    clock.advance(ROUND_MS / 10);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function heldBy(placement: Placement): number {
  return Array.from({ length: SHARDS }, (_, shard) => placement.holds(shard)).filter((holds) => holds).length;
}

test("two nodes hold each shard while the leases have two masters, and one does a lease's time after", async () => {
  const [one, other] = [await join("one"), await join("other")];
  await elapse(10);
  expect(heldBy(one) + heldBy(other)).toBe(SHARDS);
  leases.split(["other"]);
  await elapse(10);
  expect([heldBy(one), heldBy(other)]).toEqual([SHARDS, SHARDS]);
  leases.join();
  await elapse(4);
  expect(heldBy(one) + heldBy(other)).toBe(SHARDS);
});

test("leases that were handed over since are those of who had them, where the store is as it was", async () => {
  const one = await join("one");
  const before = leases.snapshot();
  const other = await join("other");
  await elapse(10);
  expect(heldBy(other)).toBeGreaterThan(0);
  leases.restore(before);
  await elapse(1);
  // Those leases have ended, and nobody knows the other node: it takes nothing back for as long as a lease holds.
  expect(heldBy(one) + heldBy(other)).toBeLessThanOrEqual(SHARDS);
  await elapse(15);
  expect(heldBy(one) + heldBy(other)).toBe(SHARDS);
});

test("a lease that was over before it was asked for again is another one", async () => {
  const told: string[] = [];
  const one = await join("one", told);
  await elapse(2);
  told.length = 0;
  // Its timers stand still, and it asks all the same.
  const late = clock.monotonic() + 3 * ROUND_MS + 1;
  const monotonic = () => late;
  Object.assign(clock, { monotonic });
  await leases.notify();
  await new Promise((resolve) => setImmediate(resolve));
  expect(told.slice(0, 2)).toEqual(["lost 0", "gained 0"]);
  expect(heldBy(one)).toBe(SHARDS);
});
