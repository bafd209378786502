// Rooms of which something may have been said that was not heard here: their owners are asked how far they have come, until they say.

import type { Clock, Timer } from "../../ports/clock.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { Places } from "../limit/places.js";

/** Rooms whose owner is asked at once. */
const AT_ONCE = 32;
/** Until an owner that did not answer is asked again, in milliseconds. */
const ASK_AGAIN_MS = 1_000;

/** How far a room has come, as its owner says; rejects where it does not answer. */
export type TopOf = (ref: RoomRef) => Promise<number>;

/** Who listens to a room. */
export interface Listening {
  readonly ref: RoomRef;
  /** The room has come so far. Rejects where what is missing cannot be read: it is asked for again. */
  hear(top: number): Awaitable<void>;
}

export class Doubts {
  readonly #clock: Clock;
  readonly #topOf: TopOf;
  readonly #asking = new Places(AT_ONCE);
  /** To be asked for. */
  readonly #doubtful = new Set<Listening>();
  /** Their owners did not answer. */
  readonly #unanswered = new Set<Listening>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(clock: Clock, topOf: TopOf) {
    this.#clock = clock;
    this.#topOf = topOf;
  }

  /** Something may be missing there. */
  add(listening: Listening): void {
    if (this.#doubtful.has(listening) || this.#stopped) return;
    this.#unanswered.delete(listening);
    this.#doubtful.add(listening);
    void this.#asking.run(() => this.#ask(listening));
  }

  /** Nobody listens any more. */
  forget(listening: Listening): void {
    this.#doubtful.delete(listening);
    this.#unanswered.delete(listening);
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#doubtful.clear();
    this.#unanswered.clear();
  }

  /** Never rejects. */
  async #ask(listening: Listening): Promise<void> {
    // Whoever doubts from here on may know of something that this answer does not: it is asked for again.
    if (!this.#doubtful.delete(listening)) return;
    try {
      await listening.hear(await this.#topOf(listening.ref));
    } catch {
      if (this.#stopped) return;
      this.#unanswered.add(listening);
      this.#timer ??= this.#clock.after(ASK_AGAIN_MS, () => this.#askAgain());
    }
  }

  #askAgain(): void {
    this.#timer = undefined;
    const unanswered = [...this.#unanswered];
    this.#unanswered.clear();
    for (const listening of unanswered) this.add(listening);
  }
}
