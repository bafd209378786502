// The start of an outlet: what was kept of it is read first, again and again while the store is away.

import type { Timer } from "../../ports/clock.js";
import type { CoreDependencies } from "../core.js";

const RETRY_MS = 1_000;

export class Starting {
  readonly #deps: CoreDependencies;
  readonly #outlet: string;
  #retry: Timer | undefined;
  #stopped = false;

  constructor(deps: CoreDependencies, outlet: string) {
    this.#deps = deps;
    this.#outlet = outlet;
  }

  start(load: () => Promise<unknown>, begin: () => void): void {
    load().then(
      () => {
        if (!this.#stopped) begin();
      },
      (cause: unknown) => {
        if (this.#stopped) return;
        this.#deps.telemetry.emit("fault", { where: `starting the outlet ${this.#outlet}`, cause });
        this.#retry = this.#deps.clock.after(RETRY_MS, () => this.start(load, begin));
      },
    );
  }

  stop(): void {
    this.#stopped = true;
    this.#retry?.cancel();
  }
}
