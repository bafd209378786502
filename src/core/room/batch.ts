// A shard's open batch: events that have taken their turn, and the callers that wait for them.

import type { EventChange, EventScrub, HiddenMessage, IdleLook } from "../../ports/archive.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { TrunklineError } from "../../ports/error.js";
import { type AppendBatch, type NewRecord, recordBytes } from "../../ports/event-log.js";
import type { Room, TentativeEvent } from "./room.js";

/** What the batch holds of one room. */
interface RoomPart {
  readonly room: Room;
  readonly events: EncodedEvent[];
  readonly users: Set<string>;
  readonly messages: Set<string>;
}

/** Who waits: told once, after the log has answered. */
export interface Waiter {
  done(): void;
  failed(error: TrunklineError): void;
}

export class Batch {
  readonly #parts = new Map<Room, RoomPart>();
  readonly #records: NewRecord[] = [];
  readonly #events: EventChange[] = [];
  readonly #scrubs: EventScrub[] = [];
  readonly #hidden: HiddenMessage[] = [];
  readonly #idleLooks: IdleLook[] = [];
  readonly #waiters: Waiter[] = [];
  readonly openedAtMs: number;
  bytes = 0;
  /** What the log counts it as, in bytes. */
  logBytes = 0;
  readonly #mayBeStored: boolean;
  #sealed: AppendBatch | undefined;

  /** `mayBeStored`: another owner may have written some of its events to the archive. */
  constructor(openedAtMs: number, mayBeStored = false) {
    this.openedAtMs = openedAtMs;
    this.#mayBeStored = mayBeStored;
  }

  get records(): readonly NewRecord[] {
    return this.#records;
  }

  get size(): number {
    return this.#records.length;
  }

  /** The rooms it holds events of. */
  get rooms(): Iterable<Room> {
    return this.#parts.keys();
  }

  add(room: Room, events: readonly TentativeEvent[]): void {
    let part = this.#parts.get(room);
    if (part === undefined) {
      part = { room, events: [], users: new Set(), messages: new Set() };
      this.#parts.set(room, part);
    }
    for (const { encoded, eventId, createdAtMs, messageIndex, expiresAtMs, lookAtMs, changed, scrubs } of events) {
      part.events.push(encoded);
      for (const userId of changed.users) part.users.add(userId);
      for (const messageId of changed.messages) part.messages.add(messageId);
      for (const event of scrubs) {
        // An event that is stored is not stored again, and keeps its words unless it is told to lose them.
        if (!this.#replace(part, event) || this.#mayBeStored) this.#scrubs.push({ room: room.ref, event });
      }
      if (lookAtMs !== undefined) this.#idleLooks.push({ room: room.ref, atMs: lookAtMs });
      const { kind } = encoded.event;
      if (kind.case === "messageHidden") {
        const { roomId, messageIndex } = kind.value;
        this.#hidden.push({ inbox: room.ref, roomId, messageIndex });
      }
      const record = { room: room.ref, event: encoded };
      this.#records.push(record);
      this.#events.push({ room: room.ref, event: encoded, eventId, createdAtMs, messageIndex, expiresAtMs });
      this.bytes += encoded.bytes.length;
      this.logBytes += recordBytes(record);
    }
  }

  /** What is deleted before it was stored is neither stored nor told. Returns whether the event was still here. */
  #replace({ room, events }: RoomPart, event: EncodedEvent): boolean {
    const inRoom = events.findIndex(({ seq }) => seq === event.seq);
    const at = this.#events.findIndex((change) => change.room === room.ref && change.event.seq === event.seq);
    const change = this.#events[at];
    if (inRoom < 0 || change === undefined) return false;
    events[inRoom] = event;
    this.#events[at] = { ...change, event, expiresAtMs: undefined };
    this.#records[at] = { room: room.ref, event };
    return true;
  }

  wait(waiter: Waiter): void {
    this.#waiters.push(waiter);
  }

  /** The batch for the log, with the documents as they are at the first call: no event may be added afterwards. */
  seal(): AppendBatch {
    if (this.#sealed !== undefined) return this.#sealed;
    const parts = [...this.#parts.values()];
    this.#sealed = {
      records: this.#records,
      changes: {
        events: this.#events,
        rooms: parts.map(({ room }) => ({ room: room.ref, document: room.state.document() })),
        members: parts.flatMap(({ room, users }) =>
          [...users].map((userId) => ({ room: room.ref, document: room.state.memberDocument(userId) })),
        ),
        messages: parts.flatMap(({ room, messages }) =>
          [...messages].flatMap((id) => room.state.messageChange(id) ?? []),
        ),
        scrubs: this.#scrubs,
        hidden: this.#hidden,
        idleLooks: this.#idleLooks,
      },
    };
    return this.#sealed;
  }

  /** Every room with its events, in order, once they are durable. */
  settle(announce: (room: Room, events: readonly EncodedEvent[]) => void): void {
    for (const { room, events } of this.#parts.values()) {
      const last = events.at(-1);
      if (last === undefined) continue;
      room.settle(last.seq, last.tag);
      announce(room, events);
    }
    for (const waiter of this.#waiters) waiter.done();
  }

  /** Every room's events are archived too. */
  archived(): void {
    for (const { room, events } of this.#parts.values()) room.archived(events.at(-1)?.seq ?? 0);
  }

  fail(error: TrunklineError): void {
    for (const waiter of this.#waiters) waiter.failed(error);
  }
}
