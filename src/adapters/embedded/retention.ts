// Forgets events that are older than the retention, a bounded step at a time.

import type { Clock, Timer } from "../../ports/clock.js";
import { type GroupCommit, unavailable, type Write } from "./group-commit.js";
import { after, numberedKey, offsetOf, roomKey, shardKey } from "./keys.js";
import { readOffset, readPointer, writeOffset } from "./records.js";
import { removeEvent } from "./removal.js";
import { farther, type RemovedPlace, removedThrough } from "./removed.js";
import type { Tables } from "./tables.js";

/** Events removed in one transaction at most: a few milliseconds of the event loop. */
export const SWEEP_STEP = 500;
// How late an event goes does not matter to anybody; a step that found nothing costs one look per shard.
const SWEEP_INTERVAL_MS = 60_000;
// Between two steps when there is more: others' work goes first.
const SWEEP_PAUSE_MS = 50;

/**
 * How long an event past the retention is kept for followers that have not come to it, in milliseconds: who is behind for longer, or does
 * not run any more, finds it gone.
 */
export const FOLLOWERS_WAIT_MS = 24 * 3_600_000;

export interface RetentionOptions {
  /** How long events are kept, in milliseconds from when they were accepted; at most FOLLOWERS_WAIT_MS longer where a follower is behind. */
  readonly retentionMs: number;
  readonly clock: Clock;
  /** A step has failed; it is tried again after the interval. */
  readonly onFault: (cause: unknown) => void;
}

export class Retention {
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  readonly #options: RetentionOptions;
  #timer: Timer | undefined;
  #step: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(tables: Tables, commit: GroupCommit, options: RetentionOptions) {
    this.#tables = tables;
    this.#commit = commit;
    this.#options = options;
    this.#schedule(0);
  }

  /**
   * One step: removes the oldest events that are past the retention, at most `SWEEP_STEP`, and says how many those were.
   * Events of a shard are looked at in the order of the log, up to the first that is young enough.
   */
  async sweep(): Promise<number> {
    const { writes, events } = this.#overdue();
    if (writes.length > 0) await this.#commit.commit(writes);
    return events;
  }

  /** Resolves when a step that was under way is done. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#step;
  }

  #schedule(delayMs: number): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.after(delayMs, () => {
      this.#step = this.sweep().then(
        (removed) => this.#schedule(removed < SWEEP_STEP ? SWEEP_INTERVAL_MS : SWEEP_PAUSE_MS),
        (cause: unknown) => {
          this.#options.onFault(cause);
          this.#schedule(SWEEP_INTERVAL_MS);
        },
      );
    });
  }

  /** How far the slowest follower of the shard has come; infinite: it has none. */
  #followed(shard: number): number {
    let least = Number.POSITIVE_INFINITY;
    for (const { value } of this.#tables.followers.getRange({ start: shardKey(shard), end: after(shardKey(shard)) })) {
      least = Math.min(least, readOffset(value));
    }
    return least;
  }

  #overdue(): { readonly writes: readonly Write[]; readonly events: number } {
    const writes: Write[] = [];
    /** By room, how far. */
    const removed = new Map<string, RemovedPlace>();
    let events = 0;
    const before = this.#options.clock.now() - this.#options.retentionMs;
    try {
      for (let shard = 0; shard < this.#tables.shardCount && events < SWEEP_STEP; shard++) {
        const range = { start: shardKey(shard), end: after(shardKey(shard)), limit: SWEEP_STEP - events };
        const followed = this.#followed(shard);
        let end: number | undefined;
        for (const entry of this.#tables.log.getRange(range)) {
          const { room, seq, createdAtMs } = readPointer(entry.value);
          if (createdAtMs >= before) break;
          if (offsetOf(entry.key) >= followed && createdAtMs >= before - FOLLOWERS_WAIT_MS) break;
          events += 1;
          end = offsetOf(entry.key) + 1;
          const key = numberedKey(roomKey(room), seq);
          const value = this.#tables.events.getBinary(key);
          if (value === undefined) writes.push({ table: this.#tables.log, key: entry.key, value: undefined });
          else {
            const removal = removeEvent(this.#tables, room, seq, { key, value });
            writes.push(...removal.writes);
            removed.set(roomKey(room), farther(removed.get(roomKey(room)), removal.place));
          }
        }
        if (end !== undefined) {
          writes.push({ table: this.#tables.expired, key: shardKey(shard), value: writeOffset(end) });
        }
      }
      for (const [room, place] of removed) {
        const write = removedThrough(this.#tables, room, "retention", place);
        if (write !== undefined) writes.push(write);
      }
    } catch (error) {
      throw unavailable(error);
    }
    return { writes, events };
  }
}
