// Tries again what does no harm when it is done twice, until a deadline.

import type { Clock } from "../../ports/clock.js";

/** Between two tries, in milliseconds; doubled up to the last. */
const FIRST_PAUSE_MS = 25;
const LAST_PAUSE_MS = 400;

export class Retry {
  readonly #clock: Clock;
  readonly #ends = new Set<() => void>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Resolves with the first try that does; rejects with the last one's reason where the next would begin after the deadline, or once it was given
   * up.
   */
  async run<T>(deadlineMs: number, action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    const sinceMs = this.#clock.monotonic();
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, LAST_PAUSE_MS)) {
      try {
        return await action();
      } catch (error) {
        if (this.#closed || signal?.aborted === true || this.#clock.monotonic() + pauseMs - sinceMs > deadlineMs)
          throw error;
      }
      await this.#pause(pauseMs, signal);
      signal?.throwIfAborted();
    }
  }

  /** Ends the pauses: what fails from now on is not tried again. */
  close(): void {
    this.#closed = true;
    for (const end of this.#ends) end();
  }

  #pause(pauseMs: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#closed) return Promise.resolve();
    return new Promise((resolve) => {
      const end = (): void => {
        timer.cancel();
        signal?.removeEventListener("abort", end);
        this.#ends.delete(end);
        resolve();
      };
      const timer = this.#clock.after(pauseMs, end);
      signal?.addEventListener("abort", end);
      this.#ends.add(end);
    });
  }
}
