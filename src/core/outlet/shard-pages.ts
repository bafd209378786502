// Reads the logs of this node's shards from places that are remembered, a page at a time and a few shards at once.

import type { Timer } from "../../ports/clock.js";
import type { LogRecord } from "../../ports/event-log.js";
import type { CoreDependencies } from "../core.js";
import type { LogReader } from "../follow/follower.js";
import { beginAt, followOn } from "../follow/place.js";
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
   * place that was remembered last. Pages of one shard come one after the other, but for the last one before the shard became another
   * node's: of that one nothing counts any more, and nothing more is to be kept.
   */
  take(records: readonly LogRecord[], page: Page): Promise<Taken>;
}

export interface Page {
  /** The shard is another node's. */
  readonly over: boolean;
}

export interface Taken {
  /** How many of the records have been dealt with. */
  readonly count: number;
  /** When the others, or what comes after them, may be asked for, in milliseconds from now. */
  readonly waitMs: number;
}

interface Place {
  readonly shard: number;
  /** Where the log ended when it was opened last. */
  end: number;
  /** Whether the shard is another node's: what is under way for it moves nothing any more. */
  over: boolean;
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
  /** Of the shards that are this node's. */
  readonly #places = new Map<number, Place>();
  /** Those that may hold something new, in the order in which they are read. */
  readonly #behind = new Set<Place>();
  readonly #listeners: ((shard: number) => void)[] = [];
  #reading = 0;
  #asked = false;
  #started = false;
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: CoreDependencies, reader: PageReader) {
    this.#deps = deps;
    this.#reader = reader;
  }

  /** Begins with the shards that are this node's, and with others as they come. */
  start(): void {
    this.#started = true;
    this.#ask();
    this.#schedule();
  }

  /**
   * The shard is about to be this node's, and its log ends at `end`: one that has never run begins there, and that is remembered before more
   * is appended, so that whoever has the shard next begins there too. Rejects where the archive is away.
   */
  async opening(shard: number, end: number): Promise<void> {
    if (this.#stopped || this.#places.get(shard)?.at !== undefined) return;
    await beginAt(this.#deps.archive, this.#reader.name, { shard, end });
  }

  /** The shard is this node's, its log ends at `end`: takes up where the shard was left. One that has never run begins there. */
  opened(shard: number, end: number): void {
    if (this.#stopped) return;
    const place = this.#places.get(shard) ?? placeOf(shard, end);
    place.end = end;
    this.#places.set(shard, place);
    this.appended(shard);
  }

  /** The shard is to be another node's: remembers where it is, for that node. */
  async yielding(shard: number): Promise<void> {
    const place = this.#places.get(shard);
    if (place !== undefined) await this.#rememberAll([place]);
  }

  /** The shard is another node's: remembers where it is, for that node, and goes no further. */
  released(shard: number): void {
    const place = this.#places.get(shard);
    if (place === undefined) return;
    this.#places.delete(shard);
    this.#giveUp(place);
    void this.#rememberAll([place]);
  }

  /** Whether it reads the shard. */
  has(shard: number): boolean {
    return this.#places.has(shard);
  }

  reached(shard: number): number {
    return this.#places.get(shard)?.at ?? 0;
  }

  onReached(listener: (shard: number) => void): void {
    this.#listeners.push(listener);
  }

  /** A shard's log has grown. */
  appended(shard: number): void {
    const place = this.#places.get(shard);
    if (place === undefined || place.timer !== undefined) return;
    this.#behind.add(place);
    this.#ask();
  }

  /** Remembers where it is. A page that is under way is not waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    const places = [...this.#places.values()];
    this.#places.clear();
    for (const place of places) this.#giveUp(place);
    await this.#rememberAll(places);
  }

  #giveUp(place: Place): void {
    place.over = true;
    place.timer?.cancel();
    this.#behind.delete(place);
  }

  /** Later in this turn: the append that is being told of goes first. */
  #ask(): void {
    if (this.#asked || !this.#started || this.#stopped) return;
    this.#asked = true;
    this.#deps.clock.soon(() => {
      this.#asked = false;
      this.#followOn();
    });
  }

  #followOn(): void {
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
            if (place.over) return;
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
    const { archive } = this.#deps;
    if (place.at === undefined) {
      const at = await beginAt(archive, this.#reader.name, place);
      this.#reach(place, at);
      place.remembered = at;
      place.passed = [{ at, monotonicMs: this.#deps.clock.monotonic() }];
    }
    const { at: from = 0, end } = place;
    const { at, records } = await followOn(this.#deps, this.#reader.name, place, from, PAGE);
    if (place.over) return undefined;
    if (at > from) this.#reach(place, at);
    if (records.length === 0) {
      // What stands there beside events is nothing to be read again.
      if (end > at) this.#reach(place, end);
      return undefined;
    }
    const { count, waitMs } = await this.#reader.take(records, place);
    if (place.over) return undefined;
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
    if (place.over) return;
    place.at = at;
    for (const listener of this.#listeners) listener(place.shard);
  }

  #again(place: Place, waitMs: number): void {
    if (place.over) return;
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
      this.#rememberAll([...this.#places.values()]).finally(() => this.#schedule());
    });
  }

  /** Never rejects: what could not be remembered is read again. */
  async #rememberAll(places: readonly Place[]): Promise<void> {
    const nowMs = this.#deps.clock.monotonic();
    await Promise.allSettled(
      places.map(async (place) => {
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

function placeOf(shard: number, end: number): Place {
  return {
    shard,
    end,
    over: false,
    at: undefined,
    passed: [],
    remembered: undefined,
    busy: false,
    failures: 0,
    timer: undefined,
  };
}
