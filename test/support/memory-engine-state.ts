// The durable state of the memory engine, in a form that structuredClone copies, and what an archive change does to it.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  type MarkerDocument,
  MarkerDocumentSchema,
  MemberDocumentSchema,
  MessageDocumentSchema,
  RoomDocumentSchema,
} from "../../src/gen/trunkline/store/v1/documents_pb.js";
import type { ArchiveChanges, IdleLook } from "../../src/ports/archive.js";
import type { EncodedEvent } from "../../src/ports/encoded-event.js";
import type { RoomRef } from "../../src/ports/room-ref.js";

export interface StoredEvent {
  readonly seq: number;
  readonly tag: number;
  readonly bytes: Uint8Array;
  readonly eventId: string;
  readonly messageIndex: number;
  readonly expiresAtMs: number | undefined;
}

/** Documents are kept as bytes, so that nobody changes one by holding on to it. */
export interface StoredDocument {
  readonly appliedSeq: number;
  readonly bytes: Uint8Array;
}

export interface RoomState {
  document: StoredDocument | undefined;
  readonly members: Map<string, StoredDocument>;
  readonly events: Map<number, StoredEvent>;
  readonly seqs: Map<string, number>;
  /** By message index: the seq of the creating event. */
  readonly created: Map<number, number>;
  readonly messages: Map<number, StoredDocument>;
  readonly markers: Map<string, StoredDocument>;
  /** How far it was purged: the last seq, and the last message index. */
  purgedSeq: number;
  purgedIndex: number;
  dismissed: boolean;
}

/** Plain, so that it survives structuredClone. A void record has no event; one that was purged is never read. */
export interface LogEntry {
  readonly offset: number;
  readonly tenantId: string;
  readonly roomId: string;
  readonly event: { readonly seq: number; readonly tag: number; readonly bytes: Uint8Array } | undefined;
  readonly purged?: boolean;
}

export interface ShardState {
  readonly entries: LogEntry[];
  /** What stood before it is gone because of its age. */
  begins: number;
  end: number;
  archived: number;
  /** Counts `open`: an append begun under an older one is displaced. */
  epoch: number;
  /** Where the log ended when it was opened last. */
  openedAt: number;
}

/** What is parked, as bytes, and its term. */
export interface StoredParked {
  readonly term: number;
  /** Which write of the term's owner has parked it; 0: it was parked before the term began. */
  readonly write: number;
  readonly bytes: Uint8Array;
}

/** Documents as bytes, each table by outlet or room and then by what is within. */
export interface OutletState {
  readonly parked: Map<string, Map<string, StoredParked>>;
  readonly letters: Map<string, Map<string, Uint8Array>>;
  readonly retries: Map<string, Set<string>>;
  readonly bursts: Map<string, Map<string, Uint8Array>>;
}

export interface MemoryState {
  /** One for each incarnation, with where each shard's log ended when it began. */
  readonly eras: { readonly id: string; readonly ends: readonly number[] }[];
  readonly shards: readonly ShardState[];
  readonly rooms: Map<string, RoomState>;
  /** `when/tenant/room`: when to see whether the room is idle. */
  readonly idleLooks: Set<string>;
  /** By inbox and room: indexes of messages. */
  readonly hidden: Map<string, Set<number>>;
  /** `tenant/user` of those whose reading is hidden. */
  readonly hiddenReading: Set<string>;
  /** By shard and follower. */
  readonly followed: Map<string, number>;
  /** By shard and follower: the latest term. */
  readonly terms: Map<string, number>;
  /** Documents as bytes, by tenant/user and device. */
  readonly devices: Map<string, Map<string, Uint8Array>>;
  /** Documents as bytes, by tenant/user. */
  readonly lastSeen: Map<string, Uint8Array>;
  readonly outlets: OutletState;
}

export function emptyState(shards: number): MemoryState {
  return {
    eras: [],
    shards: Array.from({ length: shards }, () => ({
      entries: [],
      begins: 0,
      end: 0,
      archived: 0,
      epoch: 0,
      openedAt: 0,
    })),
    rooms: new Map(),
    idleLooks: new Set(),
    hidden: new Map(),
    hiddenReading: new Set(),
    followed: new Map(),
    terms: new Map(),
    devices: new Map(),
    lastSeen: new Map(),
    outlets: { parked: new Map(), letters: new Map(), retries: new Map(), bursts: new Map() },
  };
}

function roomOf(state: MemoryState, room: RoomRef): RoomState {
  let found = state.rooms.get(room.key);
  if (found === undefined) {
    found = {
      document: undefined,
      members: new Map(),
      events: new Map(),
      seqs: new Map(),
      created: new Map(),
      messages: new Map(),
      markers: new Map(),
      purgedSeq: 0,
      purgedIndex: 0,
      dismissed: false,
    };
    state.rooms.set(room.key, found);
  }
  return found;
}

/** A room's events by seq: they may have been written in another order. */
export function eventsOf(room: RoomState): readonly StoredEvent[] {
  return [...room.events.values()].sort((a, b) => a.seq - b.seq);
}

/** Applies changes as `Archive.apply` states it: idempotent, documents only forward. */
export function applyChanges(state: MemoryState, changes: ArchiveChanges): void {
  for (const { room, event, eventId, messageIndex, expiresAtMs } of changes.events) {
    const kept = roomOf(state, room);
    if (kept.events.has(event.seq) || event.seq <= kept.purgedSeq) continue;
    kept.events.set(event.seq, {
      seq: event.seq,
      tag: event.tag,
      bytes: event.bytes.slice(),
      eventId,
      messageIndex,
      expiresAtMs,
    });
    kept.seqs.set(eventId, event.seq);
    if (messageIndex > 0) kept.created.set(messageIndex, event.seq);
  }
  for (const { room, event } of changes.scrubs) scrub(state, room, event);
  for (const { inbox, roomId, messageIndex } of changes.hidden) {
    const room = state.rooms.get(`${inbox.tenantId}/${roomId}`);
    if (messageIndex <= (room?.purgedIndex ?? 0) || room?.dismissed === true) continue;
    const key = hiddenKey(inbox, roomId);
    state.hidden.set(key, (state.hidden.get(key) ?? new Set()).add(messageIndex));
  }
  for (const look of changes.idleLooks) state.idleLooks.add(idleLookKey(look));
  for (const { room, document } of changes.rooms) {
    const kept = roomOf(state, room);
    kept.document = newer(kept.document, document.appliedSeq, () => toBinary(RoomDocumentSchema, document));
  }
  for (const { room, document } of changes.members) {
    const { members, dismissed } = roomOf(state, room);
    if (dismissed) continue;
    const userId = document.member?.userId ?? "";
    members.set(
      userId,
      newer(members.get(userId), document.appliedSeq, () => toBinary(MemberDocumentSchema, document)),
    );
  }
  for (const { room, messageIndex, document } of changes.messages) {
    const { messages, events } = roomOf(state, room);
    if (!events.has(document.message?.position?.seq ?? 0)) continue;
    messages.set(
      messageIndex,
      newer(messages.get(messageIndex), document.appliedSeq, () => toBinary(MessageDocumentSchema, document)),
    );
  }
}

export function idleLookKey({ atMs, room }: IdleLook): string {
  return `${atMs}/${room.key}`;
}

export function hiddenKey(inbox: RoomRef, roomId: string): string {
  return `${inbox.key}/${roomId}`;
}

/** Stores a marker, unless a newer one is there or the room was dismissed. */
export function putMarker(state: MemoryState, room: RoomRef, document: MarkerDocument): void {
  const { markers, dismissed } = roomOf(state, room);
  if (dismissed) return;
  const { userId, revision } = document;
  markers.set(
    userId,
    newer(markers.get(userId), revision, () => toBinary(MarkerDocumentSchema, document)),
  );
}

/** Takes an event's content away, also in the log. */
function scrub(state: MemoryState, room: RoomRef, { seq, bytes }: EncodedEvent): void {
  const events = state.rooms.get(room.key)?.events;
  const stored = events?.get(seq);
  if (stored === undefined) return;
  events?.set(seq, { ...stored, bytes: bytes.slice(), expiresAtMs: undefined });
  for (const { entries } of state.shards) {
    for (const [index, entry] of entries.entries()) {
      if (entry.event?.seq !== seq || `${entry.tenantId}/${entry.roomId}` !== room.key) continue;
      entries[index] = { ...entry, event: { ...entry.event, bytes: bytes.slice() } };
    }
  }
}

function newer(kept: StoredDocument | undefined, appliedSeq: number, encode: () => Uint8Array): StoredDocument {
  if (kept !== undefined && kept.appliedSeq >= appliedSeq) return kept;
  return { appliedSeq, bytes: encode() };
}

/** Forgets whoever is or was a member, and how far they have read. */
export function dismissMembers(state: MemoryState, room: RoomRef): void {
  const kept = roomOf(state, room);
  kept.dismissed = true;
  kept.members.clear();
  kept.markers.clear();
}

/** Removes events and messages up to seq `through`, also from the log, and whoever has hidden them. */
export function purgeRoom(state: MemoryState, room: RoomRef, through: number): void {
  const kept = roomOf(state, room);
  kept.purgedSeq = Math.max(kept.purgedSeq, through);
  for (const event of [...kept.events.values()]) {
    if (event.seq > through) continue;
    kept.events.delete(event.seq);
    kept.seqs.delete(event.eventId);
    if (event.messageIndex > 0) {
      kept.purgedIndex = Math.max(kept.purgedIndex, event.messageIndex);
      kept.created.delete(event.messageIndex);
      kept.messages.delete(event.messageIndex);
    }
  }
  for (const [index, stored] of [...kept.messages]) {
    const seq = fromBinary(MessageDocumentSchema, stored.bytes).message?.position?.seq ?? 0;
    if (seq > 0 && seq <= through) kept.messages.delete(index);
  }
  for (const [key, indexes] of state.hidden) {
    if (!key.startsWith(`${room.tenantId}/`) || !key.endsWith(`/${room.roomId}`)) continue;
    for (const index of indexes) if (index <= kept.purgedIndex) indexes.delete(index);
  }
  for (const { entries } of state.shards) {
    for (const [index, entry] of entries.entries()) {
      const { event, tenantId, roomId } = entry;
      if (event === undefined || event.seq > through || roomId !== room.roomId || tenantId !== room.tenantId) continue;
      entries[index] = { ...entry, purged: true };
    }
  }
}
