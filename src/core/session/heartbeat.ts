// Are you there? The server asks; any frame of the client is an answer, the pong also measures the round trip.

import type { Limits } from "../limit/limits.js";

/** A deadline that is looked at so much too late was missed by this process, not by the client, in milliseconds. */
const STANDSTILL_MS = 2_000;

export type Beat =
  | { readonly is: "waiting"; readonly nextMs: number }
  | { readonly is: "ping"; readonly id: number; readonly lastRoundTripMs: number | undefined; readonly nextMs: number }
  | { readonly is: "lost" };

export class Heartbeat {
  readonly #limits: Limits;
  #nextPingMs: number;
  #sentAtMs = 0;
  #id = 0;
  /** When the client is given up; undefined: nothing is awaited. */
  #lostAtMs: number | undefined;
  #roundTripMs: number | undefined;

  constructor(limits: Limits, monotonicMs: number) {
    this.#limits = limits;
    this.#nextPingMs = monotonicMs + limits.pingIntervalMs;
  }

  heard(): void {
    this.#lostAtMs = undefined;
  }

  answered(id: number, monotonicMs: number): void {
    if (id === this.#id && this.#sentAtMs > 0) this.#roundTripMs = Math.round(monotonicMs - this.#sentAtMs);
  }

  tick(monotonicMs: number): Beat {
    if (this.#lostAtMs !== undefined && monotonicMs >= this.#lostAtMs) {
      if (monotonicMs - this.#lostAtMs < STANDSTILL_MS) return { is: "lost" };
      // The pongs of all clients may wait to be read: without this, everybody would be sent away at once.
      this.#lostAtMs = monotonicMs + this.#limits.pongDeadlineMs;
    }
    if (monotonicMs < this.#nextPingMs) {
      return {
        is: "waiting",
        nextMs: Math.min(this.#nextPingMs, this.#lostAtMs ?? Number.POSITIVE_INFINITY) - monotonicMs,
      };
    }
    this.#id = (this.#id + 1) >>> 0;
    this.#sentAtMs = monotonicMs;
    this.#lostAtMs ??= monotonicMs + this.#limits.pongDeadlineMs;
    this.#nextPingMs = monotonicMs + this.#limits.pingIntervalMs;
    const nextMs = Math.min(this.#nextPingMs, this.#lostAtMs) - monotonicMs;
    return { is: "ping", id: this.#id, lastRoundTripMs: this.#roundTripMs, nextMs };
  }
}
