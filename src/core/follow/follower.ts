// A follower: does what follows from events and is not their delivery, behind the log and never in a sender's way.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Timer } from "../../ports/clock.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { beginAt, followOn } from "./place.js";

/** Events read from the log at once. */
const READ = 256;
/** How often the place is remembered, in milliseconds: what came since is followed again after a crash. */
const REMEMBER_MS = 1_000;
/** First wait before something that failed is tried again, in milliseconds; doubled up to the last. */
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 30_000;

/**
 * How long who removes events waits for those who have not read them, in milliseconds from when the event was accepted: who is behind for
 * longer finds some of them gone.
 */
export const REMOVAL_WAIT_MS = 3_600_000;

/** Somebody who reads the log. */
export interface LogReader {
  /** The offset up to which, exclusive, the shard's log has been dealt with; infinite: nobody reads it. */
  reached(shard: number): number;
  /** Calls the listener when that has changed. */
  onReached(listener: (shard: number) => void): void;
}

export interface Following {
  /** Names its place in each shard; never changes. */
  readonly name: string;
  /**
   * Does what follows from an event: at least once, so that doing it again must change nothing, and in the order of each room. Returns
   * undefined where nothing follows. A rejection is tried again, and holds up the shard's later events.
   */
  handle(room: RoomRef, event: EncodedEvent): Promise<void> | undefined;
  /** Whether handling the event removes what others may still have to read. Absent: never. */
  removes?(event: EncodedEvent): boolean;
}

interface Place {
  readonly shard: number;
  /** Where the log ended when it was opened last: all that stands before it can be read. */
  end: number;
  /** Whether the shard is another node's: what is under way for it moves nothing any more. */
  over: boolean;
  /** The next offset to follow; undefined: not known yet. */
  at: number | undefined;
  remembered: number | undefined;
  /** Whether something is under way, or waits to be tried again. */
  busy: boolean;
  /** Whether events have come while it was busy: what is being read may lack them. */
  missed: boolean;
  failures: number;
  retry: Timer | undefined;
  /** Waits for readers ahead; the timer is the end of their time. */
  held: Timer | undefined;
  /** The offset whose readers have had their time. */
  overdue: number;
}

export class Follower implements LogReader {
  readonly #deps: CoreDependencies;
  readonly #following: Following;
  readonly #ahead: readonly LogReader[];
  readonly #listeners: ((shard: number) => void)[] = [];
  /** Of the shards that are this node's. */
  readonly #places = new Map<number, Place>();
  #timer: Timer | undefined;
  #started = false;
  #stopped = false;

  /** What removes events waits for all who are `ahead`, for REMOVAL_WAIT_MS at most. */
  constructor(deps: CoreDependencies, following: Following, ahead: readonly LogReader[] = []) {
    this.#deps = deps;
    this.#following = following;
    this.#ahead = ahead;
    for (const reader of ahead) reader.onReached((shard) => this.#release(shard));
  }

  reached(shard: number): number {
    return this.#places.get(shard)?.at ?? 0;
  }

  onReached(listener: (shard: number) => void): void {
    this.#listeners.push(listener);
  }

  /** Begins with the shards that are this node's, and with others as they come. */
  start(): void {
    this.#started = true;
    for (const place of this.#places.values()) this.#catchUp(place);
    this.#schedule();
  }

  /**
   * The shard is about to be this node's, and its log ends at `end`: one that has never run begins there, and that is remembered before more
   * is appended, so that whoever has the shard next begins there too. Rejects where the archive is away.
   */
  async opening(shard: number, end: number): Promise<void> {
    if (this.#stopped || this.#places.get(shard)?.at !== undefined) return;
    await beginAt(this.#deps.archive, this.#following.name, { shard, end });
  }

  /** The shard is this node's, its log ends at `end`: takes up where the shard was left. One that has never run begins there. */
  opened(shard: number, end: number): void {
    if (this.#stopped) return;
    const place = this.#places.get(shard) ?? placeOf(shard, end);
    place.end = end;
    this.#places.set(shard, place);
    if (place.held === undefined) this.#catchUp(place);
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
    giveUp(place);
    void this.#rememberAll([place]);
  }

  /** Remembers where it is. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    const places = [...this.#places.values()];
    this.#places.clear();
    for (const place of places) giveUp(place);
    await this.#rememberAll(places);
  }

  /** Events have become durable, the first of them at `from`. Those that are due are followed without reading them again. */
  appended(shard: number, from: number, records: readonly NewRecord[]): void {
    const place = this.#places.get(shard);
    if (place === undefined || place.held !== undefined) return;
    if (place.busy || place.at !== from) {
      this.#catchUp(place);
      return;
    }
    // Offsets of one batch are dense, whatever stands between batches.
    let at = from;
    for (const { room, event } of records) {
      if (this.#hold(place, at, event)) {
        this.#reach(place, at);
        return;
      }
      const done = this.#following.handle(room, event);
      if (done !== undefined) {
        this.#reach(place, at);
        this.#wait(place, at, done);
        return;
      }
      at++;
    }
    this.#reach(place, at);
  }

  #reach(place: Place, at: number): void {
    if (place.over) return;
    place.at = at;
    for (const listener of this.#listeners) listener(place.shard);
  }

  /** How far those ahead are. */
  #limit(shard: number): number {
    let limit = Number.POSITIVE_INFINITY;
    for (const reader of this.#ahead) limit = Math.min(limit, reader.reached(shard));
    return limit;
  }

  /** Whether the event at this offset must wait for those ahead. It is then tried again when they have moved or had their time. */
  #hold(place: Place, offset: number, encoded: EncodedEvent): boolean {
    if (this.#following.removes?.(encoded) !== true) return false;
    if (offset < this.#limit(place.shard) || place.overdue === offset) return false;
    const { clock } = this.#deps;
    const { event } = encoded;
    const sinceMs = event.createdAt === undefined ? 0 : clock.now() - timestampMs(event.createdAt);
    // A wall clock that was set back makes nothing wait longer.
    const leftMs = Math.min(REMOVAL_WAIT_MS - sinceMs, REMOVAL_WAIT_MS);
    if (leftMs <= 0) return false;
    place.held?.cancel();
    place.held = clock.after(leftMs, () => {
      place.overdue = offset;
      this.#release(place.shard);
    });
    return true;
  }

  #release(shard: number): void {
    const place = this.#places.get(shard);
    if (place?.held === undefined) return;
    place.held.cancel();
    place.held = undefined;
    this.#catchUp(place);
  }

  /** One event's work is under way; the others are read from the log after it. */
  #wait(place: Place, at: number, done: Promise<void>): void {
    place.busy = true;
    done.then(
      () => {
        this.#reach(place, at + 1);
        place.failures = 0;
        place.busy = false;
        this.#catchUp(place);
      },
      (cause: unknown) => this.#failed(place, cause),
    );
  }

  #catchUp(place: Place): void {
    if (!this.#started || place.over) return;
    if (place.busy) {
      place.missed = true;
      return;
    }
    place.busy = true;
    place.missed = false;
    this.#read(place).then(
      () => {
        place.busy = false;
        if (place.missed) this.#catchUp(place);
      },
      (cause: unknown) => this.#failed(place, cause),
    );
  }

  async #read(place: Place): Promise<void> {
    const { archive } = this.#deps;
    if (place.at === undefined) {
      const at = await beginAt(archive, this.#following.name, place);
      place.remembered = at;
      this.#reach(place, at);
    }
    while (!place.over) {
      const { end } = place;
      const { at, records } = await followOn(this.#deps, this.#following.name, place, place.at ?? end, READ);
      if (at > (place.at ?? end)) this.#reach(place, at);
      for (const { offset, room, event } of records) {
        if (place.over || this.#hold(place, offset, event)) return;
        await this.#following.handle(room, event);
        this.#reach(place, offset + 1);
        place.failures = 0;
      }
      if (records.length === READ) continue;
      // What stands there beside events is nothing to be read again.
      if (end > (place.at ?? end)) this.#reach(place, end);
      return;
    }
  }

  #failed(place: Place, cause: unknown): void {
    if (place.over) return;
    this.#deps.telemetry.emit("follower.failed", { follower: this.#following.name, shard: place.shard, cause });
    const delayMs = Math.min(RETRY_FIRST_MS * 2 ** place.failures++, RETRY_LAST_MS);
    place.retry = this.#deps.clock.after(delayMs, () => {
      place.retry = undefined;
      place.busy = false;
      this.#catchUp(place);
    });
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = this.#deps.clock.after(REMEMBER_MS, () => {
      this.#rememberAll([...this.#places.values()]).finally(() => this.#schedule());
    });
  }

  /** Never rejects: what could not be remembered is followed again. */
  async #rememberAll(places: readonly Place[]): Promise<void> {
    const moved = places.filter(({ at, remembered }) => at !== remembered);
    await Promise.allSettled(
      moved.map(async (place) => {
        const { shard, at } = place;
        if (at === undefined) return;
        await this.#deps.archive.follow(this.#following.name, shard, at);
        place.remembered = at;
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
    remembered: undefined,
    busy: false,
    missed: false,
    failures: 0,
    retry: undefined,
    held: undefined,
    overdue: -1,
  };
}

function giveUp(place: Place): void {
  place.over = true;
  place.retry?.cancel();
  place.held?.cancel();
}
