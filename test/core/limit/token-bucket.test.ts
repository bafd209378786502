// A rate with a burst.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { TokenBucket } from "../../../src/core/limit/token-bucket.js";

const rate = fc.record({ perSecond: fc.integer({ min: 1, max: 10_000 }), burst: fc.integer({ min: 1, max: 500 }) });
/** Waits between takings, in milliseconds; many at the same moment. */
const waits = fc.array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 2_000, noNaN: true })), { maxLength: 300 });

describe("a token bucket", () => {
  it("never grants more than its burst and what was refilled since", () => {
    fc.assert(
      fc.property(rate, waits, (of, between) => {
        const bucket = new TokenBucket(of, 0);
        let nowMs = 0;
        let granted = 0;
        for (const wait of between) {
          nowMs += wait;
          if (bucket.take(nowMs) === 0) granted++;
          expect(granted).toBeLessThanOrEqual(of.burst + (nowMs * of.perSecond) / 1_000 + 2e-6);
        }
      }),
    );
  });

  it("grants to whoever has waited as long as it said", () => {
    fc.assert(
      fc.property(rate, waits, (of, between) => {
        const bucket = new TokenBucket(of, 0);
        let nowMs = 0;
        for (const wait of between) {
          nowMs += wait;
          const told = bucket.take(nowMs);
          if (told === 0) continue;
          nowMs += told;
          expect(bucket.take(nowMs)).toBe(0);
        }
      }),
    );
  });

  it("grants its burst at once and then says when the next one is there", () => {
    const bucket = new TokenBucket({ perSecond: 4, burst: 3 }, 1_000);
    expect([bucket.take(1_000), bucket.take(1_000), bucket.take(1_000)]).toEqual([0, 0, 0]);
    expect(bucket.take(1_000)).toBe(250);
    expect(bucket.take(1_125)).toBe(125);
    expect(bucket.take(1_250)).toBe(0);
  });

  it("saves no more than its burst however long nothing is taken", () => {
    const bucket = new TokenBucket({ perSecond: 100, burst: 2 }, 0);
    const granted = Array.from({ length: 10 }, () => bucket.take(3_600_000)).filter((wait) => wait === 0);
    expect(granted).toHaveLength(2);
  });

  it("says when it is full again, and is then as good as new", () => {
    const of = { perSecond: 4, burst: 8 };
    const bucket = new TokenBucket(of, 0);
    expect(bucket.fullInMs(0)).toBe(0);
    for (let taken = 0; taken < 6; taken++) bucket.take(0);
    expect(bucket.fullInMs(0)).toBe(1_500);
    expect(bucket.fullInMs(1_000)).toBe(500);
    expect(bucket.fullInMs(1_500)).toBe(0);
    expect(new TokenBucket({ perSecond: 0, burst: 0 }, 0).fullInMs(0)).toBe(0);
  });

  it("is no limit at a rate of 0", () => {
    const bucket = new TokenBucket({ perSecond: 0, burst: 0 }, 0);
    expect(Array.from({ length: 1_000 }, () => bucket.take(0)).every((wait) => wait === 0)).toBe(true);
  });
});
