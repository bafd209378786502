// Writes every outbox that got something in this turn, once, at its end: what came together leaves in one socket write.

import type { Clock } from "../../ports/clock.js";
import type { Outbox } from "./outbox.js";

export class Flusher {
  readonly #clock: Clock;
  #marked: Outbox[] = [];
  #spare: Outbox[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.monotonic();
  }

  mark(outbox: Outbox): void {
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
