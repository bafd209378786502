// How late a process is said to be.

import { expect, it } from "vitest";
import { Lateness, type LatenessWatch } from "../../../src/adapters/outside/lateness.js";
import { StoppedClock } from "../../support/stopped-clock.js";

/** The process runs for so long, and looks at nothing meanwhile. */
function stand(clock: StoppedClock, ms: number): void {
  clock.advance(ms);
}

function run(clock: StoppedClock, ms: number): void {
  for (let passed = 0; passed < ms; passed++) clock.advance(1);
}

it("is nothing while what is due is done at once", () => {
  const clock = new StoppedClock();
  const watch = new Lateness(clock).watch();
  run(clock, 1_000);
  expect(watch.lateMs).toBe(0);
});

it("is how long it stood still, added up", () => {
  const clock = new StoppedClock();
  const watch = new Lateness(clock).watch();
  run(clock, 10);
  stand(clock, 540);
  run(clock, 100);
  stand(clock, 300);
  expect(watch.lateMs).toBeGreaterThanOrEqual(740);
  expect(watch.lateMs).toBeLessThanOrEqual(840);
});

it("counts what is late just now, and not what was late before somebody asked", () => {
  const clock = new StoppedClock();
  const lateness = new Lateness(clock);
  const watches: LatenessWatch[] = [];
  clock.after(200, () => watches.push(lateness.watch()));
  clock.after(60, () => watches.push(lateness.watch()));
  const whole = lateness.watch();
  stand(clock, 1_000);
  expect(watches.map(({ lateMs }) => lateMs)).toEqual([0, 0]);
  let just = 0;
  clock.after(10, () => {
    just = whole.lateMs;
  });
  stand(clock, 2_000);
  expect(just).toBeGreaterThanOrEqual(2_900 - 50);
});

it("is not looked at while nobody wants to know", () => {
  const clock = new StoppedClock();
  const lateness = new Lateness(clock);
  const [one, two] = [lateness.watch(), lateness.watch()];
  one.end();
  expect(clock.pending).toBe(1);
  two.end();
  expect(clock.pending).toBe(0);
  stand(clock, 5_000);
  const later = lateness.watch();
  run(clock, 200);
  expect(later.lateMs).toBe(0);
});
