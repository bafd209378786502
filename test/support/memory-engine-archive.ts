// The memory engine's archive.

import { fromBinary } from "@bufbuild/protobuf";
import {
  type MarkerDocument,
  MarkerDocumentSchema,
  type MemberDocument,
  MemberDocumentSchema,
  MessageDocumentSchema,
  type RoomDocument,
  RoomDocumentSchema,
} from "../../src/gen/trunkline/store/v1/documents_pb.js";
import { RoomKind, RoomStatus } from "../../src/gen/trunkline/v1/message_pb.js";
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
} from "../../src/ports/archive.js";
import { EncodedEvent } from "../../src/ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import { type Awaitable, type RoomRef, roomRef } from "../../src/ports/room-ref.js";
import { inShards } from "../../src/ports/shard.js";
import { type Term, TermOver } from "../../src/ports/term.js";
import type { DeviceChange, LastSeenChange } from "../../src/ports/user-archive.js";
import type { Life, MemoryEngine } from "./memory-engine.js";
import { never } from "./memory-engine-log.js";
import {
  applyChanges,
  dismissMembers,
  eventsOf,
  hiddenKey,
  idleLookKey,
  purgeRoom,
  putMarker,
  type RoomState,
  type StoredEvent,
} from "./memory-engine-state.js";
import * as users from "./memory-engine-users.js";

export class MemoryArchive implements Archive {
  readonly #engine: MemoryEngine;
  readonly #life: Life;

  constructor(engine: MemoryEngine, life: Life) {
    this.#engine = engine;
    this.#life = life;
  }

  room(room: RoomRef): Awaitable<RoomDocument | undefined> {
    return this.#answer(() => {
      const stored = this.#room(room)?.document;
      return stored && fromBinary(RoomDocumentSchema, stored.bytes);
    });
  }

  member(room: RoomRef, userId: string): Awaitable<MemberDocument | undefined> {
    return this.#answer(() => {
      const stored = this.#room(room)?.members.get(userId);
      return stored && fromBinary(MemberDocumentSchema, stored.bytes);
    });
  }

  members(room: RoomRef, page: Page): Awaitable<readonly MemberDocument[]> {
    return this.#answer(() => {
      const kept = this.#room(room);
      const ids = kept === undefined ? [] : [...kept.members.keys()].filter((id) => isPresent(kept, id));
      return pageOf(ids, page).flatMap((id) => {
        const stored = kept?.members.get(id);
        return stored === undefined ? [] : [fromBinary(MemberDocumentSchema, stored.bytes)];
      });
    });
  }

  subRooms(root: RoomRef, page: Page): Awaitable<readonly string[]> {
    return this.#answer(() => {
      const ids: string[] = [];
      for (const [key, { document }] of this.#engine.state.rooms) {
        const room = document && fromBinary(RoomDocumentSchema, document.bytes).room;
        if (room === undefined || room.status === RoomStatus.DELETED) continue;
        if (room.parentId === root.roomId && key === `${root.tenantId}/${room.roomId}`) ids.push(room.roomId);
      }
      return pageOf(ids, page);
    });
  }

  countRooms(tenantId: string): Awaitable<number> {
    return this.#answer(() => {
      let count = 0;
      for (const [key, { document }] of this.#engine.state.rooms) {
        const room = document && key.startsWith(`${tenantId}/`) && fromBinary(RoomDocumentSchema, document.bytes).room;
        if (room && room.kind !== RoomKind.INBOX && room.status !== RoomStatus.DELETED) count += 1;
      }
      return count;
    });
  }

  roomsOf(tenantId: string, userId: string, page: Page): Awaitable<readonly string[]> {
    return this.#answer(() => {
      const prefix = `${tenantId}/`;
      const ids = [...this.#engine.state.rooms]
        .filter(([key, kept]) => key.startsWith(prefix) && isPresent(kept, userId))
        .map(([key]) => key.slice(prefix.length));
      return pageOf(ids, page);
    });
  }

  events(room: RoomRef, range: EventRange): Awaitable<readonly EncodedEvent[]> {
    return this.#answer(() => {
      const events: EncodedEvent[] = [];
      let bytes = 0;
      const kept = this.#room(room);
      for (const event of kept === undefined ? [] : eventsOf(kept)) {
        if (event.seq < range.from || event.seq > range.to) continue;
        if (events.length >= range.limit || bytes >= range.maxBytes) break;
        events.push(encodedOf(event));
        bytes += event.bytes.length;
      }
      return events;
    });
  }

  seqOf(room: RoomRef, eventId: string): Awaitable<number | undefined> {
    return this.#answer(() => this.#room(room)?.seqs.get(eventId));
  }

  message(room: RoomRef, messageId: string): Awaitable<StoredMessage | undefined> {
    return this.#answer(() => {
      const kept = this.#room(room);
      const created = kept?.events.get(kept.seqs.get(messageId) ?? 0);
      return kept === undefined || created === undefined || created.messageIndex === 0
        ? undefined
        : messageOf(kept, created.messageIndex);
    });
  }

  expired(shards: readonly number[], beforeMs: number, limit: number): Awaitable<readonly ExpiredMessage[]> {
    return this.#answer(() => {
      const isThere = inShards(shards, this.#engine.shards);
      const found: (ExpiredMessage & { readonly atMs: number })[] = [];
      for (const [key, { events }] of this.#engine.state.rooms) {
        if (!isThere(key)) continue;
        for (const { eventId, expiresAtMs } of events.values()) {
          if (expiresAtMs === undefined || expiresAtMs >= beforeMs) continue;
          found.push({ room: refOf(key), messageId: eventId, atMs: expiresAtMs });
        }
      }
      return found.sort((a, b) => a.atMs - b.atMs).slice(0, limit);
    });
  }

  idleLooks(shards: readonly number[], beforeMs: number, limit: number): Awaitable<readonly IdleLook[]> {
    return this.#answer(() => {
      const isThere = inShards(shards, this.#engine.shards);
      const all = [...this.#engine.state.idleLooks].map((key) => {
        const slash = key.indexOf("/");
        return { room: refOf(key.slice(slash + 1)), atMs: Number(key.slice(0, slash)) };
      });
      const due = all.filter(({ room, atMs }) => atMs < beforeMs && isThere(room.key));
      return due.sort((a, b) => a.atMs - b.atMs).slice(0, limit);
    });
  }

  async moveIdleLooks(from: readonly IdleLook[], to: readonly IdleLook[]): Promise<void> {
    await Promise.resolve();
    if (this.#dead) return never();
    this.#assertUp();
    for (const look of from) this.#engine.state.idleLooks.delete(idleLookKey(look));
    for (const look of to) this.#engine.state.idleLooks.add(idleLookKey(look));
  }

  rooms(page: Page): Awaitable<readonly RoomDocument[]> {
    return this.#answer(() =>
      pageOf([...this.#engine.state.rooms.keys()], page).flatMap((key) => {
        const stored = this.#engine.state.rooms.get(key)?.document;
        return stored === undefined ? [] : [fromBinary(RoomDocumentSchema, stored.bytes)];
      }),
    );
  }

  messages(room: RoomRef, range: MessageRange): Awaitable<readonly StoredMessage[]> {
    return this.#answer(() => {
      const kept = this.#room(room);
      if (kept === undefined) return [];
      const all = [...new Set([...kept.created.keys(), ...kept.messages.keys()])].sort((a, b) => a - b);
      const wanted =
        "beforeIndex" in range
          ? all.filter((index) => index < range.beforeIndex).slice(-range.limit)
          : all.filter((index) => index > range.afterIndex).slice(0, range.limit);
      return (range.limit > 0 ? wanted : []).map((index) => messageOf(kept, index));
    });
  }

  hidden(inbox: RoomRef, roomId: string, from: number, to: number): Awaitable<readonly number[]> {
    return this.#answer(() => {
      const indexes = [...(this.#engine.state.hidden.get(hiddenKey(inbox, roomId)) ?? [])];
      return indexes.filter((index) => index >= from && index <= to).sort((a, b) => a - b);
    });
  }

  async apply(shard: number, end: number, changes: ArchiveChanges): Promise<void> {
    await Promise.resolve();
    if (this.#dead) return never();
    this.#assertUp();
    applyChanges(this.#engine.state, changes);
    const state = this.#engine.state.shards[shard];
    if (state !== undefined) state.archived = Math.max(state.archived, end);
  }

  archived(shard: number): Awaitable<number> {
    return this.#answer(() => this.#engine.state.shards[shard]?.archived ?? 0);
  }

  followed(follower: string, shard: number): Awaitable<number | undefined> {
    return this.#answer(() => this.#engine.state.followed.get(`${shard}/${follower}`));
  }

  async beginTerm(follower: string, shard: number, end: number): Promise<Term> {
    await Promise.resolve();
    if (this.#dead) return never();
    this.#assertUp();
    const { followed, terms } = this.#engine.state;
    const key = `${shard}/${follower}`;
    const number = (terms.get(key) ?? 0) + 1;
    const at = followed.get(key) ?? end;
    terms.set(key, number);
    followed.set(key, at);
    return { number, at };
  }

  async follow(follower: string, shard: number, offset: number, term?: number): Promise<void> {
    await Promise.resolve();
    if (this.#dead) return never();
    this.#assertUp();
    const { followed, terms } = this.#engine.state;
    const key = `${shard}/${follower}`;
    if (term !== undefined && terms.get(key) !== term) throw new TermOver(`${follower} in ${shard}`, term);
    followed.set(key, Math.max(followed.get(key) ?? 0, offset));
  }

  marker(room: RoomRef, userId: string): Awaitable<MarkerDocument | undefined> {
    return this.#answer(() => {
      const stored = this.#room(room)?.markers.get(userId);
      return stored && fromBinary(MarkerDocumentSchema, stored.bytes);
    });
  }

  markedBy(room: RoomRef, page: Page): Awaitable<readonly string[]> {
    return this.#answer(() => pageOf([...(this.#room(room)?.markers.keys() ?? [])], page));
  }

  async putMarkers(markers: readonly MarkerChange[]): Promise<void> {
    await Promise.resolve();
    if (this.#dead) return never();
    this.#assertUp();
    for (const { room, document } of markers) putMarker(this.#engine.state, room, document);
  }

  sentBy(room: RoomRef, userId: string, afterIndex: number, throughIndex: number): Awaitable<number> {
    return this.#answer(() => {
      const kept = this.#room(room);
      let count = 0;
      for (const [index, seq] of kept?.created ?? []) {
        const event = index > afterIndex && index <= throughIndex ? kept?.events.get(seq) : undefined;
        if (event !== undefined && encodedOf(event).event.actor?.userId === userId) count += 1;
      }
      return count;
    });
  }

  readingHidden(tenantId: string, userId: string): Awaitable<boolean> {
    return this.#answer(() => this.#engine.state.hiddenReading.has(`${tenantId}/${userId}`));
  }

  async hideReading(tenantId: string, userId: string, hidden: boolean): Promise<void> {
    await Promise.resolve();
    if (this.#dead) return never();
    this.#assertUp();
    if (hidden) this.#engine.state.hiddenReading.add(`${tenantId}/${userId}`);
    else this.#engine.state.hiddenReading.delete(`${tenantId}/${userId}`);
  }

  async purge(room: RoomRef, through: number): Promise<void> {
    await Promise.resolve();
    if (this.#dead) return never();
    this.#assertUp();
    purgeRoom(this.#engine.state, room, through);
  }

  async dismiss(room: RoomRef): Promise<void> {
    await Promise.resolve();
    if (this.#dead) return never();
    this.#assertUp();
    dismissMembers(this.#engine.state, room);
  }

  devices(tenantId: string, userId: string) {
    return this.#answer(() => users.devicesOf(this.#engine.state, tenantId, userId));
  }

  async putDevices(changes: readonly DeviceChange[]): Promise<void> {
    await Promise.resolve();
    this.#assertAlive();
    this.#assertUp();
    users.putDevices(this.#engine.state, changes);
  }

  lastSeen(tenantId: string, userIds: readonly string[]) {
    return this.#answer(() => userIds.map((userId) => users.lastSeenOf(this.#engine.state, tenantId, userId)));
  }

  async putLastSeen(changes: readonly LastSeenChange[]): Promise<void> {
    await Promise.resolve();
    this.#assertAlive();
    this.#assertUp();
    users.putLastSeen(this.#engine.state, changes);
  }

  /** Refuses, where the others do not answer: a core of a dead process that a test stops all the same waits for these. */
  #assertAlive(): void {
    if (this.#dead) throw new TrunklineError(ErrorCode.UNAVAILABLE, "the process is dead");
  }

  get #dead(): boolean {
    return this.#life.dead;
  }

  #room(room: RoomRef): RoomState | undefined {
    return this.#engine.state.rooms.get(room.key);
  }

  #assertUp(): void {
    if (this.#engine.archiveDown) throw new TrunklineError(ErrorCode.UNAVAILABLE, "the archive is not available");
  }

  #answer<T>(read: () => T): Awaitable<T> {
    if (this.#dead) return never();
    if (!this.#engine.answersLater) {
      this.#assertUp();
      return read();
    }
    return Promise.resolve().then(() => {
      if (this.#dead) return never();
      this.#assertUp();
      return read();
    });
  }
}

function refOf(key: string): RoomRef {
  const slash = key.indexOf("/");
  return roomRef(key.slice(0, slash), key.slice(slash + 1));
}

function isPresent(kept: RoomState, userId: string): boolean {
  const stored = kept.members.get(userId);
  return stored !== undefined && !fromBinary(MemberDocumentSchema, stored.bytes).left;
}

function pageOf(ids: readonly string[], page: Page): readonly string[] {
  return ids
    .filter((id) => id > page.after)
    .sort((a, b) => (a < b ? -1 : 1))
    .slice(0, page.limit);
}

function encodedOf(event: StoredEvent): EncodedEvent {
  return new EncodedEvent(event.seq, event.tag, event.bytes.slice());
}

function messageOf(kept: RoomState, messageIndex: number): StoredMessage {
  const event = kept.events.get(kept.created.get(messageIndex) ?? 0);
  const document = kept.messages.get(messageIndex);
  return {
    messageIndex,
    created: event && encodedOf(event),
    document: document && fromBinary(MessageDocumentSchema, document.bytes),
  };
}
