// Looks again, now and then, at what may have changed without a word: a few each second, so that it never takes long.

import type { Clock, Timer } from "../../ports/clock.js";

const ROUND_MS = 30_000;
const STEP_MS = 1_000;

export interface Rechecked {
  /** Never rejects. */
  recheck(): Promise<void>;
}

export class Rechecks {
  readonly #clock: Clock;
  readonly #mostAtOnce: number;
  /** The next first. */
  readonly #waiting = new Set<Rechecked>();
  #timer: Timer | undefined;
  #stopped = false;

  /** Each at least once in 30 s, unless more than `mostAtOnce` are due in a second: then each in its turn. Default: any number. */
  constructor(clock: Clock, mostAtOnce = Number.POSITIVE_INFINITY) {
    this.#clock = clock;
    this.#mostAtOnce = mostAtOnce;
  }

  add(one: Rechecked): void {
    this.#waiting.add(one);
    this.#arm();
  }

  remove(one: Rechecked): void {
    this.#waiting.delete(one);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#waiting.clear();
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = this.#clock.after(STEP_MS, () => {
      this.#timer = undefined;
      const count = Math.min(Math.ceil((this.#waiting.size * STEP_MS) / ROUND_MS), this.#mostAtOnce);
      const due: Rechecked[] = [];
      for (const one of this.#waiting) {
        if (due.length === count) break;
        due.push(one);
      }
      for (const one of due) {
        this.#waiting.delete(one);
        this.#waiting.add(one);
        void one.recheck();
      }
      if (this.#waiting.size > 0) this.#arm();
    });
  }
}
