// Writes a shard's archive behind its log, where the engine does not write both at once: in order, in bulk, again until it succeeds.

import type { Archive, ArchiveChanges, EventRange } from "../../ports/archive.js";
import type { Clock, Timer } from "../../ports/clock.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import { type ArchiveLag, NO_LAG } from "../room/shard-status.js";
import type { Telemetry } from "../telemetry.js";
import { mergeChanges } from "./merge.js";

/** One write takes what waits, up to the batch that brings it to so many bytes. */
const WRITE_BYTES = 1024 * 1024;
const DEFAULT_GATHER_MS = 2_000;
/** First wait before a write that failed is tried again, in milliseconds; doubles up to the last. */
const RETRY_FIRST_MS = 100;
const RETRY_LAST_MS = 5_000;
/** Longest wait of a reader, in milliseconds. */
const SETTLE_DEADLINE_MS = 5_000;

export interface ArchiverDependencies {
  readonly archive: Archive;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /**
   * From the beginning of one write to that of the next, in milliseconds, unless somebody waits for it or there is enough for a whole one: a write
   * is some round trips of the archive, whatever it brings. Default 2,000.
   */
  readonly gatherMs?: number;
}

/** Changes that wait, and up to where in the log they go. */
interface Pending {
  readonly end: number;
  readonly changes: ArchiveChanges;
  readonly bytes: number;
  /** Monotonic. */
  readonly sinceMs: number;
  readonly archived: () => void;
}

/** What the archive does not have of a room yet. */
interface RoomTail {
  /** By seq, in rising order, without holes. */
  readonly events: Map<number, EncodedEvent>;
  /** By seq: events that lose their content. */
  readonly scrubs: Map<number, EncodedEvent>;
  /** The last push that concerns the room. */
  push: number;
}

interface Waiter {
  /** The push it waits for. */
  readonly push: number;
  readonly timer: Timer;
  done(): void;
  failed(error: TrunklineError): void;
}

export class Archiver {
  readonly #shard: number;
  readonly #deps: ArchiverDependencies;
  #queue: Pending[] = [];
  #bytes = 0;
  /** Pushes so far, and how many of them are archived. */
  #pushed = 0;
  #archived = 0;
  readonly #rooms = new Map<string, RoomTail>();
  readonly #waiters = new Set<Waiter>();
  #busy = false;
  #failures = 0;
  #retry: Timer | undefined;
  /** When the next write may begin, monotonic, and who begins it then. */
  #nextMs = Number.NEGATIVE_INFINITY;
  #gathering: Timer | undefined;
  /** Counts `clear`: what was written before concerns nobody any more. */
  #life = 0;

  constructor(shard: number, deps: ArchiverDependencies) {
    this.#shard = shard;
    this.#deps = deps;
  }

  /** Bytes of events that are durable and not archived, as they were said to be. */
  get pendingBytes(): number {
    return this.#bytes;
  }

  /** How far it is behind the log. */
  get lag(): ArchiveLag {
    const [oldest] = this.#queue;
    if (oldest === undefined) return NO_LAG;
    const events = this.#queue.reduce((sum, { changes }) => sum + changes.events.length, 0);
    return { events, bytes: this.#bytes, ageMs: this.#deps.clock.monotonic() - oldest.sinceMs };
  }

  /** Changes that are durable in the log up to offset `end`, after those pushed before. `archived` is called once they are that too. */
  push(end: number, changes: ArchiveChanges, bytes: number, archived: () => void = ignore): void {
    const push = ++this.#pushed;
    this.#queue.push({ end, changes, bytes, sinceMs: this.#deps.clock.monotonic(), archived });
    this.#bytes += bytes;
    for (const room of roomsOf(changes)) this.#tail(room).push = push;
    for (const { room, event } of changes.events) this.#tail(room).events.set(event.seq, event);
    for (const { room, event } of changes.scrubs) {
      const { events, scrubs } = this.#tail(room);
      if (events.has(event.seq)) events.set(event.seq, event);
      // The event itself may be archived before it is scrubbed there.
      scrubs.set(event.seq, event);
    }
    this.#write();
  }

  /**
   * Resolves once what was pushed of the room before the call is archived; undefined: it is. Rejects with UNAVAILABLE after a while, and when
   * the shard is given up.
   */
  settled(room: RoomRef): Promise<void> | undefined {
    const tail = this.#rooms.get(room.key);
    return tail === undefined ? undefined : this.#wait(tail.push);
  }

  /** Resolves once everything pushed before the call is archived; undefined: it is. As `settled`. */
  drained(): Promise<void> | undefined {
    return this.#archived === this.#pushed ? undefined : this.#wait(this.#pushed);
  }

  /** As `Archive.events`, of what is archived and what is not. */
  events(room: RoomRef, range: EventRange): Awaitable<readonly EncodedEvent[]> {
    const { archive } = this.#deps;
    const tail = this.#rooms.get(room.key);
    if (tail === undefined) return archive.events(room, range);
    // What it holds now: it may be archived while the archive is read.
    const events = [...tail.events.values()];
    const scrubs = new Map(tail.scrubs);
    const first = events[0]?.seq ?? Number.POSITIVE_INFINITY;
    if (range.from >= first) return page([], events, range);
    const older = archive.events(room, { ...range, to: Math.min(range.to, first - 1) });
    const join = (stored: readonly EncodedEvent[]): readonly EncodedEvent[] => {
      const current = scrubs.size === 0 ? stored : stored.map((event) => scrubs.get(event.seq) ?? event);
      return page(current, events, range);
    };
    return isPromise(older) ? older.then(join) : join(older);
  }

  /** Gives up what is not archived: the log has it. Goes on with what is pushed after. */
  clear(): void {
    this.#life++;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#gathering?.cancel();
    this.#gathering = undefined;
    this.#busy = false;
    this.#failures = 0;
    this.#queue = [];
    this.#bytes = 0;
    this.#archived = this.#pushed;
    this.#rooms.clear();
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const { timer, failed } of waiters) {
      timer.cancel();
      failed(unavailable("the room's owner has changed"));
    }
  }

  #tail(room: RoomRef): RoomTail {
    let tail = this.#rooms.get(room.key);
    if (tail === undefined) {
      tail = { events: new Map(), scrubs: new Map(), push: 0 };
      this.#rooms.set(room.key, tail);
    }
    return tail;
  }

  #write(): void {
    if (this.#busy || this.#queue.length === 0 || this.#gathers()) return;
    const life = this.#life;
    this.#busy = true;
    this.#nextMs = this.#deps.clock.monotonic() + (this.#deps.gatherMs ?? DEFAULT_GATHER_MS);
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && bytes < WRITE_BYTES) bytes += this.#queue[count++]?.bytes ?? 0;
    const batch = this.#queue.slice(0, count);
    const end = batch.at(-1)?.end ?? 0;
    const changes = mergeChanges(batch.map((pending) => pending.changes));
    this.#deps.archive.apply(this.#shard, end, changes).then(
      () => {
        if (this.#life !== life) return;
        this.#busy = false;
        this.#failures = 0;
        this.#forget(batch);
        this.#write();
      },
      (cause: unknown) => {
        if (this.#life === life) this.#failed(cause);
      },
    );
  }

  /** Whether more is to come together before the next write. */
  #gathers(): boolean {
    const leftMs = this.#nextMs - this.#deps.clock.monotonic();
    if (leftMs <= 0 || this.#waiters.size > 0 || this.#bytes >= WRITE_BYTES) {
      this.#gathering?.cancel();
      this.#gathering = undefined;
      return false;
    }
    this.#gathering ??= this.#deps.clock.after(leftMs, () => {
      this.#gathering = undefined;
      this.#write();
    });
    return true;
  }

  #failed(cause: unknown): void {
    this.#deps.telemetry.emit("archive.failed", { shard: this.#shard, pendingBytes: this.#bytes, cause });
    const delayMs = Math.min(RETRY_FIRST_MS * 2 ** this.#failures++, RETRY_LAST_MS);
    this.#retry = this.#deps.clock.after(delayMs, () => {
      this.#retry = undefined;
      this.#busy = false;
      this.#write();
    });
  }

  /** The first of the queue are archived. */
  #forget(batch: readonly Pending[]): void {
    this.#queue.splice(0, batch.length);
    this.#archived += batch.length;
    for (const { changes, bytes, archived } of batch) {
      this.#bytes -= bytes;
      archived();
      for (const { room, event } of changes.events) this.#rooms.get(room.key)?.events.delete(event.seq);
      for (const { room, event } of changes.scrubs) {
        const scrubs = this.#rooms.get(room.key)?.scrubs;
        if (scrubs?.get(event.seq) === event) scrubs.delete(event.seq);
      }
      for (const room of roomsOf(changes)) {
        if ((this.#rooms.get(room.key)?.push ?? 0) <= this.#archived) this.#rooms.delete(room.key);
      }
    }
    for (const waiter of this.#waiters) {
      if (waiter.push > this.#archived) continue;
      this.#waiters.delete(waiter);
      waiter.timer.cancel();
      waiter.done();
    }
  }

  #wait(push: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = this.#deps.clock.after(SETTLE_DEADLINE_MS, () => {
        this.#waiters.delete(waiter);
        reject(unavailable("the archive is behind"));
      });
      const waiter: Waiter = { push, timer, done: resolve, failed: reject };
      this.#waiters.add(waiter);
      this.#write();
    });
  }
}

function* roomsOf({ events, rooms, members, messages, scrubs, hidden }: ArchiveChanges): Iterable<RoomRef> {
  for (const part of [events, rooms, members, messages, scrubs]) for (const { room } of part) yield room;
  for (const { inbox } of hidden) yield inbox;
}

/** `older`, and where that did not fill the page what of the tail follows it: older events may have been purged. */
function page(
  older: readonly EncodedEvent[],
  tail: readonly EncodedEvent[],
  { from, to, limit, maxBytes }: EventRange,
): readonly EncodedEvent[] {
  const events = [...older];
  let bytes = older.reduce((sum, event) => sum + event.bytes.length, 0);
  for (const event of tail) {
    if (event.seq < from) continue;
    if (event.seq > to || events.length >= limit || bytes >= maxBytes) break;
    events.push(event);
    bytes += event.bytes.length;
  }
  return events;
}

function unavailable(message: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: RETRY_FIRST_MS });
}

function ignore(): void {}
