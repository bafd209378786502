// A clock that goes so many times as fast as the system's: deadlines of seconds pass while a service is paused for a moment.

import { createSystemClock } from "../../../src/ops/clock.js";
import type { Clock, Timer } from "../../../src/ports/clock.js";

export class FastClock implements Clock {
  readonly #system = createSystemClock();
  readonly #times: number;

  constructor(times: number) {
    this.#times = times;
  }

  now(): number {
    return this.#system.now() * this.#times;
  }

  monotonic(): number {
    return this.#system.monotonic() * this.#times;
  }

  after(delayMs: number, action: () => void): Timer {
    return this.#system.after(delayMs / this.#times, action);
  }

  soon(action: () => void): void {
    this.#system.soon(action);
  }
}
