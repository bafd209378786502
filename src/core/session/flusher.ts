// Writes every outbox that got something in this turn, once, at its end: what came together leaves in one socket write.

import type { Clock } from "../../ports/clock.js";

/** What is written at the end of a turn. */
export interface Flushable {
  /** Set by the flusher: whether it is in its list. */
  marked: boolean;
  flush(): void;
}

export class Flusher {
  readonly #clock: Clock;
  #marked: Flushable[] = [];
  #spare: Flushable[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.monotonic();
  }

  mark(outbox: Flushable): void {
    outbox.marked = true;
    if (this.#marked.push(outbox) === 1) this.#clock.soon(() => this.flush());
  }

  flush(): void {
    const marked = this.#marked;
    this.#marked = this.#spare;
    for (const outbox of marked) {
      outbox.marked = false;
      outbox.flush();
    }
    marked.length = 0;
    this.#spare = marked;
  }
}
