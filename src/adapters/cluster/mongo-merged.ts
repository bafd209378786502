// Documents of rooms as they are stored, and where some were set aside with those among them: of two the newer.

import type { EventRange, MessageRange, Page } from "../../ports/archive.js";
import { EncodedEvent } from "../../ports/encoded-event.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { binary, bytesOf, type Collections, type EventRow, type MessageRow, named, numbered, within } from "./mongo.js";
import type { AsideDocument, SetAside } from "./mongo-set-aside.js";

/** Events asked for at once: a page that ends by its bytes has read at most so many too many. */
const EVENTS_PER_BATCH = 100;
const LAST_INDEX = 0xffff_ffff;

export class MergedReading {
  readonly #collections: Collections;
  readonly #aside: SetAside;

  constructor(collections: Collections, aside: SetAside) {
    this.#collections = collections;
    this.#aside = aside;
  }

  /** The room's document, as protobuf. */
  async room(room: RoomRef): Promise<Uint8Array | undefined> {
    const row = await this.#collections.rooms.findOne({ _id: room.key });
    const aside = this.#aside.concerns(room) ? await this.#aside.one("rooms", room.key) : undefined;
    return (aside?.seq ?? 0) > (row?.seq ?? 0) ? aside?.bytes : row === null ? undefined : bytesOf(row.doc);
  }

  /** A member's document, as protobuf. */
  async member(room: RoomRef, userId: string): Promise<Uint8Array | undefined> {
    const key = named(room.key, userId);
    const row = await this.#collections.members.findOne({ _id: key });
    const aside = this.#aside.concerns(room) ? await this.#aside.one("members", key) : undefined;
    return (aside?.seq ?? 0) > (row?.seq ?? 0) ? aside?.bytes : row === null ? undefined : bytesOf(row.doc);
  }

  /** The documents of those present, as protobuf, by user. */
  async members(room: RoomRef, { after, limit }: Page): Promise<readonly Uint8Array[]> {
    const aside = new Map<string, AsideDocument>();
    if (this.#aside.concerns(room)) {
      for await (const document of this.#aside.all("members", room)) aside.set(document.key, document);
    }
    const present = { ...within(room.key), ...(after === "" ? {} : { $gt: named(room.key, after) }) };
    const rows = await this.#collections.members
      .find({ present })
      .sort({ present: 1 })
      // So many of them may have left since.
      .limit(limit + aside.size)
      .toArray();
    if (aside.size === 0) return rows.map(({ doc }) => bytesOf(doc));
    const docs = new Map(rows.map(({ _id, seq, doc }) => [_id, { seq, doc: bytesOf(doc) }]));
    for (const { key, seq, row, bytes } of aside.values()) {
      if (key <= named(room.key, after) || (docs.get(key)?.seq ?? 0) >= seq || bytes === undefined) continue;
      if (row.present === undefined) docs.delete(key);
      else if (!docs.has(key) && (await this.#hasNewer(key, seq))) continue;
      else docs.set(key, { seq, doc: bytes });
    }
    const keys = [...docs.keys()].sort().slice(0, limit);
    return keys.flatMap((key) => docs.get(key)?.doc ?? []);
  }

  async events(room: RoomRef, { from, to, limit, maxBytes }: EventRange): Promise<readonly EncodedEvent[]> {
    const stored: EncodedEvent[] = [];
    const cursor = this.#collections.events
      .find({ _id: { $gte: numbered(room.key, from), $lte: numbered(room.key, to) } })
      .sort({ _id: 1 })
      .limit(limit)
      .batchSize(Math.min(limit, EVENTS_PER_BATCH));
    let bytes = 0;
    let isCut = false;
    for await (const row of cursor) {
      const event = eventOf(row);
      stored.push(event);
      bytes += event.bytes.length;
      isCut = bytes >= maxBytes || stored.length >= limit;
      if (isCut) break;
    }
    if (!this.#aside.concerns(room)) return stored;
    const last = isCut ? (stored.at(-1)?.seq ?? to) : to;
    const aside: EncodedEvent[] = [];
    let asideBytes = 0;
    for await (const document of this.#aside.range("events", numbered(room.key, from), numbered(room.key, last))) {
      const event = eventOf(eventRow(document));
      aside.push(event);
      asideBytes += event.bytes.length;
      if (asideBytes >= maxBytes || aside.length >= limit) break;
    }
    return merged(stored, aside, limit, maxBytes);
  }

  /** The event with this id, where it was set aside. */
  async asideEvent(room: RoomRef, eventId: string): Promise<{ row: EventRow; event: EncodedEvent } | undefined> {
    if (!this.#aside.concerns(room)) return undefined;
    const document = await this.#aside.event(named(room.key, eventId));
    if (document === undefined) return undefined;
    const row = eventRow(document);
    return { row, event: eventOf(row) };
  }

  async message(room: RoomRef, index: number): Promise<MessageRow | undefined> {
    const key = numbered(room.key, index);
    const row = (await this.#collections.messages.findOne({ _id: key })) ?? undefined;
    if (!this.#aside.concerns(room)) return row;
    return newerMessage(row, await this.#aside.one("messages", key));
  }

  async messages(room: RoomRef, range: MessageRange): Promise<readonly MessageRow[]> {
    const backward = "beforeIndex" in range;
    const bound = backward
      ? { $lt: numbered(room.key, Math.max(range.beforeIndex, 0)) }
      : { $gt: numbered(room.key, range.afterIndex) };
    const rows = await this.#collections.messages
      .find({ _id: { ...within(room.key), ...bound } })
      .sort({ _id: backward ? -1 : 1 })
      .limit(range.limit)
      .toArray();
    if (!this.#aside.concerns(room)) return backward ? rows.reverse() : rows;
    const byKey = new Map(rows.map((row) => [row._id, row]));
    const from = backward ? 0 : range.afterIndex + 1;
    const to = backward ? Math.max(range.beforeIndex, 0) - 1 : LAST_INDEX;
    let count = 0;
    if (from <= to) {
      for await (const document of this.#aside.range(
        "messages",
        numbered(room.key, from),
        numbered(room.key, to),
        backward,
      )) {
        // What was set aside of a message that is stored itself lies beyond the page where the message does.
        const row = newerMessage(byKey.get(document.key) ?? (await this.#stored(document)), document);
        if (row !== undefined) byKey.set(document.key, row);
        if (++count >= range.limit) break;
      }
    }
    const keys = [...byKey.keys()].sort();
    const page = backward ? keys.slice(-range.limit) : keys.slice(0, range.limit);
    return page.flatMap((key) => byKey.get(key) ?? []);
  }

  /** The events that created these messages, by seq. */
  async created(room: RoomRef, messages: readonly MessageRow[]): Promise<ReadonlyMap<number, EventRow>> {
    const ids = messages.map(({ created }) => numbered(room.key, created));
    const rows = await this.#collections.events.find({ _id: { $in: ids } }).toArray();
    const bySeq = new Map(rows.map((row) => [row.seq, row]));
    if (bySeq.size === ids.length || !this.#aside.concerns(room)) return bySeq;
    for (const { created } of messages) {
      if (bySeq.has(created)) continue;
      const document = await this.#aside.one("events", numbered(room.key, created));
      if (document !== undefined) bySeq.set(created, eventRow(document));
    }
    return bySeq;
  }

  async #hasNewer(key: string, seq: number): Promise<boolean> {
    return (await this.#collections.members.countDocuments({ _id: key, seq: { $gte: seq } })) > 0;
  }

  async #stored({ key }: AsideDocument): Promise<MessageRow | undefined> {
    return (await this.#collections.messages.findOne({ _id: key })) ?? undefined;
  }
}

export function eventOf({ seq, tag, event }: EventRow): EncodedEvent {
  return new EncodedEvent(seq, tag, bytesOf(event));
}

function eventRow({ key, seq, row, bytes }: AsideDocument): EventRow {
  return {
    _id: key,
    seq,
    tag: numberIn(row, "tag"),
    id: `${row.id}`,
    index: numberIn(row, "index"),
    at: numberIn(row, "at"),
    event: binary(bytes ?? new Uint8Array()),
  };
}

/** A message as it is stored, with what was set aside of it where that is newer. Undefined: neither says how it began. */
function newerMessage(stored: MessageRow | undefined, aside: AsideDocument | undefined): MessageRow | undefined {
  if (aside === undefined || (stored !== undefined && stored.seq >= aside.seq)) return stored;
  const { row, bytes, key, seq } = aside;
  if (stored === undefined && row.created === undefined) return undefined;
  return {
    _id: key,
    created: stored?.created ?? numberIn(row, "created"),
    messageId: stored?.messageId ?? `${row.messageId}`,
    by: stored?.by ?? `${row.by}`,
    seq,
    ...(bytes && { doc: binary(bytes) }),
  };
}

function numberIn(row: AsideDocument["row"], name: string): number {
  const value = row[name];
  return typeof value === "number" ? value : 0;
}

/** Both by seq; one that is in both counts as it is stored. */
function merged(
  stored: readonly EncodedEvent[],
  aside: readonly EncodedEvent[],
  limit: number,
  maxBytes: number,
): readonly EncodedEvent[] {
  const bySeq = new Map([...aside, ...stored].map((event) => [event.seq, event]));
  const page: EncodedEvent[] = [];
  let bytes = 0;
  for (const event of [...bySeq.values()].sort((one, other) => one.seq - other.seq)) {
    if (page.length >= limit || bytes >= maxBytes) break;
    page.push(event);
    bytes += event.bytes.length;
  }
  return page;
}
