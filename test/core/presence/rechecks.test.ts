// What is looked at again has its turn, however many there are, and never many at once.

import { expect, it } from "vitest";
import { type Rechecked, Rechecks } from "../../../src/core/presence/rechecks.js";
import { StoppedClock } from "../../support/stopped-clock.js";

/** So many that are to be looked at. */
function useRechecked(count: number, mostAtOnce?: number) {
  const clock = new StoppedClock();
  const rechecks = new Rechecks(clock, mostAtOnce);
  const looks = Array.from({ length: count }, () => 0);
  const rechecked = looks.map(
    (_, index): Rechecked => ({
      recheck: async () => {
        looks[index] = (looks[index] ?? 0) + 1;
      },
    }),
  );
  for (const one of rechecked) rechecks.add(one);
  /** How many were looked at in each of so many seconds. */
  const pass = (seconds: number): number[] =>
    Array.from({ length: seconds }, () => {
      const before = looks.reduce((sum, each) => sum + each, 0);
      clock.advance(1_000);
      return looks.reduce((sum, each) => sum + each, 0) - before;
    });
  return { rechecks, rechecked, looks, pass };
}

it("looks at each within 30 s, a few in each second", () => {
  const { looks, pass } = useRechecked(90);
  expect(pass(30)).toEqual(Array.from({ length: 30 }, () => 3));
  expect(looks.every((times) => times === 1)).toBe(true);
});

it("looks at each in its turn where they are too many for that", () => {
  const { looks, pass } = useRechecked(1_000, 10);
  expect(Math.max(...pass(100))).toBe(10);
  expect(looks.every((times) => times === 1)).toBe(true);
});

it("looks no more at what was removed, nor at anything once it has stopped", () => {
  const { rechecks, rechecked, looks, pass } = useRechecked(2);
  for (const one of rechecked.slice(0, 1)) rechecks.remove(one);
  pass(60);
  expect(looks).toEqual([0, 60]);
  rechecks.stop();
  expect(pass(60).every((count) => count === 0)).toBe(true);
});
