// Browsers that come while a bridge has no link: one that is refused cannot read why, backs off, and takes WebSockets not to get through. They
// wait a moment for the next link instead.

import type { Admission } from "../../src/core/session/port.js";
import type { Clock } from "../../src/ports/clock.js";

/** As long as a node holds them, in milliseconds. */
const WAIT_MS = 3_000;

export class WaitingRoom {
  readonly #clock: Clock;
  readonly #ask: () => Admission;
  /** What lets each in. The bridge counts them among its connections: that bounds them. */
  readonly #waiting = new Set<() => void>();

  /** `ask`: whether one may come in now. */
  constructor(clock: Clock, ask: () => Admission) {
    this.#clock = clock;
    this.#ask = ask;
  }

  /** Calls `answer` once: at the next `open`, or when that does not come. Returns what ends the wait; `answer` is not called then. */
  wait(answer: (admission: Admission) => void): () => void {
    const leave = (): void => {
      timer.cancel();
      this.#waiting.delete(enter);
    };
    const enter = (): void => {
      leave();
      answer(this.#ask());
    };
    const timer = this.#clock.after(WAIT_MS, enter);
    this.#waiting.add(enter);
    return leave;
  }

  /** Everybody is answered, in the order that they came in. */
  open(): void {
    for (const enter of [...this.#waiting]) enter();
  }
}
