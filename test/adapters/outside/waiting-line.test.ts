// The line in front of a service: its timers, and its bounds at the edges.

import { expect, it } from "vitest";
import { WaitingLine } from "../../../src/adapters/outside/waiting-line.js";
import { StoppedClock } from "../../support/stopped-clock.js";

function useLine(places = 3, longestMs = 1_000) {
  const clock = new StoppedClock();
  const line = new WaitingLine(clock, { places, longestMs }, () => new Error("busy"));
  const said: string[] = [];
  const join = (name: string): Promise<void> =>
    line.join().then(
      () => void said.push(`${name}'s turn`),
      (error: Error) => void said.push(`${name}: ${error.message}`),
    );
  return { clock, line, said, join };
}

it("keeps one timer, however many wait, and none when nobody does", async () => {
  const { clock, line, join } = useLine();
  const all = ["a", "b", "c"].map(join);
  expect(clock.pending).toBe(1);
  while (line.next());
  expect(clock.pending).toBe(0);
  await Promise.all(all);
});

it("keeps none after the last has waited too long, or all were sent away", async () => {
  const { clock, line, said, join } = useLine();
  const first = join("a");
  clock.advance(1_000);
  await first;
  expect(clock.pending).toBe(0);
  const second = join("b");
  line.refuse(() => new Error("leaving"));
  await second;
  expect([clock.pending, line.length]).toEqual([0, 0]);
  expect(said).toEqual(["a: busy", "b: leaving"]);
});

it("counts each wait from its own beginning", async () => {
  const { clock, line, said, join } = useLine();
  const first = join("a");
  clock.advance(600);
  const second = join("b");
  line.next();
  await first;
  clock.advance(400);
  expect(line.length).toBe(1);
  clock.advance(599);
  expect(line.length).toBe(1);
  clock.advance(1);
  await second;
  expect(said).toEqual(["a's turn", "b: busy"]);
});

it("has a place again for each that left, and not one more", async () => {
  const { line, said, join } = useLine(2);
  const all = ["a", "b", "c"].map(join);
  line.next();
  all.push(join("d"), join("e"));
  line.refuse(() => new Error("leaving"));
  await Promise.all(all);
  expect(said.sort()).toEqual(["a's turn", "b: leaving", "c: busy", "d: leaving", "e: busy"]);
});

it("lets nobody wait where it has no places", async () => {
  const { clock, line, said, join } = useLine(0, 0);
  await join("a");
  expect([said, clock.pending, line.next()]).toEqual([["a: busy"], 0, false]);
});
