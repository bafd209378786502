// A clock on which every wait is over at once, and has taken its time all the same.

import type { Clock, Timer } from "../../../src/ports/clock.js";

export class HastyClock implements Clock {
  #nowMs = 0;

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void): Timer {
    let over = false;
    setImmediate(() => {
      if (over) return;
      this.#nowMs += delayMs;
      action();
    });
    return {
      cancel: () => {
        over = true;
      },
    };
  }

  pass(milliseconds: number): void {
    this.#nowMs += milliseconds;
  }

  soon(action: () => void): void {
    setImmediate(action);
  }
}
