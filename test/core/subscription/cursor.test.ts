// The cursor: whatever is handed over, in whatever order, a reader gets each event once and in order.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { judge } from "../../../src/core/subscription/cursor.js";

describe("a cursor", () => {
  it.each([
    [4, 4, "send"],
    [4, 9, "send"],
    [1, 3, "skip"],
    [3, 3, "skip"],
    [3, 4, "behind"],
    [1, 9, "behind"],
    [5, 5, "behind"],
  ] as const)("after 3 judges %i to %i as %s", (first, last, verdict) => {
    expect(judge(3, first, last)).toBe(verdict);
  });

  it("lets through a dense stream without doubles, and all of it once what is missing has come", () => {
    const anyFrames = fc.array(fc.tuple(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 0, max: 5 })));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 5 }), anyFrames, (begin, frames) => {
        let sent = begin;
        const seen: number[] = [];
        const offer = (first: number, last: number): void => {
          const verdict = judge(sent, first, last);
          if (verdict === "skip") expect(last).toBeLessThanOrEqual(sent);
          if (verdict !== "send") return;
          for (let seq = first; seq <= last; seq++) seen.push(seq);
          sent = last;
        };
        for (const [first, more] of frames) offer(first, first + more);
        while (sent < 25) offer(sent + 1, sent + 1);
        expect(seen).toEqual(Array.from({ length: sent - begin }, (_, index) => begin + 1 + index));
      }),
    );
  });
});
