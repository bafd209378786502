// Tells that something is no longer what it was: once, for all that happens in a row.

import { call, type Listener } from "../events.js";
import type { Platform, Timer } from "../platform.js";

export class Changes<T> {
  readonly #platform: Pick<Platform, "after">;
  readonly #value: () => T;
  readonly #collectMs: number;
  readonly #listeners = new Set<{ readonly tell: Listener<T> }>();
  #timer: Timer | undefined;

  /** `value` is asked for when it is told, `collectMs` after the first change. */
  constructor(platform: Pick<Platform, "after">, value: () => T, collectMs = 0) {
    this.#platform = platform;
    this.#value = value;
    this.#collectMs = collectMs;
  }

  /** Calls `listener` after each change from now on; returns what ends that. */
  on(listener: Listener<T>): () => void {
    const own = { tell: listener };
    this.#listeners.add(own);
    return () => {
      this.#listeners.delete(own);
      if (this.#listeners.size === 0) this.#cancel();
    };
  }

  /** Somebody listens. */
  get heard(): boolean {
    return this.#listeners.size > 0;
  }

  changed(): void {
    if (this.#listeners.size === 0) return;
    this.#timer ??= this.#platform.after(this.#collectMs, () => {
      this.#timer = undefined;
      call(
        Array.from(this.#listeners, ({ tell }) => tell),
        this.#value(),
      );
    });
  }

  /** Nobody is told of anything any more. */
  end(): void {
    this.#listeners.clear();
    this.#cancel();
  }

  #cancel(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
