// Reads the logs of this node's shards from places that are remembered, a page at a time and a few shards at once.

import type { Timer } from "../../ports/clock.js";
import type { LogRecord } from "../../ports/event-log.js";
import type { CoreDependencies } from "../core.js";
import type { Begun } from "../follow/place.js";
import { Place, ShardReader } from "../follow/shard-reader.js";
import { createdAtMs } from "./batch.js";

/** Events read at once, of one shard. */
const PAGE = 128;
/** Shards that are read at once: what is held in memory is a page of each. */
const SHARDS_AT_ONCE = 4;

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

class PagedPlace extends Place {
  busy = false;
  timer: Timer | undefined;
}

export class ShardPages extends ShardReader<PagedPlace> {
  readonly #reader: PageReader;
  readonly #onOvertaken: (shard: number) => void;
  /** Those that may hold something new, in the order in which they are read. */
  readonly #behind = new Set<PagedPlace>();
  #reading = 0;
  #asked = false;

  /** `onOvertaken` is told of shards whose term is over: from then on nothing of them is remembered. */
  constructor(deps: CoreDependencies, reader: PageReader, onOvertaken: (shard: number) => void = () => {}) {
    super(deps, reader.name, reader.keptMs);
    this.#reader = reader;
    this.#onOvertaken = onOvertaken;
  }

  /** Begins a term in a shard whose log ends at `end`. */
  override async begun(shard: number, end: number): Promise<Required<Begun>> {
    const { number, at } = await this.deps.archive.beginTerm(this.#reader.name, shard, end);
    return { at, term: number };
  }

  protected override overtaken(place: PagedPlace): void {
    this.#onOvertaken(place.shard);
  }

  protected placeOf(shard: number, end: number): PagedPlace {
    return new PagedPlace(shard, end);
  }

  protected follow(place: PagedPlace): void {
    if (place.timer !== undefined) return;
    this.#behind.add(place);
    this.#ask();
  }

  protected giveUp(place: PagedPlace): void {
    place.timer?.cancel();
    this.#behind.delete(place);
  }

  /** Whether it reads the shard. */
  has(shard: number): boolean {
    return this.places.has(shard);
  }

  /** Where the shard's log ended when it was opened last; undefined: it does not read it. */
  endOf(shard: number): number | undefined {
    return this.places.get(shard)?.end;
  }

  /** A shard's log has grown. */
  appended(shard: number): void {
    const place = this.places.get(shard);
    if (place !== undefined) this.follow(place);
  }

  /** Later in this turn: the append that is being told of goes first. */
  #ask(): void {
    if (this.#asked || !this.isAtWork) return;
    this.#asked = true;
    this.deps.clock.soon(() => {
      this.#asked = false;
      this.#followOn();
    });
  }

  #followOn(): void {
    for (const place of this.#behind) {
      if (this.#reading >= SHARDS_AT_ONCE || !this.isAtWork) return;
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
            this.#again(place, this.failed(place, cause));
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
  async #read(place: PagedPlace): Promise<number | undefined> {
    const { end } = place;
    const records = await this.readOn(place, PAGE);
    if (place.over) return undefined;
    if (records.length === 0) {
      // What stands there beside events is nothing to be read again.
      if (end > (place.at ?? end)) this.reach(place, end);
      return undefined;
    }
    const { count, waitMs } = await this.#reader.take(records, place);
    if (place.over) return undefined;
    const last = records[count - 1];
    if (last !== undefined) this.reach(place, last.offset + 1);
    const behind = records[Math.min(count, records.length - 1)];
    if (behind !== undefined) {
      const lagMs = this.deps.clock.now() - createdAtMs(behind.event.event);
      this.deps.telemetry.emit("outlet.advanced", { outlet: this.#reader.name, shard: place.shard, lagMs });
    }
    return count === records.length && count < PAGE ? undefined : waitMs;
  }

  #again(place: PagedPlace, waitMs: number): void {
    if (place.over) return;
    if (waitMs <= 0) {
      this.#behind.add(place);
      return;
    }
    // What was appended meanwhile waits with the rest: read now, it would set another timer, and this one would be nobody's.
    this.#behind.delete(place);
    place.timer = this.deps.clock.after(waitMs, () => {
      place.timer = undefined;
      this.#behind.add(place);
      this.#ask();
    });
  }
}
