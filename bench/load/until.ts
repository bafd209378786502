// Waits for what a load generator sees happen.

import { setTimeout as pause } from "node:timers/promises";

const POLL_MS = 20;

/** Resolves when `done` says so, or after the deadline. */
export async function waitUntil(done: () => boolean, deadlineMs: number): Promise<void> {
  const until = performance.now() + deadlineMs;
  while (!done() && performance.now() < until) await pause(POLL_MS);
}
