// How many clients come with a bridge, wherever it goes: those that it has, and for a while those that it has just lost, because they come back.

import type { Clock, Timer } from "../../src/ports/clock.js";

/** Between two looks, in milliseconds. */
const LOOK_MS = 2_000;
/** What is left of those that are gone from one look to the next: half of them after 13 s, far longer than they take to come back. */
const KEPT = 0.9;
/** A change by less than this part is not worth a word. */
const NOTABLE_PART = 0.05;

export class Brought {
  readonly #count: () => number;
  readonly #onChanged: () => void;
  readonly #clock: Clock;
  #timer: Timer | undefined;
  #clients = 0;
  #told = 0;

  /** `count`: how many there are now. `onChanged`: what `clients` says has changed by a good part. */
  constructor(clock: Clock, count: () => number, onChanged: () => void) {
    this.#clock = clock;
    this.#count = count;
    this.#onChanged = onChanged;
  }

  get clients(): number {
    return Math.max(this.#told, this.#count());
  }

  start(): void {
    this.#timer = this.#clock.after(LOOK_MS, () => {
      this.start();
      this.#clients = Math.max(this.#count(), Math.floor(this.#clients * KEPT));
      if (Math.abs(this.#clients - this.#told) <= this.#told * NOTABLE_PART) return;
      this.#told = this.#clients;
      this.#onChanged();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }
}
