// Counts what a thousand receivers get: how many, how late, and whether anything is missing, doubled or out of order.

import { LatencyHistogram } from "../stats.js";
import { dueAt, type Schedule } from "./pace.js";

/** Messages of one rate: numbered on from those of the rate before. */
export interface Segment {
  /** Number of the segment's first message. */
  readonly from: number;
  readonly schedule: Schedule;
  /** The measured messages: `windowFrom` to before `windowTo`, as numbers of the whole run. */
  readonly windowFrom: number;
  readonly windowTo: number;
}

export class Tally {
  /** Messages received by all receivers since the start. */
  deliveries = 0;
  /** Measured messages received. */
  measured = 0;
  readonly latencies = new LatencyHistogram();

  readonly #next: Int32Array;
  #segment: Segment | undefined;

  constructor(receivers: number) {
    this.#next = new Int32Array(receivers);
  }

  begin(segment: Segment): void {
    this.#segment = segment;
    this.measured = 0;
    this.latencies.clear();
  }

  /** The number of the message that a receiver must get next. */
  expected(receiver: number): number {
    return this.#next[receiver] ?? 0;
  }

  /** A receiver got messages `first` to before `first + count`. Throws unless they are the next ones. */
  received(receiver: number, first: number, count: number, now: number): void {
    const expected = this.#next[receiver] ?? 0;
    if (first !== expected) throw new Error(`receiver ${receiver} got message ${first} where ${expected} was next`);
    this.#next[receiver] = first + count;
    this.deliveries += count;
    const segment = this.#segment;
    if (segment === undefined) return;
    const to = Math.min(first + count, segment.windowTo);
    for (let n = Math.max(first, segment.windowFrom); n < to; n++) {
      this.measured++;
      this.latencies.record(now - dueAt(segment.schedule, n - segment.from));
    }
  }
}
