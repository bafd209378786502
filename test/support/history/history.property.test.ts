// The checker finds nothing in any history in which the promises were kept, and something in each in which one was not.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { breaches, soundHistories } from "./arbitrary.js";
import { checkHistory } from "./history.js";

const RUNS = 200;

test("a history in which every promise was kept has no findings", () => {
  fc.assert(
    fc.property(soundHistories, (history) => {
      expect(checkHistory(history)).toEqual([]);
    }),
    { numRuns: RUNS },
  );
});

describe("found out in every history:", () => {
  test.each(Object.entries(breaches))("%s", (_title, breach) => {
    fc.assert(
      fc.property(soundHistories, fc.nat(), (history, pick) => {
        expect(checkHistory(breach(history, pick))).not.toEqual([]);
      }),
      { numRuns: RUNS },
    );
  });
});
