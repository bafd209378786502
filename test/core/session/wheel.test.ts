// One coarse timer for all sessions.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Timed, TimerWheel } from "../../../src/core/session/wheel.js";
import { StoppedClock } from "../../support/stopped-clock.js";

const SLOT_MS = 500;
/** The farthest that is kept exactly. */
const FARTHEST_MS = 31_000;

class Alarm implements Timed {
  slot = -1;
  readonly calls: number[] = [];
  /** What each call answers. */
  again: (monotonicMs: number) => number = () => 0;

  tick(monotonicMs: number): number {
    this.calls.push(monotonicMs);
    return this.again(monotonicMs);
  }
}

function useWheel(): { readonly clock: StoppedClock; readonly wheel: TimerWheel } {
  const clock = new StoppedClock();
  const wheel = new TimerWheel(clock);
  wheel.start();
  return { clock, wheel };
}

function pass(clock: StoppedClock, milliseconds: number, stepMs = 10): void {
  for (let left = milliseconds; left > 0; left -= stepMs) clock.advance(Math.min(left, stepMs));
}

describe("the timer wheel", () => {
  it("calls each not before its time and at most one slot late", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            after: fc.integer({ min: 0, max: 3_000 }),
            delay: fc.integer({ min: 1, max: FARTHEST_MS }),
          }),
          { minLength: 1, maxLength: 20 },
        ),
        (plan) => {
          const { clock, wheel } = useWheel();
          const alarms: { readonly alarm: Alarm; readonly due: number }[] = [];
          for (const { after, delay } of plan) {
            pass(clock, after);
            const alarm = new Alarm();
            wheel.schedule(alarm, delay);
            alarms.push({ alarm, due: clock.monotonic() + delay });
          }
          pass(clock, FARTHEST_MS + 2 * SLOT_MS);
          for (const { alarm, due } of alarms) {
            expect(alarm.calls).toHaveLength(1);
            expect(alarm.calls[0]).toBeGreaterThanOrEqual(due);
            expect(alarm.calls[0]).toBeLessThanOrEqual(due + SLOT_MS + 10);
          }
        },
      ),
      { numRuns: 30 },
    );
  });

  it("calls again what asks for it, after as long as it asked", () => {
    const { clock, wheel } = useWheel();
    const alarm = new Alarm();
    alarm.again = () => 2_000;
    wheel.schedule(alarm, 1_000);
    pass(clock, 7_000);
    expect(alarm.calls).toEqual([1_000, 3_000, 5_000, 7_000]);
  });

  it("calls what is farther than it reaches early, so that it can ask again", () => {
    const { clock, wheel } = useWheel();
    const alarm = new Alarm();
    alarm.again = (nowMs) => Math.max(100_000 - nowMs, 0);
    wheel.schedule(alarm, 100_000);
    pass(clock, 120_000, 100);
    expect(alarm.calls.at(-1)).toBe(100_000);
    expect(alarm.calls.length).toBeLessThan(6);
  });

  it("replaces the earlier request of the same one", () => {
    const { clock, wheel } = useWheel();
    const alarm = new Alarm();
    wheel.schedule(alarm, 1_000);
    wheel.schedule(alarm, 5_000);
    pass(clock, 4_990);
    expect(alarm.calls).toEqual([]);
    pass(clock, 10);
    expect(alarm.calls).toEqual([5_000]);
  });

  it("never calls what was removed, not even by another of the same slot", () => {
    const { clock, wheel } = useWheel();
    const gone = new Alarm();
    const removed = new Alarm();
    const removing = new Alarm();
    removing.again = () => {
      wheel.remove(removed);
      return 0;
    };
    for (const alarm of [gone, removing, removed]) wheel.schedule(alarm, 1_000);
    wheel.remove(gone);
    wheel.remove(gone);
    pass(clock, 2_000);
    expect([gone.calls, removed.calls, removing.calls.length]).toEqual([[], [], 1]);
  });

  it("keeps a delay that begins while the wheel is late", () => {
    const { clock, wheel } = useWheel();
    const late = new Alarm();
    const first = new Alarm();
    first.again = () => 5_000;
    wheel.schedule(first, 500);
    // The process stood still: the first slot's time and nine more have passed at once.
    clock.advance(5_000);
    wheel.schedule(late, 3_000);
    pass(clock, 10_000);
    expect(late.calls).toEqual([8_000]);
    expect(first.calls).toEqual([5_000, 10_000, 15_000]);
  });

  it("calls everything that is due, once, after a standstill longer than it reaches", () => {
    const { clock, wheel } = useWheel();
    const alarms = [500, 10_000, 31_000].map((delay) => {
      const alarm = new Alarm();
      wheel.schedule(alarm, delay);
      return alarm;
    });
    clock.advance(3_600_000);
    expect(alarms.map(({ calls }) => calls)).toEqual([[3_600_000], [3_600_000], [3_600_000]]);
  });

  it("is on time again after a standstill longer than it reaches", () => {
    const { clock, wheel } = useWheel();
    const alarm = new Alarm();
    // As sessions do: called early, they ask for the rest.
    let due = 500;
    alarm.again = (nowMs) => {
      if (nowMs >= due) due = nowMs + 5_000;
      return due - nowMs;
    };
    wheel.schedule(alarm, 500);
    clock.advance(3_600_000);
    const before = alarm.calls.length;
    pass(clock, 10_000);
    expect(alarm.calls.slice(before)).toEqual([3_605_000, 3_610_000]);
  });

  it("leaves no timer when it is stopped", () => {
    const { clock, wheel } = useWheel();
    const alarm = new Alarm();
    wheel.schedule(alarm, 1_000);
    wheel.stop();
    expect(clock.pending).toBe(0);
    pass(clock, 5_000);
    expect(alarm.calls).toEqual([]);
  });
});
