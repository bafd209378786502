// A token bucket: a rate with a burst, in two numbers and no timer.

import type { Rate } from "./limits.js";

/** Fractions of a token that add up to one may fall short of it by less than this. */
const ROUNDING = 1e-6;

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
    const { perSecond } = this.#rate;
    if (perSecond === 0) return 0;
    this.#refill(monotonicMs);
    if (this.#tokens >= 1 - ROUNDING) {
      this.#tokens -= 1;
      return 0;
    }
    return Math.ceil(((1 - this.#tokens) * 1_000) / perSecond);
  }

  /** In how many milliseconds it is as full as a new one, if nothing is taken. */
  fullInMs(monotonicMs: number): number {
    const { perSecond, burst } = this.#rate;
    if (perSecond === 0) return 0;
    this.#refill(monotonicMs);
    return Math.ceil(((burst - this.#tokens) * 1_000) / perSecond);
  }

  #refill(monotonicMs: number): void {
    const { perSecond, burst } = this.#rate;
    this.#tokens = Math.min(this.#tokens + ((monotonicMs - this.#filledAtMs) * perSecond) / 1_000, burst);
    this.#filledAtMs = monotonicMs;
  }
}
