// Who reads the logs of this node's shards, each from a place that is remembered: whoever has the shard next goes on there.

import type { Timer } from "../../ports/clock.js";
import type { LogRecord } from "../../ports/event-log.js";
import { TermOver } from "../../ports/term.js";
import type { CoreDependencies } from "../core.js";
import { type Begun, beginAt, followOn } from "./place.js";

/** How often places are remembered, in milliseconds: what came since is read again after a crash. */
const REMEMBER_MS = 1_000;
/** First wait before what failed is tried again, in milliseconds; doubled up to the last. */
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 30_000;

/** Somebody who reads the log. */
export interface LogReader {
  /** The offset up to which, exclusive, the shard's log has been dealt with; infinite: nobody reads it. */
  reached(shard: number): number;
  /** Calls the listener when that has changed. */
  onReached(listener: (shard: number) => void): void;
}

/** Where a reader is in a shard. */
export class Place {
  readonly shard: number;
  /** Where the log ended when it was opened last: all that stands before it can be read. */
  end: number;
  /** Whether the shard is another node's: what is under way for it moves nothing any more. */
  over = false;
  /** The next offset; undefined: not known yet. */
  at: number | undefined;
  /** The number of its term; undefined: it has none. */
  term: number | undefined;
  remembered: number | undefined;
  /** Where it was, the oldest first, and since when. */
  passed: { readonly at: number; readonly monotonicMs: number }[] = [];
  /** Failures in a row. */
  failures = 0;

  constructor(shard: number, end: number) {
    this.shard = shard;
    this.end = end;
  }
}

export abstract class ShardReader<P extends Place> implements LogReader {
  protected readonly deps: CoreDependencies;
  /** Of the shards that are this node's. */
  protected readonly places = new Map<number, P>();
  readonly #name: string;
  readonly #keptMs: number;
  readonly #listeners: ((shard: number) => void)[] = [];
  #started = false;
  #stopped = false;
  #timer: Timer | undefined;

  /**
   * `name`: of its places; never changes. `keptMs`: how long a place is kept before it is remembered, in milliseconds, so that what was read
   * since then is read again after a restart.
   */
  constructor(deps: CoreDependencies, name: string, keptMs: number) {
    this.deps = deps;
    this.#name = name;
    this.#keptMs = keptMs;
  }

  protected abstract placeOf(shard: number, end: number): P;

  /** There may be something new in the shard. Also called before the reader is at work. */
  protected abstract follow(place: P): void;

  /** The shard is another node's, or everything ends: cancels what waits for it. */
  protected abstract giveUp(place: P): void;

  /** Where to go on in a shard whose log ends at `end`: one that has never run begins there. */
  protected async begun(shard: number, end: number): Promise<Begun> {
    return { at: await beginAt(this.deps.archive, this.#name, { shard, end }) };
  }

  /** A later term has begun: what it says of this place counts no more. */
  protected overtaken(_place: P): void {}

  /** Whether it has been started and not stopped. */
  protected get isAtWork(): boolean {
    return this.#started && !this.#stopped;
  }

  reached(shard: number): number {
    return this.places.get(shard)?.at ?? 0;
  }

  onReached(listener: (shard: number) => void): void {
    this.#listeners.push(listener);
  }

  /** Begins with the shards that are this node's, and with others as they come. */
  start(): void {
    this.#started = true;
    for (const place of this.places.values()) this.follow(place);
    this.#schedule();
  }

  /**
   * The shard is about to be this node's, and its log ends at `end`: one that has never run begins there, and that is remembered before more
   * is appended, so that whoever has the shard next begins there too. Rejects where the archive is away.
   */
  async opening(shard: number, end: number): Promise<void> {
    if (this.#stopped || this.places.get(shard)?.at !== undefined) return;
    await beginAt(this.deps.archive, this.#name, { shard, end });
  }

  /** The shard is this node's, its log ends at `end`: goes on as it has begun, or, without that, where the shard was left by then. */
  opened(shard: number, end: number, begun?: Begun): void {
    if (this.#stopped) return;
    let place = this.places.get(shard);
    if (place === undefined) {
      place = this.placeOf(shard, end);
      this.places.set(shard, place);
      if (begun !== undefined) this.#begin(place, begun);
    }
    place.end = end;
    this.follow(place);
  }

  #begin(place: P, { at, term }: Begun): void {
    place.term = term;
    place.remembered = at;
    place.passed = [{ at, monotonicMs: this.deps.clock.monotonic() }];
    this.reach(place, at);
  }

  /** The shard is to be another node's: remembers where it is, for that node. */
  async yielding(shard: number): Promise<void> {
    const place = this.places.get(shard);
    if (place !== undefined) await this.#rememberAll([place]);
  }

  /** The shard is another node's: remembers where it is, for that node, and goes no further. */
  released(shard: number): void {
    const place = this.places.get(shard);
    if (place === undefined) return;
    this.places.delete(shard);
    this.#end(place);
    void this.#rememberAll([place]);
  }

  /** Remembers where it is. What is under way is not waited for. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    const places = [...this.places.values()];
    this.places.clear();
    for (const place of places) this.#end(place);
    await this.#rememberAll(places);
  }

  /** Reads on from where it is; where that is not known yet, it is asked for first. */
  protected async readOn(place: P, limit: number): Promise<readonly LogRecord[]> {
    let from = place.at;
    if (from === undefined) {
      const begun = await this.begun(place.shard, place.end);
      from = begun.at;
      this.#begin(place, begun);
      if (place.over) return [];
    }
    const { at, records } = await followOn(this.deps, this.#name, place, from, limit);
    if (at > from) this.reach(place, at);
    return records;
  }

  /** All up to here has been dealt with. */
  protected reach(place: P, at: number): void {
    if (place.over) return;
    place.at = at;
    for (const listener of this.#listeners) listener(place.shard);
  }

  /** Tells of a failure; returns in how many milliseconds to try again. */
  protected failed(place: P, cause: unknown): number {
    this.deps.telemetry.emit("follower.failed", { follower: this.#name, shard: place.shard, cause });
    return Math.min(RETRY_FIRST_MS * 2 ** place.failures++, RETRY_LAST_MS);
  }

  #end(place: P): void {
    place.over = true;
    this.giveUp(place);
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.deps.clock.after(REMEMBER_MS, () => {
      this.#rememberAll([...this.places.values()]).finally(() => this.#schedule());
    });
  }

  /** Never rejects: what could not be remembered is read again. */
  async #rememberAll(places: readonly P[]): Promise<void> {
    const nowMs = this.deps.clock.monotonic();
    await Promise.allSettled(
      places.map(async (place) => {
        const { shard, at, passed } = place;
        if (at === undefined) return;
        if (passed.at(-1)?.at !== at) passed.push({ at, monotonicMs: nowMs });
        const settled = passed.findLast(({ monotonicMs }) => monotonicMs <= nowMs - this.#keptMs);
        if (settled === undefined) return;
        place.passed = passed.filter(({ monotonicMs }) => monotonicMs >= settled.monotonicMs);
        if (settled.at === place.remembered) return;
        await this.deps.archive.follow(this.#name, shard, settled.at, place.term).catch((cause: unknown) => {
          if (cause instanceof TermOver && !place.over) this.overtaken(place);
          throw cause;
        });
        place.remembered = settled.at;
      }),
    );
  }
}
