// Stopped time that passes.

import type { StoppedClock } from "../support/stopped-clock.js";

const STEP_MS = 250;
/** Turns of the event loop after which what was to follow a step has followed. */
const TURNS = 3;

/** Moves the clock in small steps, as timers see it, and lets follow what follows. */
export async function pass(clock: StoppedClock, ms: number): Promise<void> {
  let left = ms;
  do {
    clock.advance(Math.min(left, STEP_MS));
    left -= STEP_MS;
    for (let turn = 0; turn < TURNS; turn++) await new Promise((resolve) => setImmediate(resolve));
  } while (left > 0);
}
