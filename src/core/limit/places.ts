// So many at once; whoever comes later waits for a place.

import type { Awaitable } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";

export class Places {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Runs at once if there is a place. What answers without a promise takes none. */
  run<T>(work: () => Awaitable<T>): Awaitable<T> {
    if (this.#free > 0) {
      this.#free--;
      return this.#hold(work);
    }
    return new Promise<void>((resolve) => this.#waiting.push(resolve)).then(() => this.#hold(work));
  }

  /** Works in a place that is taken. */
  #hold<T>(work: () => Awaitable<T>): Awaitable<T> {
    let result: Awaitable<T>;
    try {
      result = work();
    } catch (error) {
      this.#release();
      throw error;
    }
    if (isPromise(result)) return Promise.resolve(result).finally(() => this.#release());
    this.#release();
    return result;
  }

  #release(): void {
    // Handed over, never free in between: whoever comes before the one who waits goes on would take it too.
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
