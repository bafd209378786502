// So many things at once; what comes beyond waits its turn, until a deadline.

import type { Clock } from "../../ports/clock.js";

export interface AtMostOptions {
  /** How many. */
  readonly places: number;
  /** Longest wait for a place, in milliseconds. */
  readonly deadlineMs: number;
  readonly clock: Clock;
}

export class AtMost {
  readonly #options: AtMostOptions;
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(options: AtMostOptions) {
    this.#options = options;
    this.#free = options.places;
  }

  async run<T>(action: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await this.#turn();
    try {
      return await action();
    } finally {
      this.#pass();
    }
  }

  #turn(): Promise<void> {
    const { clock, deadlineMs } = this.#options;
    return new Promise((resolve, reject) => {
      const come = (): void => {
        timer.cancel();
        resolve();
      };
      const timer = clock.after(deadlineMs, () => {
        this.#waiting.delete(come);
        reject(new Error(`no place became free within ${deadlineMs} ms`));
      });
      this.#waiting.add(come);
    });
  }

  /** A place goes to whoever has waited longest. */
  #pass(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free += 1;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
