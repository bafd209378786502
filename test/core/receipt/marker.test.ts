// One user's marker: whatever is said in which order, how often and with which restarts between, it only goes forward.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { MAX_STEPS, Marker } from "../../../src/core/receipt/marker.js";

const mark = fc.record({
  deliveredSeq: fc.nat(60),
  readSeq: fc.nat(60),
  joinStep: fc.boolean(),
  restarts: fc.boolean(),
});

describe("a marker", () => {
  it("never goes back, and ends at the furthest that was said", () => {
    fc.assert(
      fc.property(fc.array(mark), (marks) => {
        let marker = new Marker("ada");
        let furthest = { delivered: 0, read: 0 };
        for (const [atMs, { deliveredSeq, readSeq, joinStep, restarts }] of marks.entries()) {
          const before = { ...furthest };
          furthest = {
            delivered: Math.max(before.delivered, deliveredSeq, readSeq),
            read: Math.max(before.read, readSeq),
          };
          const moved = marker.advance({ deliveredSeq, readSeq, readIndex: readSeq * 2 }, atMs, joinStep);
          expect(moved).toBe(furthest.delivered > before.delivered || furthest.read > before.read);
          if (restarts) marker = new Marker("ada", marker.document());
          expect({ delivered: marker.deliveredSeq, read: marker.readSeq }).toEqual(furthest);
          expect(marker.readIndex).toBe(furthest.read * 2);
        }
      }),
    );
  });

  it("says the same whatever the order in which devices are heard", () => {
    fc.assert(
      fc.property(
        fc
          .array(mark)
          .chain((marks) => fc.tuple(fc.constant(marks), fc.shuffledSubarray(marks, { minLength: marks.length }))),
        (orders) => {
          const ends = orders.map((marks) => {
            const marker = new Marker("ada");
            for (const { deliveredSeq, readSeq } of [...marks, ...marks]) {
              marker.advance({ deliveredSeq, readSeq, readIndex: readSeq }, 0, false);
            }
            return marker.wire(false);
          });
          expect(ends[0]).toEqual(ends[1]);
        },
      ),
    );
  });

  it("tells when each place was passed, and of what is too long ago the earliest time it has kept", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(5), { maxLength: 80 }), (strides) => {
        const marker = new Marker("ada");
        const passedAt = new Map<number, number>();
        const stepTimes: number[] = [];
        let seq = 0;
        for (const [atMs, stride] of strides.entries()) {
          for (let place = seq + 1; place <= seq + stride; place++) passedAt.set(place, atMs);
          seq += stride;
          if (marker.advance({ deliveredSeq: 0, readSeq: seq, readIndex: 0 }, atMs, false)) stepTimes.push(atMs);
        }
        const earliest = stepTimes.at(-MAX_STEPS) ?? stepTimes[0] ?? 0;
        for (const [place, atMs] of passedAt) {
          const at = Math.max(atMs, earliest);
          expect(marker.passed(place)).toEqual({ deliveredAtMs: at, readAtMs: at });
        }
        expect(marker.passed(seq + 1)).toEqual({ deliveredAtMs: undefined, readAtMs: undefined });
      }),
    );
  });

  it("takes moves of one step together, at the time of the last", () => {
    const marker = new Marker("ada");
    marker.advance({ deliveredSeq: 1, readSeq: 0, readIndex: 0 }, 100, false);
    marker.advance({ deliveredSeq: 2, readSeq: 0, readIndex: 0 }, 200, false);
    marker.advance({ deliveredSeq: 3, readSeq: 2, readIndex: 2 }, 300, true);
    expect([1, 2, 3].map((seq) => marker.passed(seq))).toEqual([
      { deliveredAtMs: 100, readAtMs: 300 },
      { deliveredAtMs: 300, readAtMs: 300 },
      { deliveredAtMs: 300, readAtMs: undefined },
    ]);
  });
});
