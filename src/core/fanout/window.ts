// How long a room's events are collected before they are written: nothing while the process is idle, longer the busier it is.
//
// One socket write costs about 10 µs whatever it holds, so a busy process buys capacity with a bounded latency.

import type { Clock, Timer } from "../../ports/clock.js";
import type { Telemetry } from "../telemetry.js";

/** The steps, in milliseconds. The last bounds the latency that collecting may add: two frames of a 60 Hz screen. */
const WINDOWS_MS = [0, 5, 12, 33] as const;
const SAMPLE_INTERVAL_MS = 250;
/** Busier than this: one step up. */
const BUSY = 0.5;
/** Idler than this: one step down. Well below BUSY / 2, or stepping down would at once make it busy again. */
const IDLE = 0.15;

export class CollectingWindow {
  readonly #clock: Clock;
  readonly #load: () => number;
  readonly #telemetry: Telemetry;
  #step = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, load: () => number, telemetry: Telemetry) {
    this.#clock = clock;
    this.#load = load;
    this.#telemetry = telemetry;
  }

  get ms(): number {
    return WINDOWS_MS[this.#step] ?? 0;
  }

  start(): void {
    this.#timer = this.#clock.after(SAMPLE_INTERVAL_MS, () => {
      this.sample();
      this.start();
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  sample(): void {
    const load = this.#load();
    const step =
      load > BUSY
        ? Math.min(this.#step + 1, WINDOWS_MS.length - 1)
        : load < IDLE
          ? Math.max(this.#step - 1, 0)
          : this.#step;
    if (step === this.#step) return;
    this.#step = step;
    this.#telemetry.emit("fanout.window", { windowMs: this.ms, load });
  }
}
