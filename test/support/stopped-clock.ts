// A clock that stands still until a test moves it.

import type { Clock, Timer } from "../../src/ports/clock.js";

export class StoppedClock implements Clock {
  #now = 0;
  #setBackMs = 0;
  readonly #timers = new Set<{ readonly at: number; readonly action: () => void }>();

  now(): number {
    return this.#now - this.#setBackMs;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, action: () => void): Timer {
    const timer = { at: this.#now + delayMs, action };
    this.#timers.add(timer);
    return { cancel: () => this.#timers.delete(timer) };
  }

  soon(action: () => void): void {
    setImmediate(action);
  }

  /** How many calls are scheduled. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Sets the wall clock back; the other goes on. */
  setBack(milliseconds: number): void {
    this.#setBackMs += milliseconds;
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
    for (const timer of [...this.#timers]) {
      if (timer.at <= this.#now && this.#timers.delete(timer)) timer.action();
    }
  }
}
