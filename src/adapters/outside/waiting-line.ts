// Who waits for a turn, first come, first served: only so many, and none for longer than so long.

import type { Clock, Timer } from "../../ports/clock.js";

export interface WaitingLimits {
  /** How many wait at once; 0: nobody does. */
  readonly places: number;
  /** How long one waits at most, in milliseconds. */
  readonly longestMs: number;
}

interface Waiting {
  readonly untilMs: number;
  readonly turn: () => void;
  readonly refuse: (error: Error) => void;
}

export class WaitingLine {
  readonly #clock: Clock;
  readonly #limits: WaitingLimits;
  /** What a wait ends with that was too long, or for which there is no place. */
  readonly #busy: () => Error;
  /** In order of coming, and so of their deadlines. A Set, because an array is slow to shift when it is long. */
  readonly #waiting = new Set<Waiting>();
  /** For the first in line; there while anybody waits. */
  #timer: Timer | undefined;

  constructor(clock: Clock, limits: WaitingLimits, busy: () => Error) {
    this.#clock = clock;
    this.#limits = limits;
    this.#busy = busy;
  }

  get length(): number {
    return this.#waiting.size;
  }

  /** Resolves when it is its turn; rejects where the line is full, the wait was too long, or with what everybody is refused with. */
  join(): Promise<void> {
    if (this.#waiting.size >= this.#limits.places) return Promise.reject(this.#busy());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const untilMs = this.#clock.monotonic() + this.#limits.longestMs;
    this.#waiting.add({ untilMs, turn: resolve, refuse: reject });
    this.#timer ??= this.#clock.after(this.#limits.longestMs, () => this.#look());
    return promise;
  }

  /** It is the first one's turn. False: nobody waits. */
  next(): boolean {
    const first = this.#shift();
    first?.turn();
    return first !== undefined;
  }

  /** Sends everybody away, each with an error of its own. */
  refuse(error: () => Error): void {
    const all = [...this.#waiting];
    this.#waiting.clear();
    this.#rest();
    for (const { refuse } of all) refuse(error());
  }

  #shift(): Waiting | undefined {
    const { value: first } = this.#waiting.values().next();
    if (first === undefined) return undefined;
    this.#waiting.delete(first);
    if (this.#waiting.size === 0) this.#rest();
    return first;
  }

  /** The timer is not set anew with each turn: it may find that the first in line came later than the one it was set for. */
  #look(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonic();
    for (const first of this.#waiting) {
      if (first.untilMs > nowMs) {
        this.#timer = this.#clock.after(first.untilMs - nowMs, () => this.#look());
        return;
      }
      this.#waiting.delete(first);
      first.refuse(this.#busy());
    }
  }

  #rest(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }
}
