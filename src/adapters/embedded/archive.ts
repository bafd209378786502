// The embedded archive: answers at once, from the tables.

import { fromBinary } from "@bufbuild/protobuf";
import {
  type MarkerDocument,
  MarkerDocumentSchema,
  type MemberDocument,
  MemberDocumentSchema,
  MessageDocumentSchema,
  type RoomDocument,
  RoomDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import { RoomKind, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type {
  Archive,
  ArchiveChanges,
  EventRange,
  ExpiredMessage,
  IdleLook,
  MarkerChange,
  MessageRange,
  Page,
  StoredMessage,
} from "../../ports/archive.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { inShards } from "../../ports/shard.js";
import { type Term, TermOver } from "../../ports/term.js";
import type { DeviceChange, LastSeenChange } from "../../ports/user-archive.js";
import { newerOnly, pushDocuments, pushEvent, pushHidden, pushIdleLooks, pushScrubs } from "./changes.js";
import { type GroupCommit, reading, type Write } from "./group-commit.js";
import {
  after,
  everything,
  expirationOf,
  followerKey,
  lastPart,
  lastUint32,
  namedKey,
  numberedKey,
  roomKey,
  shardKey,
  tenantPrefix,
  timeKey,
  timeOf,
  userKey,
} from "./keys.js";
import { MarkerTable } from "./markers.js";
import {
  documentOf,
  readEncodedEvent,
  readEvent,
  readMessage,
  readOffset,
  readShard,
  readUint32,
  writeOffset,
  writeShard,
} from "./records.js";
import { dismissRoom, purgeRoom } from "./room-removal.js";
import type { Table } from "./table.js";
import type { Tables } from "./tables.js";
import { EmbeddedUserArchive } from "./user-archive.js";

/** Rooms that are looked at before others get their turn. */
const COUNTED_AT_ONCE = 256;

export class EmbeddedArchive implements Archive {
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  readonly #markers: MarkerTable;
  readonly #users: EmbeddedUserArchive;
  /** By follower and shard: how far it was said to be. */
  readonly #farthest = new Map<string, number>();
  /** By follower and shard: the latest term. One process has the store, so that terms need not outlive it. */
  readonly #terms = new Map<string, number>();
  /** One change after the other: each looks at what the one before has written. */
  #changed: Promise<void> = Promise.resolve();

  constructor(tables: Tables, commit: GroupCommit) {
    this.#tables = tables;
    this.#commit = commit;
    this.#markers = new MarkerTable(tables, commit);
    this.#users = new EmbeddedUserArchive(tables, commit);
  }

  room(room: RoomRef): RoomDocument | undefined {
    return reading(() => {
      const stored = this.#tables.rooms.getBinary(roomKey(room));
      return stored && fromBinary(RoomDocumentSchema, documentOf(stored));
    });
  }

  member(room: RoomRef, userId: string): MemberDocument | undefined {
    return reading(() => {
      const key = namedKey(roomKey(room), userId);
      const stored = this.#tables.members.getBinary(key) ?? this.#tables.formerMembers.getBinary(key);
      return stored && fromBinary(MemberDocumentSchema, documentOf(stored));
    });
  }

  members(room: RoomRef, page: Page): readonly MemberDocument[] {
    return reading(() => {
      const entries = this.#tables.members.getRange(pageRange(roomKey(room), page));
      return Array.from(entries, ({ value }) => fromBinary(MemberDocumentSchema, documentOf(value)));
    });
  }

  subRooms(root: RoomRef, page: Page): readonly string[] {
    return reading(() => {
      const prefix = roomKey(root);
      return Array.from(this.#tables.subRooms.getKeys(pageRange(prefix, page)), (key) => lastPart(key, prefix));
    });
  }

  async countRooms(tenantId: string): Promise<number> {
    const prefix = tenantPrefix(tenantId);
    let count = 0;
    let start = prefix;
    for (;;) {
      const rooms = reading(() =>
        Array.from(this.#tables.rooms.getRange({ start, end: after(prefix), limit: COUNTED_AT_ONCE })),
      );
      for (const { value } of rooms) {
        const { room } = fromBinary(RoomDocumentSchema, documentOf(value));
        if (room !== undefined && room.kind !== RoomKind.INBOX && room.status !== RoomStatus.DELETED) count++;
      }
      const last = rooms.at(-1);
      if (last === undefined || rooms.length < COUNTED_AT_ONCE) return count;
      start = `${last.key}\0`;
      // A tenant may have very many: nobody else waits for all of them.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  roomsOf(tenantId: string, userId: string, page: Page): readonly string[] {
    return reading(() => {
      const prefix = userKey(tenantId, userId);
      return Array.from(this.#tables.memberships.getKeys(pageRange(prefix, page)), (key) => lastPart(key, prefix));
    });
  }

  events(room: RoomRef, { from, to, limit, maxBytes }: EventRange): readonly EncodedEvent[] {
    return reading(() => {
      const events: EncodedEvent[] = [];
      if (from > to || limit <= 0) return events;
      const key = roomKey(room);
      let bytes = 0;
      const range = { start: numberedKey(key, from), end: after(numberedKey(key, to)), limit };
      for (const { key, value } of this.#tables.events.getRange(range)) {
        const event = readEncodedEvent(lastUint32(key), value);
        events.push(event);
        bytes += event.bytes.length;
        if (bytes >= maxBytes) break;
      }
      return events;
    });
  }

  seqOf(room: RoomRef, eventId: string): number | undefined {
    return reading(() => {
      const stored = this.#tables.ids.getBinary(namedKey(roomKey(room), eventId));
      return stored && readUint32(stored);
    });
  }

  message(room: RoomRef, messageId: string): StoredMessage | undefined {
    return reading(() => {
      const key = roomKey(room);
      const seq = this.#tables.ids.getBinary(namedKey(key, messageId));
      const created = seq && this.#tables.events.getBinary(numberedKey(key, readUint32(seq)));
      const { messageIndex } = created ? readEvent(created) : { messageIndex: 0 };
      const stored = messageIndex > 0 && this.#tables.messages.getBinary(numberedKey(key, messageIndex));
      return stored ? this.#message(key, messageIndex, stored) : undefined;
    });
  }

  expired(shards: readonly number[], beforeMs: number, limit: number): readonly ExpiredMessage[] {
    return this.#due(this.#tables.expirations, shards, beforeMs, limit, (key) => {
      const { room, eventId } = expirationOf(key);
      return { room: refOf(room), messageId: eventId };
    });
  }

  idleLooks(shards: readonly number[], beforeMs: number, limit: number): readonly IdleLook[] {
    return this.#due(this.#tables.idleLooks, shards, beforeMs, limit, (key) => {
      return { room: refOf(lastPart(key, timeKey(0))), atMs: timeOf(key) };
    });
  }

  /** What a table by time holds of before then. This engine's owner has all shards but for moments: hardly ever is anything passed over. */
  #due<T extends { readonly room: RoomRef }>(
    table: Table,
    shards: readonly number[],
    beforeMs: number,
    limit: number,
    read: (key: string) => T,
  ): readonly T[] {
    return reading(() => {
      const isThere = inShards(shards, this.#tables.shardCount);
      const due: T[] = [];
      for (const key of table.getKeys({ start: timeKey(0), end: timeKey(beforeMs) })) {
        if (due.length >= limit) break;
        const each = read(key);
        if (isThere(each.room.key)) due.push(each);
      }
      return due;
    });
  }

  async moveIdleLooks(from: readonly IdleLook[], to: readonly IdleLook[]): Promise<void> {
    const writes: Write[] = [];
    pushIdleLooks(writes, this.#tables, from, to);
    if (writes.length > 0) await this.#commit.commit(writes);
  }

  rooms(page: Page): readonly RoomDocument[] {
    return reading(() => {
      const start = page.after === "" ? everything().start : `${namedKey("", page.after)}\0`;
      const entries = this.#tables.rooms.getRange({ start, limit: Math.max(0, page.limit) });
      return Array.from(entries, ({ value }) => fromBinary(RoomDocumentSchema, documentOf(value)));
    });
  }

  messages(room: RoomRef, range: MessageRange): readonly StoredMessage[] {
    return reading(() => {
      const key = roomKey(room);
      const found = Array.from(this.#tables.messages.getRange(messageRange(key, range)), (entry) =>
        this.#message(key, lastUint32(entry.key), entry.value),
      );
      return "beforeIndex" in range ? found.reverse() : found;
    });
  }

  hidden(inbox: RoomRef, roomId: string, from: number, to: number): readonly number[] {
    return reading(() => {
      if (from > to) return [];
      const key = namedKey(roomKey(inbox), roomId);
      const range = { start: numberedKey(key, from), end: after(numberedKey(key, to)) };
      return Array.from(this.#tables.hidden.getKeys(range), lastUint32);
    });
  }

  apply(shard: number, end: number, changes: ArchiveChanges): Promise<void> {
    return this.#inTurn(() => this.#apply(shard, end, changes));
  }

  archived(shard: number): number {
    return reading(() => readShard(this.#tables.shards.getBinary(shardKey(shard))).archived);
  }

  followed(follower: string, shard: number): number | undefined {
    return reading(() => {
      const stored = this.#tables.followers.getBinary(followerKey(follower, shard));
      return stored && readOffset(stored);
    });
  }

  async beginTerm(follower: string, shard: number, end: number): Promise<Term> {
    const key = followerKey(follower, shard);
    const number = (this.#terms.get(key) ?? 0) + 1;
    this.#terms.set(key, number);
    const at = this.#farthest.get(key) ?? this.followed(follower, shard);
    if (at === undefined) await this.follow(follower, shard, end);
    return { number, at: at ?? end };
  }

  async follow(follower: string, shard: number, offset: number, term?: number): Promise<void> {
    const key = followerKey(follower, shard);
    if (term !== undefined && term < (this.#terms.get(key) ?? 0)) throw new TermOver(`${follower} in ${shard}`, term);
    // Also of what is being written.
    const farthest = Math.max(this.#farthest.get(key) ?? this.followed(follower, shard) ?? 0, offset);
    this.#farthest.set(key, farthest);
    await this.#commit.commit([{ table: this.#tables.followers, key, value: writeOffset(farthest) }]);
  }

  marker(room: RoomRef, userId: string): MarkerDocument | undefined {
    return reading(() => {
      const stored = this.#tables.markers.getBinary(namedKey(roomKey(room), userId));
      return stored && fromBinary(MarkerDocumentSchema, documentOf(stored));
    });
  }

  markedBy(room: RoomRef, page: Page): readonly string[] {
    return reading(() => {
      const prefix = roomKey(room);
      return Array.from(this.#tables.markers.getKeys(pageRange(prefix, page)), (key) => lastPart(key, prefix));
    });
  }

  async putMarkers(markers: readonly MarkerChange[]): Promise<void> {
    await this.#markers.put(markers);
  }

  sentBy(room: RoomRef, userId: string, afterIndex: number, throughIndex: number): number {
    return reading(() => this.#markers.sentBy(room, userId, afterIndex, throughIndex));
  }

  readingHidden(tenantId: string, userId: string): boolean {
    return reading(() => this.#tables.hiddenReading.getBinary(userKey(tenantId, userId)) !== undefined);
  }

  async hideReading(tenantId: string, userId: string, hidden: boolean): Promise<void> {
    const value = hidden ? Buffer.from([1]) : undefined;
    await this.#commit.commit([{ table: this.#tables.hiddenReading, key: userKey(tenantId, userId), value }]);
  }

  devices(tenantId: string, userId: string) {
    return reading(() => this.#users.devices(tenantId, userId));
  }

  putDevices(changes: readonly DeviceChange[]): Promise<void> {
    return this.#users.putDevices(changes);
  }

  lastSeen(tenantId: string, userIds: readonly string[]) {
    return reading(() => this.#users.lastSeen(tenantId, userIds));
  }

  putLastSeen(changes: readonly LastSeenChange[]): Promise<void> {
    return this.#users.putLastSeen(changes);
  }

  purge(room: RoomRef, through: number): Promise<void> {
    return this.#inTurn(() => purgeRoom(this.#tables, this.#commit, room, through));
  }

  dismiss(room: RoomRef): Promise<void> {
    return this.#inTurn(() => dismissRoom(this.#tables, this.#commit, this.#markers, room));
  }

  #inTurn(change: () => Promise<void>): Promise<void> {
    const changed = this.#changed.then(change);
    this.#changed = changed.catch(() => {});
    return changed;
  }

  async #apply(shard: number, end: number, changes: ArchiveChanges): Promise<void> {
    const writes = reading(() => {
      const pushed: Write[] = [];
      const news = newerOnly(this.#tables, changes);
      for (const change of news.events) pushEvent(pushed, this.#tables, change, undefined);
      pushScrubs(pushed, this.#tables, news.scrubs);
      pushHidden(pushed, this.#tables, news.hidden);
      pushIdleLooks(pushed, this.#tables, [], news.idleLooks);
      pushDocuments(pushed, this.#tables, news);
      const known = readShard(this.#tables.shards.getBinary(shardKey(shard)));
      const value = writeShard({ end: known.end, archived: Math.max(known.archived, end) });
      pushed.push({ table: this.#tables.shards, key: shardKey(shard), value });
      return pushed;
    });
    await this.#commit.commit(writes);
  }

  #message(room: string, messageIndex: number, stored: Uint8Array): StoredMessage {
    const { createdSeq, document } = readMessage(stored);
    const created = this.#tables.events.getBinary(numberedKey(room, createdSeq));
    return {
      messageIndex,
      created: created && readEncodedEvent(createdSeq, created),
      document: document && fromBinary(MessageDocumentSchema, document),
    };
  }
}

function refOf(key: string): RoomRef {
  const slash = key.indexOf("/");
  return roomRef(key.slice(0, slash), key.slice(slash + 1));
}

function pageRange(prefix: string, page: Page): { start: string; end: string; limit: number } {
  // A key of the next id is greater than the last page's last key with any byte behind it.
  const start = page.after === "" ? prefix : `${namedKey(prefix, page.after)}\0`;
  return { start, end: after(prefix), limit: Math.max(0, page.limit) };
}

function messageRange(
  room: string,
  range: MessageRange,
): {
  start: string;
  end: string;
  limit: number;
  reverse?: boolean;
} {
  const limit = Math.max(0, range.limit);
  if ("afterIndex" in range) return { start: `${numberedKey(room, range.afterIndex)}\0`, end: after(room), limit };
  if (range.beforeIndex < 1) return { start: room, end: room, limit: 0 };
  return { start: numberedKey(room, range.beforeIndex - 1), end: room, limit, reverse: true };
}
