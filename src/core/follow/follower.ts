// A follower: does what follows from events and is not their delivery, behind the log and never in a sender's way.

import type { Timer } from "../../ports/clock.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";

/** Events read from the log at once. */
const READ = 256;
/** How often the place is remembered, in milliseconds: what came since is followed again after a crash. */
const REMEMBER_MS = 1_000;
/** First wait before something that failed is tried again, in milliseconds; doubled up to the last. */
const RETRY_FIRST_MS = 500;
const RETRY_LAST_MS = 30_000;

export interface Following {
  /** Names its place in each shard; never changes. */
  readonly name: string;
  /**
   * Does what follows from an event: at least once, so that doing it again must change nothing, and in the order of each room. Returns
   * undefined where nothing follows. A rejection is tried again, and holds up the shard's later events.
   */
  handle(room: RoomRef, event: EncodedEvent): Promise<void> | undefined;
}

interface Place {
  readonly shard: number;
  /** Where the log ended at the start. */
  readonly end: number;
  /** The next offset to follow; undefined: not known yet. */
  at: number | undefined;
  remembered: number | undefined;
  /** Whether something is under way, or waits to be tried again. */
  busy: boolean;
  /** Whether events have come while it was busy: what is being read may lack them. */
  missed: boolean;
  failures: number;
  retry: Timer | undefined;
}

export class Follower {
  readonly #deps: CoreDependencies;
  readonly #following: Following;
  #places: Place[] = [];
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: CoreDependencies, following: Following) {
    this.#deps = deps;
    this.#following = following;
  }

  /** Takes up where it was left. One that has never run begins at `ends`, where each shard's log ends now. */
  start(ends: readonly number[]): void {
    this.#places = ends.map((end, shard) => {
      return {
        shard,
        end,
        at: undefined,
        remembered: undefined,
        busy: false,
        missed: false,
        failures: 0,
        retry: undefined,
      };
    });
    for (const place of this.#places) this.#catchUp(place);
    this.#schedule();
  }

  /** Remembers where it is. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const { retry } of this.#places) retry?.cancel();
    await this.#remember();
  }

  /** Events have become durable, the first of them at `from`. Those that are due are followed without reading them again. */
  appended(shard: number, from: number, records: readonly NewRecord[]): void {
    const place = this.#places[shard];
    if (place === undefined || this.#stopped) return;
    if (place.busy) {
      place.missed = true;
      return;
    }
    if (place.at !== from) {
      this.#catchUp(place);
      return;
    }
    let at = from;
    for (const { room, event } of records) {
      const done = this.#following.handle(room, event);
      if (done !== undefined) {
        place.at = at;
        this.#wait(place, at, done);
        return;
      }
      at++;
    }
    place.at = at;
  }

  /** One event's work is under way; the others are read from the log after it. */
  #wait(place: Place, at: number, done: Promise<void>): void {
    place.busy = true;
    done.then(
      () => {
        place.at = at + 1;
        place.failures = 0;
        place.busy = false;
        this.#catchUp(place);
      },
      (cause: unknown) => this.#failed(place, cause),
    );
  }

  #catchUp(place: Place): void {
    if (place.busy || this.#stopped) return;
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
    const { archive, log } = this.#deps;
    if (place.at === undefined) {
      const known = await archive.followed(this.#following.name, place.shard);
      if (known === undefined) await archive.follow(this.#following.name, place.shard, place.end);
      place.at = known ?? place.end;
      place.remembered = place.at;
    }
    for (;;) {
      const records = await log.read(place.shard, place.at, READ);
      for (const { offset, room, event } of records) {
        if (this.#stopped) return;
        await this.#following.handle(room, event);
        place.at = offset + 1;
        place.failures = 0;
      }
      if (records.length < READ) return;
    }
  }

  #failed(place: Place, cause: unknown): void {
    if (this.#stopped) return;
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
      this.#remember().finally(() => this.#schedule());
    });
  }

  /** Never rejects: what could not be remembered is followed again. */
  async #remember(): Promise<void> {
    const moved = this.#places.filter(({ at, remembered }) => at !== remembered);
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
