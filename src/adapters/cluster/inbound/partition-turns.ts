// The records of one partition, dealt with in order by key: done, or given up with the reason, or held until their time comes.

import type { Clock } from "../../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import type { InboundDoor } from "../../../ports/inbound.js";
import type { KafkaRecord } from "../kafka/record-batch.js";
import { deadLetter } from "./dead-letter.js";
import type { InboundListener } from "./inbound-event.js";
import { patienceWith, pauseMs } from "./patience.js";
import { commandOf, type InboundRecord, keyOf } from "./record.js";

export interface PartitionTurnsOptions {
  readonly door: InboundDoor;
  /** Keeps a dead letter: resolves once it is durable. */
  readonly bury: (letter: KafkaRecord) => Promise<void>;
  readonly topic: string;
  /** Names the topic, also among those that had or will have its name. */
  readonly topicId: string;
  /** Longest value that is looked at, in bytes. */
  readonly maxValueBytes: number;
  readonly clock: Clock;
  readonly observe: InboundListener;
}

/** Keys whose records are under way at the same time. */
const KEYS_AT_ONCE = 32;
/** How long the outcome of a command is waited for, in milliseconds: one that takes longer is tried again. */
const OUTCOME_DEADLINE_MS = 15_000;

interface Held {
  readonly tries: number;
  readonly untilMs: number;
}

export interface Turn {
  /** The last record before the first that is not dealt with; undefined: that is the first. */
  readonly last: InboundRecord | undefined;
  /** How long to wait before the records that are held are handed over again, in milliseconds; undefined: none is. */
  readonly waitMs: number | undefined;
}

export class PartitionTurns {
  readonly #options: PartitionTurnsOptions;
  /** Offsets of what is dealt with, behind something that is not. */
  readonly #done = new Set<number>();
  readonly #held = new Map<number, Held>();

  constructor(options: PartitionTurnsOptions) {
    this.#options = options;
  }

  /**
   * Deals with records, given in the order of their offsets, for as long as `goesOn`. Of records with the same key, or with none, each waits
   * until the one before is dealt with; those that were handed over before and are dealt with are passed over. Never rejects.
   */
  async run(records: readonly InboundRecord[], goesOn: () => boolean): Promise<Turn> {
    this.#forgetBefore(records[0]?.offset ?? 0);
    const lanes = this.#lanes(records).values();
    const work = async (): Promise<void> => {
      for (const lane of lanes) await this.#lane(lane, goesOn);
    };
    await Promise.all(Array.from({ length: KEYS_AT_ONCE }, work));
    return { last: this.reached(records), waitMs: this.#waitMs(records) };
  }

  /** The last record before the first that is not dealt with. */
  reached(records: readonly InboundRecord[]): InboundRecord | undefined {
    const first = records.findIndex(({ offset }) => !this.#done.has(offset));
    return first < 0 ? records.at(-1) : records[first - 1];
  }

  #forgetBefore(offset: number): void {
    for (const done of this.#done) if (done < offset) this.#done.delete(done);
    for (const held of this.#held.keys()) if (held < offset) this.#held.delete(held);
  }

  /** What is left to do, by key. */
  #lanes(records: readonly InboundRecord[]): ReadonlyMap<string | undefined, readonly InboundRecord[]> {
    const lanes = new Map<string | undefined, InboundRecord[]>();
    for (const record of records) {
      if (this.#done.has(record.offset)) continue;
      const key = record.key?.toString("latin1");
      const lane = lanes.get(key);
      if (lane === undefined) lanes.set(key, [record]);
      else lane.push(record);
    }
    return lanes;
  }

  async #lane(records: readonly InboundRecord[], goesOn: () => boolean): Promise<void> {
    const { clock } = this.#options;
    for (const record of records) {
      const { tries, untilMs } = this.#held.get(record.offset) ?? { tries: 0, untilMs: 0 };
      if (!goesOn() || clock.monotonic() < untilMs) return;
      const waitMs = await this.#settle(record, tries + 1);
      if (waitMs !== undefined) {
        this.#held.set(record.offset, { tries: tries + 1, untilMs: clock.monotonic() + waitMs });
        return;
      }
      this.#held.delete(record.offset);
      this.#done.add(record.offset);
    }
  }

  #waitMs(records: readonly InboundRecord[]): number | undefined {
    const nowMs = this.#options.clock.monotonic();
    const waits = records.flatMap(({ offset }) => {
      const held = this.#held.get(offset);
      return held === undefined ? [] : [Math.max(0, held.untilMs - nowMs)];
    });
    return waits.length === 0 ? undefined : Math.min(...waits);
  }

  /** Resolves with how long to hold the record, in milliseconds; undefined: it is dealt with. */
  async #settle(record: InboundRecord, tries: number): Promise<number | undefined> {
    const { topicId, observe } = this.#options;
    const { partition, offset } = record;
    const key = keyOf(record, topicId);
    try {
      await this.#take(record, key);
      observe({ is: "taken", partition });
      return undefined;
    } catch (cause) {
      const error = TrunklineError.from(cause);
      const waitMs = patienceWith(error, tries);
      if (waitMs === undefined) return await this.#bury(record, key, error, tries);
      observe({ is: "held", partition, offset, tries, cause: error });
      return waitMs;
    }
  }

  async #take(record: InboundRecord, key: string): Promise<void> {
    const { door, clock, maxValueBytes } = this.#options;
    const command = commandOf(record, maxValueBytes);
    const late = Promise.withResolvers<never>();
    const timer = clock.after(OUTCOME_DEADLINE_MS, () => {
      late.reject(new TrunklineError(ErrorCode.DEADLINE, `no outcome within ${OUTCOME_DEADLINE_MS} ms`));
    });
    try {
      await Promise.race([door.take(command, key), late.promise]);
    } finally {
      timer.cancel();
    }
  }

  /** A dead letter that cannot be kept holds its record. */
  async #bury(record: InboundRecord, key: string, error: TrunklineError, tries: number): Promise<number | undefined> {
    const { bury, topic, clock, observe } = this.#options;
    const { partition, offset } = record;
    try {
      await bury(deadLetter({ record, topic, key, error, nowMs: clock.now() }));
      observe({ is: "buried", partition, offset, error });
      return undefined;
    } catch (cause) {
      observe({ is: "held", partition, offset, tries, cause });
      return pauseMs(tries);
    }
  }
}
