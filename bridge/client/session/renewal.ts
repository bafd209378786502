// When a connection's token is replaced: as soon as it is said to expire, or, where it is new already and still does, halfway to its end. Whoever
// gives tokens that live shorter than the server's notice is asked now and then, not all the time.

import type { Platform, Timer } from "../platform.js";

const NEW_FOR_MS = 10_000;

export class Renewal {
  readonly #platform: Pick<Platform, "monotonic" | "after">;
  readonly #renew: () => void;
  #givenAtMs: number;
  #timer: Timer | undefined;

  /** Of a token that was given just now. */
  constructor(platform: Pick<Platform, "monotonic" | "after">, renew: () => void) {
    this.#platform = platform;
    this.#renew = renew;
    this.#givenAtMs = platform.monotonic();
  }

  expiring(inMs: number): void {
    const nowMs = this.#platform.monotonic();
    const isNew = nowMs - this.#givenAtMs < NEW_FOR_MS;
    this.#timer?.cancel();
    if (isNew) this.#timer = this.#platform.after(inMs / 2, () => this.#ask());
    else this.#ask();
  }

  end(): void {
    this.#timer?.cancel();
  }

  #ask(): void {
    this.#givenAtMs = this.#platform.monotonic();
    this.#renew();
  }
}
