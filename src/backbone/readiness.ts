// What is told of a server's readiness and of its addresses.

import type { Clock, Timer } from "../ports/clock.js";

/** How old an answer about readiness may be, in milliseconds. */
const READINESS_INTERVAL_MS = 250;

/** Keeps what is said about readiness current. Returns what ends it. */
export function watchReadiness(clock: Clock, tell: () => void): () => void {
  let timer: Timer | undefined;
  const look = () => {
    tell();
    timer = clock.after(READINESS_INTERVAL_MS, look);
  };
  look();
  return () => timer?.cancel();
}

/** "host:port". */
export function joinAddress(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
