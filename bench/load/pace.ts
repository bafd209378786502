// Sends at a fixed rate by an absolute schedule: what is late is sent at once, and is late by the clock of its receivers too.

import { setImmediate as nextTurn, setTimeout as pause } from "node:timers/promises";

/** Timers fire up to this late: below it, the loop turns until the moment has come, where there is time to spare for that. */
const TIMER_SLACK_MS = 2;
const SPIN_ABOVE_INTERVAL_MS = 20;

export interface Schedule {
  /** When message 0 is due, by performance.now(). */
  readonly startAt: number;
  readonly intervalMs: number;
  readonly count: number;
}

/** When message `n` is due. */
export function dueAt(schedule: Schedule, n: number): number {
  return schedule.startAt + n * schedule.intervalMs;
}

/** Calls `send` for each message when it is due. */
export async function pace(schedule: Schedule, send: (n: number) => void): Promise<void> {
  const spins = schedule.intervalMs >= SPIN_ABOVE_INTERVAL_MS;
  for (let n = 0; n < schedule.count; ) {
    const wait = dueAt(schedule, n) - performance.now();
    if (wait <= 0) send(n++);
    else if (!spins) await pause(Math.max(1, Math.floor(wait)));
    else if (wait > TIMER_SLACK_MS) await pause(wait - TIMER_SLACK_MS);
    else await nextTurn();
  }
}
