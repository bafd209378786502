// The ring: the last events of a room, and never a frame that begins elsewhere than asked.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Ring } from "../../../src/core/fanout/ring.js";
import { RoomEventsFrame } from "../../../src/core/fanout/room-events-frame.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";

/** A frame of events of so many bytes each. */
function frame(from: number, to: number, bytes = 10): RoomEventsFrame {
  const events = Array.from(
    { length: to - from + 1 },
    (_, index) => new EncodedEvent(from + index, 1, new Uint8Array(bytes)),
  );
  return new RoomEventsFrame("lobby", events);
}

function seqs(found: RoomEventsFrame | undefined): readonly number[] {
  return found?.events.map(({ seq }) => seq) ?? [];
}

describe("a ring", () => {
  it("hands nothing while it holds nothing, nor of what is too old or not there yet", () => {
    const ring = new Ring("lobby", 1_000);
    expect(ring.after(0)).toBeUndefined();
    ring.add(frame(4, 6));
    for (const seq of [0, 2, 6, 7, 99]) expect(ring.after(seq)).toBeUndefined();
    expect(seqs(ring.after(3))).toEqual([4, 5, 6]);
    expect(seqs(ring.after(5))).toEqual([6]);
  });

  it("hands the frame itself where it is the newest, and one frame of several where they are small", () => {
    const ring = new Ring("lobby", 10_000);
    const newest = frame(7, 8);
    for (const each of [frame(4, 5), frame(6, 6), newest]) ring.add(each);
    expect(ring.after(6)).toBe(newest);
    expect(seqs(ring.after(3))).toEqual([4, 5, 6, 7, 8]);
    expect(ring.after(3)).toBe(ring.after(3));
  });

  it("ends a frame for a reader once it holds 64 KiB", () => {
    const ring = new Ring("lobby", 10_000_000);
    for (let seq = 1; seq <= 10; seq++) ring.add(frame(seq, seq, 30_000));
    expect(seqs(ring.after(0))).toEqual([1, 2, 3]);
    expect(seqs(ring.after(3))).toEqual([4, 5, 6]);
  });

  it("forgets the oldest over its bytes, but keeps the newest frame", () => {
    const ring = new Ring("lobby", 50);
    ring.add(frame(1, 3));
    ring.add(frame(4, 5));
    expect(seqs(ring.after(0))).toEqual([1, 2, 3, 4, 5]);
    ring.add(frame(6, 6));
    expect(ring.after(0)).toBeUndefined();
    expect(seqs(ring.after(3))).toEqual([4, 5, 6]);
    ring.add(frame(7, 7, 1_000));
    expect(ring.after(5)).toBeUndefined();
    expect(seqs(ring.after(6))).toEqual([7]);
  });

  it("begins anew with a frame that does not join on", () => {
    const ring = new Ring("lobby", 1_000);
    ring.add(frame(1, 3));
    ring.add(frame(6, 7));
    expect(ring.after(2)).toBeUndefined();
    expect(ring.after(3)).toBeUndefined();
    expect(seqs(ring.after(5))).toEqual([6, 7]);
  });

  it("never hands a frame that does not begin right after the asked seq, or that has a hole", () => {
    const anyFrame = fc.record({
      gap: fc.constantFrom(0, 0, 0, 0, 2),
      count: fc.integer({ min: 1, max: 5 }),
      bytes: fc.constantFrom(1, 10, 40_000),
      ask: fc.nat({ max: 12 }),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100_000 }),
        fc.array(anyFrame, { minLength: 1, maxLength: 30 }),
        (maxBytes, frames) => {
          const ring = new Ring("lobby", maxBytes);
          let top = 0;
          for (const { gap, count, bytes, ask } of frames) {
            const from = top + gap + 1;
            top = from + count - 1;
            ring.add(frame(from, top, bytes));
            for (const seq of [top - ask, top - 1, top, top + 1, from - 1]) {
              if (seq < 0) continue;
              const found = seqs(ring.after(seq));
              expect(found).toEqual(found.map((_, index) => seq + 1 + index));
              expect(found.at(-1) ?? top).toBeLessThanOrEqual(top);
            }
            // The newest event is always there, and the oldest kept one leads up to it in a few steps.
            expect(seqs(ring.after(top - 1))).toEqual([top]);
            let at = from - 1;
            for (let steps = 0; at < top && steps <= count; steps++) at = ring.after(at)?.lastSeq ?? at;
            expect(at).toBe(top);
          }
        },
      ),
    );
  });
});
