// A follower: does what follows from events and is not their delivery, behind the log and never in a sender's way.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Timer } from "../../ports/clock.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { type LogReader, Place, ShardReader } from "./shard-reader.js";

/** Events read from the log at once. */
const READ = 256;
/**
 * How long who removes events waits for those who have not read them, in milliseconds from when the event was accepted: who is behind for
 * longer finds some of them gone.
 */
export const REMOVAL_WAIT_MS = 3_600_000;

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

class Followed extends Place {
  /** Whether something is under way, or waits to be tried again. */
  busy = false;
  /** Whether events have come while it was busy: what is being read may lack them. */
  missed = false;
  retry: Timer | undefined;
  /** Waits for readers ahead; the timer is the end of their time. */
  held: Timer | undefined;
  /** The offset whose readers have had their time. */
  overdue = -1;
}

export class Follower extends ShardReader<Followed> {
  readonly #following: Following;
  readonly #ahead: readonly LogReader[];

  /** What removes events waits for all who are `ahead`, for REMOVAL_WAIT_MS at most. */
  constructor(deps: CoreDependencies, following: Following, ahead: readonly LogReader[] = []) {
    super(deps, following.name, 0);
    this.#following = following;
    this.#ahead = ahead;
    for (const reader of ahead) reader.onReached((shard) => this.#release(shard));
  }

  protected placeOf(shard: number, end: number): Followed {
    return new Followed(shard, end);
  }

  protected follow(place: Followed): void {
    if (place.held === undefined) this.#catchUp(place);
  }

  protected giveUp(place: Followed): void {
    place.retry?.cancel();
    place.held?.cancel();
  }

  /** Events have become durable, the first of them at `from`. Those that are due are followed without reading them again. */
  appended(shard: number, from: number, records: readonly NewRecord[]): void {
    const place = this.places.get(shard);
    if (place === undefined || place.held !== undefined) return;
    if (place.busy || place.at !== from) {
      this.#catchUp(place);
      return;
    }
    // Offsets of one batch are dense, whatever stands between batches.
    let at = from;
    for (const { room, event } of records) {
      if (this.#hold(place, at, event)) {
        this.reach(place, at);
        return;
      }
      const done = this.#following.handle(room, event);
      if (done !== undefined) {
        this.reach(place, at);
        this.#wait(place, at, done);
        return;
      }
      at++;
    }
    this.reach(place, at);
  }

  /** How far those ahead are. */
  #limit(shard: number): number {
    let limit = Number.POSITIVE_INFINITY;
    for (const reader of this.#ahead) limit = Math.min(limit, reader.reached(shard));
    return limit;
  }

  /** Whether the event at this offset must wait for those ahead. It is then tried again when they have moved or had their time. */
  #hold(place: Followed, offset: number, encoded: EncodedEvent): boolean {
    if (this.#following.removes?.(encoded) !== true) return false;
    if (offset < this.#limit(place.shard) || place.overdue === offset) return false;
    const { clock } = this.deps;
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
    const place = this.places.get(shard);
    if (place?.held === undefined) return;
    place.held.cancel();
    place.held = undefined;
    this.#catchUp(place);
  }

  /** One event's work is under way; the others are read from the log after it. */
  #wait(place: Followed, at: number, done: Promise<void>): void {
    place.busy = true;
    done.then(
      () => {
        this.reach(place, at + 1);
        place.failures = 0;
        place.busy = false;
        this.#catchUp(place);
      },
      (cause: unknown) => this.#failed(place, cause),
    );
  }

  #catchUp(place: Followed): void {
    if (!this.isAtWork || place.over) return;
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

  async #read(place: Followed): Promise<void> {
    while (!place.over) {
      const { end } = place;
      const records = await this.readOn(place, READ);
      for (const { offset, room, event } of records) {
        if (place.over || this.#hold(place, offset, event)) return;
        await this.#following.handle(room, event);
        this.reach(place, offset + 1);
        place.failures = 0;
      }
      if (records.length === READ) continue;
      // What stands there beside events is nothing to be read again.
      if (end > (place.at ?? end)) this.reach(place, end);
      return;
    }
  }

  #failed(place: Followed, cause: unknown): void {
    if (place.over) return;
    place.retry = this.deps.clock.after(this.failed(place, cause), () => {
      place.retry = undefined;
      place.busy = false;
      this.#catchUp(place);
    });
  }
}
