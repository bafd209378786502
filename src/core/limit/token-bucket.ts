// A token bucket: a rate with a burst, in two numbers and no timer.

import type { Rate } from "./limits.js";

export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledAtMs: number;

  constructor(rate: Rate, monotonicMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledAtMs = monotonicMs;
  }

  /** Takes one token and returns 0, or takes none and returns in how many milliseconds there will be one. */
  take(monotonicMs: number): number {
    const { perSecond, burst } = this.#rate;
    if (perSecond === 0) return 0;
    const refilled = this.#tokens + ((monotonicMs - this.#filledAtMs) * perSecond) / 1_000;
    this.#tokens = Math.min(refilled, burst);
    this.#filledAtMs = monotonicMs;
    if (this.#tokens >= 1) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.#tokens) * 1_000) / perSecond);
  }
}
