// What waits to be written to one session.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS } from "../../../src/core/limit/limits.js";
import { Flusher } from "../../../src/core/session/flusher.js";
import { Outbox } from "../../../src/core/session/outbox.js";
import type { SessionSink } from "../../../src/core/session/port.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { BINARY, settle } from "../use-core.js";

const KIB = 1_024;

/** Frames are told apart by their number, whatever their length. */
function frame(number: number, bytes = 4): Uint8Array {
  const made = new Uint8Array(Math.max(bytes, 4));
  new DataView(made.buffer).setUint32(0, number);
  return made;
}

function numberOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer).getUint32(0);
}

class Sink implements SessionSink {
  readonly encoding = BINARY;
  readonly written: number[] = [];
  readonly writes: number[] = [];
  full = false;

  write(frames: readonly Uint8Array[]): boolean {
    this.written.push(...frames.map(numberOf));
    this.writes.push(frames.reduce((bytes, each) => bytes + each.length, 0));
    return !this.full;
  }

  end(): void {}
}

function useOutbox() {
  const clock = new StoppedClock();
  const sink = new Sink();
  const owner = {
    readied: 0,
    onReady(): void {
      this.readied++;
    },
  };
  const outbox = new Outbox(sink, new Flusher(clock), DEFAULT_LIMITS, owner);
  /** Something was written, and the sink takes no more. */
  const block = async (): Promise<void> => {
    sink.full = true;
    outbox.push(frame(0));
    await settle(1);
    sink.written.length = 0;
    sink.writes.length = 0;
  };
  const drain = (): void => {
    sink.full = false;
    outbox.drained();
  };
  return { clock, sink, owner, outbox, block, drain };
}

describe("an outbox", () => {
  it("writes what came in one turn in one write, in order", async () => {
    const { sink, outbox } = useOutbox();
    for (const number of [1, 2, 3]) outbox.push(frame(number));
    expect(sink.writes).toEqual([]);
    await settle(1);
    expect(sink.written).toEqual([1, 2, 3]);
    expect(sink.writes).toHaveLength(1);
  });

  it("hands over 64 KiB at a time, a longer frame alone", async () => {
    const { sink, outbox } = useOutbox();
    const lengths = [30 * KIB, 30 * KIB, 30 * KIB, 100 * KIB, 10];
    for (const [index, bytes] of lengths.entries()) outbox.push(frame(index, bytes));
    await settle(1);
    expect(sink.writes).toEqual([60 * KIB, 30 * KIB, 100 * KIB, 10]);
    expect(sink.written).toEqual([0, 1, 2, 3, 4]);
  });

  it("writes no more than one chunk to a sink that has enough", async () => {
    const { sink, outbox } = useOutbox();
    sink.full = true;
    for (let number = 0; number < 4; number++) outbox.push(frame(number, 40 * KIB));
    await settle(1);
    expect(sink.written).toEqual([0]);
    expect(outbox.bytes).toBe(120 * KIB);
    outbox.drained();
    expect(sink.written).toEqual([0, 1]);
  });

  it("lets errors and pings overtake what waits behind back-pressure, in their own order", async () => {
    const { sink, outbox, block, drain } = useOutbox();
    await block();
    outbox.push(frame(1));
    outbox.pushFirst(frame(101));
    outbox.push(frame(2));
    outbox.pushFirst(frame(102));
    drain();
    expect(sink.written).toEqual([101, 102, 1, 2]);
  });

  it("keeps errors in order with the replies of the same turn where nothing holds them up", async () => {
    const { sink, outbox } = useOutbox();
    outbox.push(frame(1));
    outbox.pushFirst(frame(2));
    outbox.push(frame(3));
    await settle(1);
    expect(sink.written).toEqual([1, 2, 3]);
  });

  it("takes no more refusals than live pushes while nobody reads", async () => {
    const { outbox, block } = useOutbox();
    await block();
    const taken = Array.from({ length: 1_100 }, (_, index) => outbox.pushFirst(frame(index, KIB)));
    expect(taken.filter(Boolean)).toHaveLength(1_024);
    expect(outbox.bytes).toBe(DEFAULT_LIMITS.outboxBytes);
  });

  it("is full beyond its bound, and not at it", async () => {
    const { outbox, block } = useOutbox();
    await block();
    outbox.push(frame(1, DEFAULT_LIMITS.outboxBytes));
    expect(outbox.full).toBe(false);
    outbox.push(frame(2));
    expect(outbox.full).toBe(true);
  });

  it("drops what is ephemeral while much waits, and nothing else", async () => {
    const { sink, outbox, block, drain } = useOutbox();
    await block();
    expect(outbox.offer(frame(1, DEFAULT_LIMITS.ephemeralBytes))).toBe(true);
    outbox.push(frame(2));
    expect(outbox.offer(frame(3))).toBe(false);
    outbox.push(frame(4));
    drain();
    expect(sink.written).toEqual([1, 2, 4]);
    expect(outbox.offer(frame(5))).toBe(true);
  });

  it("knows since when nothing was taken", async () => {
    const { clock, outbox, block, drain } = useOutbox();
    expect(outbox.blockedSinceMs).toBeUndefined();
    clock.advance(1_000);
    await block();
    clock.advance(500);
    outbox.push(frame(1));
    expect(outbox.blockedSinceMs).toBe(1_000);
    drain();
    expect(outbox.blockedSinceMs).toBeUndefined();
  });

  it("is not ready while it is full, however small its bound", () => {
    const owner = { onReady: () => {} };
    const limits = { ...DEFAULT_LIMITS, outboxBytes: 1 * KIB };
    const outbox = new Outbox(new Sink(), new Flusher(new StoppedClock()), limits, owner);
    outbox.push(frame(1, 2 * KIB));
    expect(outbox.full).toBe(true);
    expect(outbox.ready).toBe(false);
  });

  it("says that it is ready when little waits, not before", async () => {
    const { owner, outbox, sink, block } = useOutbox();
    await block();
    for (let number = 1; number <= 4; number++) outbox.push(frame(number, 40 * KIB));
    owner.readied = 0;
    // Takes one chunk at a time.
    for (let left = 3; left >= 1; left--) {
      outbox.drained();
      expect([outbox.ready, owner.readied]).toEqual([false, 0]);
    }
    sink.full = false;
    outbox.drained();
    expect([outbox.ready, owner.readied]).toEqual([true, 1]);
  });

  it("says its last word at once, over whatever waits behind back-pressure", async () => {
    const { sink, outbox, block } = useOutbox();
    await block();
    outbox.push(frame(1));
    outbox.pushFirst(frame(2));
    outbox.close(frame(9));
    expect(sink.written).toEqual([2, 9]);
    expect(outbox.bytes).toBe(0);
  });

  it("says its last word after everything that can still be written", () => {
    const { sink, outbox } = useOutbox();
    outbox.push(frame(1));
    outbox.close(frame(9));
    expect(sink.written).toEqual([1, 9]);
  });

  it("writes nothing once it is closed or discarded", async () => {
    for (const end of ["close", "discard"] as const) {
      const { sink, outbox, drain } = useOutbox();
      outbox.push(frame(1));
      if (end === "close") outbox.close(frame(9));
      else outbox.discard();
      sink.written.length = 0;
      outbox.push(frame(2));
      outbox.pushFirst(frame(3));
      outbox.offer(frame(4));
      outbox.close(frame(5));
      drain();
      await settle(1);
      expect([sink.written, outbox.bytes]).toEqual([[], 0]);
    }
  });

  it("loses, doubles and reorders nothing, and counts its bytes exactly, whatever happens when", async () => {
    const length = fc.oneof(fc.integer({ min: 4, max: 100 }), fc.integer({ min: 4, max: 90 * KIB }));
    const step = fc.oneof(
      { weight: 5, arbitrary: fc.record({ do: fc.constant("push" as const), length }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("pushFirst" as const), length }) },
      { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("block", "accept", "drained", "flush", "turn") }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { sink, outbox, drain } = useOutbox();
        const durable: number[] = [];
        const first: number[] = [];
        const lengths = new Map<number, number>();
        let number = 0;
        for (const each of steps) {
          switch (each.do) {
            case "push":
              lengths.set(++number, each.length);
              durable.push(number);
              outbox.push(frame(number, each.length));
              break;
            case "pushFirst": {
              number++;
              // Where nothing is held up there is nothing to overtake: it keeps its place among the others.
              const like = outbox.blockedSinceMs === undefined ? durable : first;
              if (!outbox.pushFirst(frame(number, each.length))) break;
              lengths.set(number, each.length);
              like.push(number);
              break;
            }
            case "block":
              sink.full = true;
              break;
            case "accept":
              sink.full = false;
              break;
            case "drained":
              outbox.drained();
              break;
            case "flush":
              outbox.flush();
              break;
            case "turn":
              await settle(1);
              break;
          }
          const written = new Set(sink.written);
          let waiting = 0;
          for (const [which, bytes] of lengths) if (!written.has(which)) waiting += bytes;
          expect(outbox.bytes).toBe(waiting);
        }
        drain();
        await settle(1);
        const urgent = new Set(first);
        expect(sink.written.filter((which) => !urgent.has(which))).toEqual(durable);
        expect(sink.written.filter((which) => urgent.has(which))).toEqual(first);
        expect(outbox.bytes).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});
