// Reads every shard's log from a place that is remembered, a page at a time and a few shards at once.

import type { Timer } from "../../ports/clock.js";
import type { LogRecord } from "../../ports/event-log.js";
import type { CoreDependencies } from "../core.js";
import type { LogReader } from "../follow/follower.js";
import { createdAtMs } from "./batch.js";

/** Events read at once, of one shard. */
const PAGE = 128;
/** Shards that are read at once: what is held in memory is a page of each. */
const SHARDS_AT_ONCE = 4;
/** How often the place is remembered, in milliseconds: what came since is read again after a crash. */
const REMEMBER_MS = 1_000;
/** First wait before a page that failed is read again, in milliseconds; doubled up to the last. */
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 30_000;

export interface PageReader {
  /** Names its place in each shard; never changes. */
  readonly name: string;
  /** How long a place is kept before it is remembered, in milliseconds: what was read since then is read again after a restart. */
  readonly keptMs: number;
  /**
   * Deals with the first of the records, or more of them. At least once: a page that rejected is read again, and so are those after the
   * place that was remembered last. Pages of one shard come one after the other.
   */
  take(records: readonly LogRecord[]): Promise<Taken>;
}

export interface Taken {
  /** How many of the records have been dealt with. */
  readonly count: number;
  /** When the others, or what comes after them, may be asked for, in milliseconds from now. */
  readonly waitMs: number;
}

interface Place {
  readonly shard: number;
  readonly end: number;
  at: number | undefined;
  /** Where it was, the oldest first. */
  passed: { readonly at: number; readonly monotonicMs: number }[];
  remembered: number | undefined;
  busy: boolean;
  failures: number;
  timer: Timer | undefined;
}

export class ShardPages implements LogReader {
  readonly #deps: CoreDependencies;
  readonly #reader: PageReader;
  #places: readonly Place[] = [];
  /** Those that may hold something new, in the order in which they are read. */
  readonly #behind = new Set<Place>();
  readonly #listeners: ((shard: number) => void)[] = [];
  #reading = 0;
  #asked = false;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: CoreDependencies, reader: PageReader) {
    this.#deps = deps;
    this.#reader = reader;
  }

  /** Takes up where it was left. One that has never run begins at `ends`, where each shard's log ends now. */
  start(ends: readonly number[]): void {
    this.#places = ends.map((end, shard) => {
      return {
        shard,
        end,
        at: undefined,
        passed: [],
        remembered: undefined,
        busy: false,
        failures: 0,
        timer: undefined,
      };
    });
    for (const place of this.#places) this.#behind.add(place);
    this.#ask();
    this.#schedule();
  }

  reached(shard: number): number {
    return this.#places[shard]?.at ?? 0;
  }

  onReached(listener: (shard: number) => void): void {
    this.#listeners.push(listener);
  }

  /** A shard's log has grown. */
  appended(shard: number): void {
    const place = this.#places[shard];
    if (place === undefined || place.timer !== undefined) return;
    this.#behind.add(place);
    this.#ask();
  }

  /** Remembers where it is. A page that is under way is not waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const { timer } of this.#places) timer?.cancel();
    await this.#remember();
  }

  /** Later in this turn: the append that is being told of goes first. */
  #ask(): void {
    if (this.#asked || this.#stopped) return;
    this.#asked = true;
    this.#deps.clock.soon(() => {
      this.#asked = false;
      this.#readOn();
    });
  }

  #readOn(): void {
    for (const place of this.#behind) {
      if (this.#reading >= SHARDS_AT_ONCE || this.#stopped) return;
      if (place.busy) continue;
      this.#behind.delete(place);
      place.busy = true;
      this.#reading++;
      this.#read(place)
        .then(
          (waitMs) => {
            place.failures = 0;
            if (waitMs !== undefined) this.#again(place, waitMs);
          },
          (cause: unknown) => {
            if (this.#stopped) return;
            this.#deps.telemetry.emit("follower.failed", { follower: this.#reader.name, shard: place.shard, cause });
            this.#again(place, Math.min(RETRY_FIRST_MS * 2 ** place.failures++, RETRY_LAST_MS));
          },
        )
        .finally(() => {
          place.busy = false;
          this.#reading--;
          this.#ask();
        });
    }
  }

  /** Reads a page; says when the next is to be read, undefined: when the log has grown. */
  async #read(place: Place): Promise<number | undefined> {
    const { archive, log } = this.#deps;
    if (place.at === undefined) {
      const known = await archive.followed(this.#reader.name, place.shard);
      if (known === undefined) await archive.follow(this.#reader.name, place.shard, place.end);
      const at = known ?? place.end;
      this.#reach(place, at);
      place.remembered = at;
      place.passed = [{ at, monotonicMs: this.#deps.clock.monotonic() }];
    }
    const records = await log.read(place.shard, this.reached(place.shard), PAGE);
    if (records.length === 0 || this.#stopped) return undefined;
    const { count, waitMs } = await this.#reader.take(records);
    const last = records[count - 1];
    if (last !== undefined) this.#reach(place, last.offset + 1);
    const behind = records[Math.min(count, records.length - 1)];
    if (behind !== undefined) {
      const lagMs = this.#deps.clock.now() - createdAtMs(behind.event.event);
      this.#deps.telemetry.emit("outlet.advanced", { outlet: this.#reader.name, shard: place.shard, lagMs });
    }
    return count === records.length && count < PAGE ? undefined : waitMs;
  }

  #reach(place: Place, at: number): void {
    place.at = at;
    for (const listener of this.#listeners) listener(place.shard);
  }

  #again(place: Place, waitMs: number): void {
    if (this.#stopped) return;
    if (waitMs <= 0) {
      this.#behind.add(place);
      return;
    }
    // What was appended meanwhile waits with the rest: read now, it would set another timer, and this one would be nobody's.
    this.#behind.delete(place);
    place.timer = this.#deps.clock.after(waitMs, () => {
      place.timer = undefined;
      this.#behind.add(place);
      this.#ask();
    });
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.after(REMEMBER_MS, () => {
      this.#remember().finally(() => this.#schedule());
    });
  }

  /** Never rejects: what could not be remembered is read again. */
  async #remember(): Promise<void> {
    const nowMs = this.#deps.clock.monotonic();
    await Promise.allSettled(
      this.#places.map(async (place) => {
        const { shard, at, passed } = place;
        if (at === undefined) return;
        if (passed.at(-1)?.at !== at) passed.push({ at, monotonicMs: nowMs });
        const settled = passed.findLast(({ monotonicMs }) => monotonicMs <= nowMs - this.#reader.keptMs);
        if (settled === undefined) return;
        place.passed = passed.filter(({ monotonicMs }) => monotonicMs >= settled.monotonicMs);
        if (settled.at === place.remembered) return;
        await this.#deps.archive.follow(this.#reader.name, shard, settled.at);
        place.remembered = settled.at;
      }),
    );
  }
}
