// Rounds of the same work, one after the other, with a pause between.

import type { Timer } from "../../ports/clock.js";
import type { CoreDependencies } from "../core.js";

export interface RoundsParts {
  /** Between the end of a round and the next, in milliseconds. */
  readonly intervalMs: number;
  /** What it is about, for who reads of its failures. */
  readonly what: string;
  /** One round. What it rejects with is told, and the next round comes all the same. */
  round(): Promise<void>;
}

export class Rounds {
  readonly #deps: Pick<CoreDependencies, "clock" | "telemetry">;
  readonly #parts: RoundsParts;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: Pick<CoreDependencies, "clock" | "telemetry">, parts: RoundsParts) {
    this.#deps = deps;
    this.#parts = parts;
  }

  get stopped(): boolean {
    return this.#stopped;
  }

  start(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.after(this.#parts.intervalMs, () => {
      this.#parts
        .round()
        .catch((cause: unknown) => this.#deps.telemetry.emit("fault", { where: this.#parts.what, cause }))
        .finally(() => this.start());
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
  }
}
