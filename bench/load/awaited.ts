// What was asked to change, and how long it takes until somebody else sees it.

import { LatencyHistogram } from "../stats.js";

/** By subject, the value asked for last and when that was due. One observer per subject tells what they see. */
export class Awaited {
  readonly latencies = new LatencyHistogram();
  /** Changes asked for since `begin`. */
  changes = 0;
  readonly #values: Uint8Array;
  /** 0: it has been seen. */
  readonly #due: Float64Array;

  constructor(subjects: number) {
    this.#values = new Uint8Array(subjects);
    this.#due = new Float64Array(subjects);
  }

  begin(): void {
    this.latencies.clear();
    this.changes = 0;
  }

  changed(subject: number, value: number, due: number): void {
    this.changes++;
    this.#values[subject] = value;
    this.#due[subject] = due;
  }

  saw(subject: number, value: number, now: number): void {
    const due = this.#due[subject] ?? 0;
    if (due === 0 || value !== this.#values[subject]) return;
    this.#due[subject] = 0;
    this.latencies.record(now - due);
  }
}
