// All appends to one broker: one request under way, and whatever comes meanwhile shares the next.

import type { Clock } from "../../../ports/clock.js";
import { KafkaError } from "./error.js";
import type { PartitionBatch, PartitionOutcome } from "./requests.js";

/** A request takes no further batch beyond this, in bytes: one slow answer holds up no more. */
const MAX_REQUEST_BYTES = 8 * 1024 * 1024;

/** Sends one request; each partition is in it at most once. */
export type SendBatches = (batches: readonly PartitionBatch[]) => Promise<readonly PartitionOutcome[]>;

interface Entry extends PartitionBatch {
  readonly resolve: (baseOffset: number) => void;
  readonly reject: (error: unknown) => void;
}

export class ProduceLane {
  readonly #send: SendBatches;
  readonly #clock: Clock;
  readonly #paceMs: number;
  #waiting: Entry[] = [];
  #underWay: readonly Entry[] = [];
  #asked = false;
  /** When the next request may begin, monotonic. */
  #nextMs = Number.NEGATIVE_INFINITY;

  /** `paceMs`: from the beginning of one request to that of the next, in milliseconds; one that comes after a pause goes at once. */
  constructor(send: SendBatches, clock: Clock, paceMs: number) {
    this.#send = send;
    this.#clock = clock;
    this.#paceMs = paceMs;
  }

  /** Resolves with the offset of the batch's first record. Batches of one partition are stored in the order of the calls. */
  append(partition: number, batch: Buffer): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ partition, batch, resolve, reject });
      this.#ask();
    });
  }

  #ask(): void {
    if (this.#asked || this.#underWay.length > 0 || this.#waiting.length === 0) return;
    this.#asked = true;
    const flush = (): void => {
      this.#asked = false;
      this.#flush();
    };
    const leftMs = this.#nextMs - this.#clock.monotonic();
    // Shards that flush in the same turn share a request.
    if (leftMs <= 0) this.#clock.soon(flush);
    else this.#clock.after(leftMs, flush);
  }

  #flush(): void {
    const entries = this.#take();
    this.#underWay = entries;
    this.#nextMs = this.#clock.monotonic() + this.#paceMs;
    this.#send(entries).then(
      (outcomes) => {
        this.#underWay = [];
        settle(entries, outcomes);
        this.#ask();
      },
      (error: unknown) => {
        // Those that wait have waited for as long as the broker did not answer: their callers are not to wait for as long again.
        const waiting = this.#waiting;
        this.#underWay = [];
        this.#waiting = [];
        for (const { reject } of [...entries, ...waiting]) reject(error);
      },
    );
  }

  /** Takes at least one; of each partition the first only, and what is behind it waits with it. */
  #take(): readonly Entry[] {
    const taken: Entry[] = [];
    const left: Entry[] = [];
    const seen = new Set<number>();
    let bytes = 0;
    for (const entry of this.#waiting) {
      const fits = taken.length === 0 || bytes + entry.batch.length <= MAX_REQUEST_BYTES;
      if (fits && !seen.has(entry.partition)) {
        taken.push(entry);
        bytes += entry.batch.length;
      } else left.push(entry);
      seen.add(entry.partition);
    }
    this.#waiting = left;
    return taken;
  }
}

function settle(entries: readonly Entry[], outcomes: readonly PartitionOutcome[]): void {
  const byPartition = new Map(outcomes.map((outcome) => [outcome.partition, outcome]));
  for (const { partition, resolve, reject } of entries) {
    const outcome = byPartition.get(partition);
    if (outcome === undefined) reject(new Error(`the answer has no partition ${partition}`));
    else if (outcome.code !== 0) reject(new KafkaError(outcome.code, `append to partition ${partition}`));
    else resolve(outcome.baseOffset);
  }
}
