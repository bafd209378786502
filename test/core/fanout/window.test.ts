// The collecting window: longer step by step while the process is busy, and shorter again.

import { describe, expect, it } from "vitest";
import { CollectingWindow } from "../../../src/core/fanout/window.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { StoppedClock } from "../../support/stopped-clock.js";

const SAMPLE_MS = 250;

function useWindow() {
  const clock = new StoppedClock();
  const telemetry = new Telemetry();
  const told: { windowMs: number; load: number }[] = [];
  telemetry.on("fanout.window", (change) => told.push(change));
  const process = { load: 0 };
  const window = new CollectingWindow(clock, () => process.load, telemetry);
  window.start();
  /** The windows after each of so many samples under this load. */
  const under = (load: number, samples: number): readonly number[] => {
    process.load = load;
    return Array.from({ length: samples }, () => {
      clock.advance(SAMPLE_MS);
      return window.ms;
    });
  };
  return { clock, window, told, under };
}

describe("a collecting window", () => {
  it("is nothing in an idle process, and steps up to 33 ms and back with the load", () => {
    const { window, under } = useWindow();
    expect(window.ms).toBe(0);
    expect(under(0.1, 2)).toEqual([0, 0]);
    expect(under(0.9, 5)).toEqual([5, 12, 33, 33, 33]);
    expect(under(0.05, 5)).toEqual([12, 5, 0, 0, 0]);
  });

  it("stays as it is between idle and busy, limits included", () => {
    const { under } = useWindow();
    under(1, 2);
    for (const load of [0.15, 0.3, 0.5]) expect(under(load, 2)).toEqual([12, 12]);
    expect(under(0.51, 1)).toEqual([33]);
    expect(under(0.149, 1)).toEqual([12]);
  });

  it("says so when it changes, and only then", () => {
    const { told, under } = useWindow();
    under(0.8, 5);
    under(0.3, 5);
    under(0, 1);
    expect(told).toEqual([
      { windowMs: 5, load: 0.8 },
      { windowMs: 12, load: 0.8 },
      { windowMs: 33, load: 0.8 },
      { windowMs: 12, load: 0 },
    ]);
  });

  it("samples no more once it is stopped", () => {
    const { clock, window, under } = useWindow();
    under(1, 1);
    window.stop();
    expect(under(1, 3)).toEqual([5, 5, 5]);
    expect(clock.pending).toBe(0);
  });
});
