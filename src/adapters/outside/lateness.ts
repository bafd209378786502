// How late this process is with what is due: time in which it could not have read an answer that had come. It looks only while somebody wants
// to know.

import type { Clock, Timer } from "../../ports/clock.js";

/** Between two looks, in milliseconds. */
const LOOK_MS = 50;

export interface LatenessWatch {
  /** How late the process was since the watch began, in milliseconds. */
  readonly lateMs: number;
  /** Called once. */
  end(): void;
}

export class Lateness {
  readonly #clock: Clock;
  #watching = 0;
  #timer: Timer | undefined;
  #dueMs = 0;
  /** By how much all looks so far came later than they were due, in milliseconds. */
  #lateMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  watch(): LatenessWatch {
    if (this.#watching === 0) this.#look();
    this.#watching++;
    const sinceMs = this.#soFarMs();
    const soFarMs = (): number => this.#soFarMs();
    return {
      get lateMs() {
        return soFarMs() - sinceMs;
      },
      end: () => {
        this.#watching--;
        if (this.#watching === 0) this.#timer?.cancel();
      },
    };
  }

  #look(): void {
    this.#dueMs = this.#clock.monotonic() + LOOK_MS;
    this.#timer = this.#clock.after(LOOK_MS, () => {
      this.#lateMs = this.#soFarMs();
      this.#look();
    });
  }

  /** With the look that is overdue now. */
  #soFarMs(): number {
    return this.#lateMs + Math.max(0, this.#clock.monotonic() - this.#dueMs);
  }
}
