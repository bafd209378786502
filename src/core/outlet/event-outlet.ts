// An outlet of events: reads the log, hands over what its target wants, and sets aside rooms whose events the target does not take.
//
// A room that is set aside is one small document: its first event that was not taken. What comes after it is not kept but read again, so
// memory is bounded however long the target is away. Other rooms go on.

import { create } from "@bufbuild/protobuf";
import {
  DeadLetterDocumentSchema,
  type ParkedDocument,
  ParkedDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { LogRecord } from "../../ports/event-log.js";
import type { OutletStore } from "../../ports/outlet-store.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { shardOf } from "../../ports/shard.js";
import type { CoreDependencies } from "../core.js";
import { PAGE_BYTES } from "../limit/limits.js";
import { batchOf, createdAtMs } from "./batch.js";
import { DeadLetters } from "./dead-letters.js";
import type { EventOutletOptions } from "./options.js";
import { GIVE_UP_AFTER_MS, type Holding, type OutletWork } from "./outlet.js";
import { Parking, type Tried } from "./parking.js";
import type { Page, Taken } from "./shard-pages.js";

/** Rooms set aside, at most: with so many the target is away as a whole, and the log waits. */
const ROOMS_ASIDE = 1_000;
/** Between two looks at whether there are fewer, in milliseconds. */
const FULL_RETRY_MS = 1_000;
/** Events of a room handed over together when it is tried again. */
const TRIED_EVENTS = 100;
/** From this try on they go one by one: what the target takes goes on, and only what it does not take is given up. */
const ONE_BY_ONE_TRIES = 4;
/** Above every seq. */
const LAST_SEQ = 0xffff_ffff;

interface Run {
  readonly room: RoomRef;
  readonly events: readonly EncodedEvent[];
}

export class EventOutlet implements OutletWork {
  readonly name: string;
  /** Nothing that was read is read again but after a crash. */
  readonly keptMs = 0;
  readonly #deps: CoreDependencies;
  readonly #options: EventOutletOptions;
  readonly #parking: Parking;
  readonly #letters: DeadLetters;
  /** Of rooms set aside: the last seq that the reader has come past. */
  readonly #passed = new Map<string, number>();
  /** Of rooms that were set aside when their shard came: the last seq that was handed over before the reader came there. */
  readonly #ahead = new Map<string, number>();

  constructor(deps: CoreDependencies, store: OutletStore, options: EventOutletOptions) {
    this.#deps = deps;
    this.#options = options;
    this.name = `events.${options.name}`;
    this.#letters = new DeadLetters(
      deps,
      store,
      this.name,
      (letter) => this.#handOver(roomRef(letter.tenantId, letter.roomId), letter.firstSeq, letter.lastSeq),
      () => this.#parking.shards,
    );
    this.#parking = new Parking(deps, store, {
      outlet: this.name,
      places: ROOMS_ASIDE,
      giveUpAfterMs: options.giveUpAfterMs ?? GIVE_UP_AFTER_MS,
      attempt: (document) => this.#attempt(document),
      giveUp: (document, cause) => this.#giveUp(document, cause),
    });
  }

  start(): void {
    this.#letters.start();
  }

  /** What was set aside before of a shard, and where these rooms end now. */
  async load(holding: Holding): Promise<() => void> {
    const aside: Aside[] = [];
    for (const document of await this.#parking.takeUp(holding)) {
      const stored = await this.#deps.archive.room(roomRef(document.tenantId, document.roomId));
      aside.push({ document, topSeq: stored?.room?.top?.seq ?? 0 });
    }
    return () => this.#begin(holding, aside);
  }

  released(shard: number): void {
    this.#parking.released(shard);
    const { shards } = this.#deps.log;
    for (const rooms of [this.#passed, this.#ahead]) {
      for (const key of rooms.keys()) if (shardOf(key, shards) === shard) rooms.delete(key);
    }
  }

  stop(): void {
    this.#parking.stop();
    this.#letters.stop();
  }

  // — what the log says —

  async take(records: readonly LogRecord[], page: Page): Promise<Taken> {
    let from = 0;
    while (from < records.length && !page.over) {
      if (this.#parking.full) return { count: from, waitMs: FULL_RETRY_MS };
      const { runs, to } = this.#collect(records, from);
      if (runs.length > 0) await this.#send(runs, page);
      from = to;
    }
    return { count: from, waitMs: 0 };
  }

  /** What a room lacks goes up to where it ends now, wherever the reader is. */
  #begin(holding: Holding, aside: readonly Aside[]): void {
    for (const { document, topSeq } of aside) {
      const { key } = roomRef(document.tenantId, document.roomId);
      this.#passed.set(key, topSeq);
      this.#ahead.set(key, Number.POSITIVE_INFINITY);
    }
    this.#parking.opened(
      holding,
      aside.map(({ document }) => document),
    );
  }

  /** What of the records from `from` on goes in one batch, and up to where. */
  #collect(records: readonly LogRecord[], from: number): { readonly runs: readonly Run[]; readonly to: number } {
    const runs = new Map<string, { readonly room: RoomRef; readonly events: EncodedEvent[] }>();
    let bytes = 0;
    let to = from;
    for (const { room, event } of records.slice(from)) {
      if (bytes >= PAGE_BYTES) break;
      to++;
      if (!this.#wants(room, event) || this.#isAside(room, event.seq)) continue;
      const run = runs.get(room.key);
      if (run === undefined) runs.set(room.key, { room, events: [event] });
      else run.events.push(event);
      bytes += event.bytes.length;
    }
    return { runs: [...runs.values()], to };
  }

  #wants({ tenantId, roomId }: RoomRef, { event }: EncodedEvent): boolean {
    const { tenants, roomPrefix = "" } = this.#options;
    if (tenants?.has(tenantId) === false || !roomId.startsWith(roomPrefix)) return false;
    return this.#isWanted(event.kind.case);
  }

  #isWanted(kind: EncodedEvent["event"]["kind"]["case"]): boolean {
    const { kinds } = this.#options;
    return kinds === undefined || (kind !== undefined && kinds.has(kind));
  }

  /** Whether the event is handed over, or was, by whoever tries the room again. */
  #isAside({ tenantId, roomId, key }: RoomRef, seq: number): boolean {
    if (this.#parking.has(tenantId, roomId)) {
      this.#passed.set(key, Math.max(this.#passed.get(key) ?? 0, seq));
      return true;
    }
    const ahead = this.#ahead.get(key);
    if (ahead === undefined) return false;
    if (seq <= ahead) return true;
    this.#ahead.delete(key);
    return false;
  }

  /** Hands over together; where that fails, each room is set aside. */
  async #send(runs: readonly Run[], page: Page): Promise<void> {
    try {
      await this.#deliver(runs);
    } catch (cause) {
      if (page.over) throw cause;
      this.#deps.telemetry.emit("outlet.failed", { outlet: this.name, tries: 1, cause });
      await Promise.all(runs.map((run) => this.#setAside(run)));
    }
  }

  async #setAside({ room, events }: Run): Promise<void> {
    const { tenantId, roomId, key } = room;
    this.#passed.set(key, events.at(-1)?.seq ?? 0);
    const seq = events[0]?.seq ?? 0;
    const sinceMs = this.#deps.clock.now();
    await this.#parking.park(create(ParkedDocumentSchema, { tenantId, roomId, seq, tries: 1, sinceMs }));
  }

  async #deliver(runs: readonly Run[]): Promise<void> {
    await this.#options.sink.deliver(batchOf(this.#deps.ids, this.name, runs));
    let count = 0;
    let oldestMs = Number.POSITIVE_INFINITY;
    for (const { events } of runs) {
      count += events.length;
      const [first] = events;
      if (first !== undefined) oldestMs = Math.min(oldestMs, createdAtMs(first.event));
    }
    const lagMs = this.#deps.clock.now() - oldestMs;
    this.#deps.telemetry.emit("outlet.sent", { outlet: this.name, count, lagMs });
  }

  // — what was set aside —

  async #attempt(document: ParkedDocument): Promise<Tried> {
    const room = roomRef(document.tenantId, document.roomId);
    const { events, next } = await this.#read(room, document.seq, LAST_SEQ, eventsAtOnce(document));
    if (events.length > 0) await this.#deliver([{ room, events }]);
    if (!this.#parking.isParked(document)) return { is: "done" };
    if (next === undefined || next > (this.#passed.get(room.key) ?? 0)) {
      this.#passed.delete(room.key);
      if (this.#ahead.has(room.key)) this.#ahead.set(room.key, (next ?? document.seq) - 1);
      // In this turn: what the reader comes past from now on, it hands over itself.
      this.#parking.release(document);
      return { is: "done" };
    }
    return { is: "more", document: this.#rest(document, next), waitMs: 0 };
  }

  async #giveUp(document: ParkedDocument, cause: unknown): Promise<ParkedDocument | undefined> {
    const room = roomRef(document.tenantId, document.roomId);
    const { events, next } = await this.#read(room, document.seq, LAST_SEQ, eventsAtOnce(document));
    const [first] = events;
    const last = events.at(-1);
    if (first !== undefined && last !== undefined) {
      const { tenantId, roomId, tries, sinceMs } = document;
      const place = { tenantId, roomId, firstSeq: first.seq, lastSeq: last.seq };
      const letter = create(DeadLetterDocumentSchema, { ...place, tries, sinceMs });
      await this.#letters.bury(letter, cause);
    }
    // Where nothing is left the next try says so, in the turn in which the reader hands over again itself.
    return this.#rest(document, next ?? document.seq);
  }

  #rest({ tenantId, roomId }: ParkedDocument, seq: number): ParkedDocument {
    return create(ParkedDocumentSchema, { tenantId, roomId, seq, sinceMs: this.#deps.clock.now() });
  }

  async #handOver(room: RoomRef, firstSeq: number, lastSeq: number): Promise<void> {
    let from: number | undefined = firstSeq;
    while (from !== undefined && from <= lastSeq) {
      const { events, next }: Read = await this.#read(room, from, lastSeq, TRIED_EVENTS);
      if (events.length > 0) await this.#deliver([{ room, events }]);
      from = next;
    }
  }

  /** What of a room's events from seq `from` to `to` is wanted, and where to go on; undefined: there is no more. */
  async #read(room: RoomRef, from: number, to: number, limit: number): Promise<Read> {
    const range = { from, to, limit, maxBytes: PAGE_BYTES };
    const found = await this.#deps.archive.events(room, range);
    const last = found.at(-1);
    const events = found.filter(({ event }) => this.#isWanted(event.kind.case));
    return { events, next: last === undefined ? undefined : last.seq + 1 };
  }
}

function eventsAtOnce({ tries }: ParkedDocument): number {
  return tries < ONE_BY_ONE_TRIES ? TRIED_EVENTS : 1;
}

/** A room that was set aside. */
interface Aside {
  readonly document: ParkedDocument;
  readonly topSeq: number;
}

interface Read {
  readonly events: readonly EncodedEvent[];
  readonly next: number | undefined;
}
