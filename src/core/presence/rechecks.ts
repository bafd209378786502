// Looks now and then whether sessions may still see whom they watch: a few each second, so that it never takes long.

import type { Clock, Timer } from "../../ports/clock.js";

const ROUND_MS = 30_000;
const STEP_MS = 1_000;

export interface Rechecked {
  /** Never rejects. */
  recheck(): Promise<void>;
}

export class Rechecks {
  readonly #clock: Clock;
  /** The next first. */
  readonly #waiting = new Set<Rechecked>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(clock: Clock) {
    this.#clock = clock;
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
      const due = [...this.#waiting].slice(0, Math.ceil((this.#waiting.size * STEP_MS) / ROUND_MS));
      for (const one of due) {
        this.#waiting.delete(one);
        this.#waiting.add(one);
        void one.recheck();
      }
      if (this.#waiting.size > 0) this.#arm();
    });
  }
}
