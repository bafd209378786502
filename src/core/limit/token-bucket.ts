// A token bucket: a rate with a burst, in two whole numbers and no timer.

import type { Rate } from "./rates.js";

/** A whole rate, or a share of it, is counted in thousandths. */
export const WHOLE = 1_000;
/**
 * A bucket counts millionths: a rate of so many a second gives so many thousandths of them each millisecond, and so many thousandths of
 * it as many millionths: nothing is ever rounded.
 */
const TOKEN = 1_000 * WHOLE;

export class TokenBucket {
  readonly rate: Rate;
  /** Millionths of tokens. */
  #held: number;
  /** How many come each millisecond. */
  #perMs: number;
  /** A whole millisecond. */
  #filledAtMs: number;

  constructor(rate: Rate, monotonicMs: number, share = WHOLE) {
    this.rate = rate;
    this.#held = rate.burst * TOKEN;
    this.#perMs = rate.perSecond * share;
    this.#filledAtMs = Math.floor(monotonicMs);
  }

  /** Tokens it holds, or held when it was last asked. */
  get held(): number {
    return this.#held / TOKEN;
  }

  /** In how many milliseconds there will be a token, if none is taken before; 0: there is one. Not a millisecond earlier. */
  waitMs(monotonicMs: number): number {
    if (this.rate.perSecond === 0) return 0;
    this.#refill(monotonicMs);
    return this.#held >= TOKEN ? 0 : Math.ceil((TOKEN - this.#held) / this.#perMs);
  }

  /** Takes one token: only where `waitMs` has just said that there is one. */
  spend(): void {
    this.#held -= TOKEN;
  }

  /** Puts back a token that was taken. */
  giveBack(): void {
    this.#held = Math.min(this.#held + TOKEN, this.rate.burst * TOKEN);
  }

  /** Takes one token and returns 0, or takes none and returns `waitMs`. */
  take(monotonicMs: number): number {
    const waitMs = this.waitMs(monotonicMs);
    if (waitMs === 0) this.spend();
    return waitMs;
  }

  /** In how many milliseconds it is as full as a new one, if nothing is taken. */
  fullInMs(monotonicMs: number): number {
    if (this.rate.perSecond === 0) return 0;
    this.#refill(monotonicMs);
    return Math.ceil((this.rate.burst * TOKEN - this.#held) / this.#perMs);
  }

  /** From now on it fills at so many thousandths of the rate, at least one. */
  fillAt(share: number, monotonicMs: number): void {
    this.#refill(monotonicMs);
    this.#perMs = this.rate.perSecond * share;
  }

  #refill(monotonicMs: number): void {
    const nowMs = Math.floor(monotonicMs);
    this.#held = Math.min(this.#held + (nowMs - this.#filledAtMs) * this.#perMs, this.rate.burst * TOKEN);
    this.#filledAtMs = nowMs;
  }
}
