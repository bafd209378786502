// How busy this process is, from the event loop's own books.

import { performance } from "node:perf_hooks";
import type { Clock, Timer } from "../ports/clock.js";

const SAMPLE_INTERVAL_MS = 250;
/** Weight of the newest sample: a sudden load is seen to nine tenths after half a second. */
const NEWEST_WEIGHT = 0.7;

export interface LoadSampler {
  /** The smoothed share of time the event loop was busy lately, 0 to 1. Costs nothing: it is sampled by a timer. */
  load(): number;
  /** Ends the timer. */
  stop(): void;
}

/** Milliseconds the event loop was busy and idle, ever growing. */
export interface LoopTimes {
  readonly idle: number;
  readonly active: number;
}

/** Samples the event loop's utilisation every 250 ms. */
export function startLoadSampler(
  clock: Clock,
  times: () => LoopTimes = () => performance.eventLoopUtilization(),
): LoadSampler {
  let smoothed = 0;
  let before = times();
  let timer: Timer;
  const sample = () => {
    const after = times();
    const active = after.active - before.active;
    const total = active + after.idle - before.idle;
    before = after;
    if (total > 0) smoothed += NEWEST_WEIGHT * (active / total - smoothed);
    timer = clock.after(SAMPLE_INTERVAL_MS, sample);
  };
  timer = clock.after(SAMPLE_INTERVAL_MS, sample);
  return { load: () => smoothed, stop: () => timer.cancel() };
}
