// The markers in memory: bounded, whatever is marked and read, and nothing that is not stored is dropped.

import { describe, expect, it } from "vitest";
import { Tracker } from "../../../src/core/receipt/tracker.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";

/** More than are kept. */
const MANY = 25_000;

function useTracker() {
  const tracker = new Tracker(new MemoryEngine().archive);
  const room = (n: number) => roomRef("acme", `r${n}`);
  const load = async (n: number) => tracker.load(room(n), "ada");
  const kept = (count: number) =>
    Array.from({ length: count }, (_, n) => n).filter((n) => tracker.find(room(n), "ada") !== undefined);
  return { tracker, room, load, kept };
}

describe("markers in memory", () => {
  it("are dropped, the least recently used room first, when others are wanted", async () => {
    const { load, kept } = useTracker();
    for (let n = 0; n < MANY; n++) {
      await load(n);
    }
    const left = kept(MANY);
    expect(left.length).toBeLessThanOrEqual(10_000);
    expect(left.at(0)).toBe(MANY - left.length);
  });

  it("stay while they are not stored, and the same one comes back that was dropped while its user waited", async () => {
    const { tracker, load, kept } = useTracker();
    const [moved, dropped] = [await load(0), await load(1)];
    moved.marker.advance({ deliveredSeq: 1, readSeq: 0, readIndex: 0 }, 0, false);
    for (let n = 2; n < MANY; n++) await load(n);
    expect(kept(2)).toEqual([0]);
    expect(tracker.current(moved)).toBe(moved);
    const again = tracker.current(dropped);
    expect(again.marker).toBe(dropped.marker);
    expect(kept(2)).toEqual([0, 1]);
    expect(tracker.current(dropped)).toBe(again);
  });

  it("are refused when too many cannot be stored", async () => {
    const { load, kept } = useTracker();
    let refused: unknown;
    for (let n = 0; n < 2 * MANY && refused === undefined; n++) {
      try {
        (await load(n)).marker.advance({ deliveredSeq: 1, readSeq: 0, readIndex: 0 }, 0, false);
      } catch (error) {
        refused = error;
      }
    }
    expect(refused).toMatchObject({ code: ErrorCode.UNAVAILABLE });
    expect(kept(2 * MANY).length).toBeLessThanOrEqual(20_000);
  });
});
