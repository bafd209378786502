// A token bucket: a rate with a burst, in two whole numbers and no timer.

import type { Rate } from "./rates.js";

/** A bucket counts thousandths: a rate of so many a second gives so many of them each millisecond, and nothing is ever rounded. */
const TOKEN = 1_000;

export class TokenBucket {
  readonly #rate: Rate;
  /** Thousandths of tokens. */
  #held: number;
  /** A whole millisecond. */
  #filledAtMs: number;

  constructor(rate: Rate, monotonicMs: number) {
    this.#rate = rate;
    this.#held = rate.burst * TOKEN;
    this.#filledAtMs = Math.floor(monotonicMs);
  }

  /** In how many milliseconds there will be a token, if none is taken before; 0: there is one. Not a millisecond earlier. */
  waitMs(monotonicMs: number): number {
    const { perSecond } = this.#rate;
    if (perSecond === 0) return 0;
    this.#refill(monotonicMs);
    return this.#held >= TOKEN ? 0 : Math.ceil((TOKEN - this.#held) / perSecond);
  }

  /** Takes one token: only where `waitMs` has just said that there is one. */
  spend(): void {
    this.#held -= TOKEN;
  }

  /** Puts back a token that was taken. */
  giveBack(): void {
    this.#held = Math.min(this.#held + TOKEN, this.#rate.burst * TOKEN);
  }

  /** Takes one token and returns 0, or takes none and returns `waitMs`. */
  take(monotonicMs: number): number {
    const waitMs = this.waitMs(monotonicMs);
    if (waitMs === 0) this.spend();
    return waitMs;
  }

  /** In how many milliseconds it is as full as a new one, if nothing is taken. */
  fullInMs(monotonicMs: number): number {
    const { perSecond, burst } = this.#rate;
    if (perSecond === 0) return 0;
    this.#refill(monotonicMs);
    return Math.ceil((burst * TOKEN - this.#held) / perSecond);
  }

  #refill(monotonicMs: number): void {
    const nowMs = Math.floor(monotonicMs);
    this.#held = Math.min(this.#held + (nowMs - this.#filledAtMs) * this.#rate.perSecond, this.#rate.burst * TOKEN);
    this.#filledAtMs = nowMs;
  }
}
