// When a server takes connections.

import { setTimeout as pause } from "node:timers/promises";

const READY_DEADLINE_MS = 60_000;
const POLL_MS = 100;

/** Resolves once the server says so; rejects with what it says instead when it does not within a minute. */
export async function untilReady(webPort: number): Promise<void> {
  const deadline = performance.now() + READY_DEADLINE_MS;
  for (;;) {
    const response = await fetch(`http://127.0.0.1:${webPort}/health/ready`);
    const text = await response.text();
    if (response.ok) return;
    if (performance.now() > deadline) throw new Error(`a server is not ready in time: ${text}`);
    await pause(POLL_MS);
  }
}
