// What archive changes write, as entries of the tables. Pure but for looking at what is stored.

import { toBinary } from "@bufbuild/protobuf";
import {
  type MemberDocument,
  MemberDocumentSchema,
  MessageDocumentSchema,
  RoomDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import { type Room, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type {
  ArchiveChanges,
  EventChange,
  EventScrub,
  HiddenMessage,
  IdleLook,
  MessageChange,
} from "../../ports/archive.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { Write } from "./group-commit.js";
import { expirationKey, hiddenKey, hiderKey, idleLookKey, namedKey, numberedKey, roomKey, userKey } from "./keys.js";
import {
  appliedSeqOf,
  type LogPlace,
  readEvent,
  readMessage,
  writeDocument,
  writeEvent,
  writeMessage,
  writeUint32,
} from "./records.js";
import { expirationRemoval } from "./removal.js";
import { RemovedRooms } from "./removed.js";
import type { Table } from "./table.js";
import type { Tables } from "./tables.js";

const PRESENT = Buffer.from([1]);

/** The event, its id, and its message where it created one. */
export function pushEvent(writes: Write[], tables: Tables, change: EventChange, place: LogPlace | undefined): void {
  const { event, eventId, messageIndex, expiresAtMs } = change;
  const room = roomKey(change.room);
  const value = writeEvent({ tag: event.tag, messageIndex, place, eventId, bytes: event.bytes });
  writes.push({ table: tables.events, key: numberedKey(room, event.seq), value });
  writes.push({ table: tables.ids, key: namedKey(room, eventId), value: writeUint32(event.seq) });
  if (messageIndex === 0) return;
  const message = writeMessage({ createdSeq: event.seq, appliedSeq: 0, document: undefined });
  writes.push({ table: tables.messages, key: numberedKey(room, messageIndex), value: message });
  if (expiresAtMs === undefined) return;
  writes.push({ table: tables.expirations, key: expirationKey(expiresAtMs, room, eventId), value: PRESENT });
}

/** Events without what they said. `writes` holds those that are being stored with them. */
export function pushScrubs(writes: Write[], tables: Tables, scrubs: readonly EventScrub[]): void {
  for (const { room, event } of scrubs) {
    const prefix = roomKey(room);
    const key = numberedKey(prefix, event.seq);
    const underWay = writes.findLast((write) => write.table === tables.events && write.key === key);
    const stored = underWay?.value ?? tables.events.getBinary(key);
    if (stored === undefined) continue;
    const record = readEvent(stored);
    writes.push({ table: tables.events, key, value: writeEvent({ ...record, bytes: event.bytes }) });
    writes.push(...expirationRemoval(tables, prefix, record.eventId, record.bytes));
  }
}

/** Those of messages that were not removed. */
export function pushHidden(writes: Write[], tables: Tables, hidden: readonly HiddenMessage[]): void {
  const removed = new RemovedRooms(tables);
  for (const { inbox, roomId, messageIndex } of hidden) {
    const room = roomRef(inbox.tenantId, roomId);
    if (messageIndex <= removed.through(room).messageIndex || removed.isDismissed(room)) continue;
    writes.push({ table: tables.hidden, key: hiddenKey(inbox, roomId, messageIndex), value: PRESENT });
    writes.push({ table: tables.hiders, key: hiderKey(roomKey(room), messageIndex, inbox.roomId), value: PRESENT });
  }
}

export function pushIdleLooks(
  writes: Write[],
  tables: Tables,
  from: readonly IdleLook[],
  to: readonly IdleLook[],
): void {
  const keyOf = ({ atMs, room }: IdleLook): string => idleLookKey(atMs, roomKey(room));
  for (const look of from) writes.push({ table: tables.idleLooks, key: keyOf(look), value: undefined });
  for (const look of to) writes.push({ table: tables.idleLooks, key: keyOf(look), value: PRESENT });
}

/** Documents, as they are: the caller knows that they are newer than what is stored. */
export function pushDocuments(writes: Write[], tables: Tables, changes: ArchiveChanges): void {
  for (const { room, document } of changes.rooms) {
    const value = writeDocument(document.appliedSeq, toBinary(RoomDocumentSchema, document));
    writes.push({ table: tables.rooms, key: roomKey(room), value });
    if (document.room !== undefined && document.room.parentId !== "") pushSubRoom(writes, tables, room, document.room);
  }
  for (const { room, document } of changes.members) pushMember(writes, tables, room, document);
  for (const change of changes.messages) {
    const { room, messageIndex, document } = change;
    const createdSeq = createdSeqOf(tables, changes, change);
    // Its owner may still have had it in memory when it was forgotten here: it must not come back.
    if (!isKept(tables, changes, room, createdSeq)) continue;
    const value = writeMessage({
      createdSeq,
      appliedSeq: document.appliedSeq,
      document: toBinary(MessageDocumentSchema, document),
    });
    writes.push({ table: tables.messages, key: numberedKey(roomKey(room), messageIndex), value });
  }
}

function pushSubRoom(writes: Write[], tables: Tables, room: RoomRef, { parentId, status }: Room): void {
  const key = namedKey(roomKey(roomRef(room.tenantId, parentId)), room.roomId);
  writes.push({ table: tables.subRooms, key, value: status === RoomStatus.DELETED ? undefined : PRESENT });
}

function pushMember(writes: Write[], tables: Tables, room: RoomRef, document: MemberDocument): void {
  const userId = document.member?.userId ?? "";
  const key = namedKey(roomKey(room), userId);
  const value = writeDocument(document.appliedSeq, toBinary(MemberDocumentSchema, document));
  const { left } = document;
  writes.push({ table: tables.members, key, value: left ? undefined : value });
  writes.push({ table: tables.formerMembers, key, value: left ? value : undefined });
  const membership = namedKey(userKey(room.tenantId, userId), room.roomId);
  writes.push({ table: tables.memberships, key: membership, value: left ? undefined : PRESENT });
}

/** The seq of the event that created a message: in the document, among the changes, or stored. */
function createdSeqOf(
  tables: Tables,
  changes: ArchiveChanges,
  { room, messageIndex, document }: MessageChange,
): number {
  const stated = document.message?.position?.seq ?? 0;
  if (stated > 0) return stated;
  const created = changes.events.find((each) => each.room.key === room.key && each.messageIndex === messageIndex);
  if (created !== undefined) return created.event.seq;
  const stored = tables.messages.getBinary(numberedKey(roomKey(room), messageIndex));
  return stored === undefined ? 0 : readMessage(stored).createdSeq;
}

function isKept(tables: Tables, changes: ArchiveChanges, room: RoomRef, seq: number): boolean {
  return (
    changes.events.some((each) => each.event.seq === seq && each.room.key === room.key) ||
    tables.events.doesExist(numberedKey(roomKey(room), seq))
  );
}

/** Only those changes that are news to what is stored or was removed. Of a document that comes several times, the newest. */
export function newerOnly(tables: Tables, changes: ArchiveChanges): ArchiveChanges {
  const removed = new RemovedRooms(tables);
  const seen = new Map<string, number>();
  const isNewer = (kind: string, key: string, appliedSeq: number, stored: () => number): boolean => {
    const known = seen.get(kind + key) ?? stored();
    if (known >= appliedSeq) return false;
    seen.set(kind + key, appliedSeq);
    return true;
  };
  return {
    // A scrub writes the same bytes again.
    scrubs: changes.scrubs,
    hidden: changes.hidden,
    idleLooks: changes.idleLooks,
    events: changes.events.filter(({ room, event }) => {
      if (event.seq <= removed.through(room).seq) return false;
      return tables.events.getBinary(numberedKey(roomKey(room), event.seq)) === undefined;
    }),
    rooms: changes.rooms.filter(({ room, document }) => {
      const key = roomKey(room);
      return isNewer("room", key, document.appliedSeq, () => storedSeq(tables.rooms, key));
    }),
    members: changes.members.filter(({ room, document }) => {
      if (removed.isDismissed(room)) return false;
      const key = namedKey(roomKey(room), document.member?.userId ?? "");
      const stored = () => Math.max(storedSeq(tables.members, key), storedSeq(tables.formerMembers, key));
      return isNewer("member", key, document.appliedSeq, stored);
    }),
    messages: changes.messages.filter(({ room, messageIndex, document }) => {
      const key = numberedKey(roomKey(room), messageIndex);
      return isNewer("message", key, document.appliedSeq, () => {
        const stored = tables.messages.getBinary(key);
        return stored === undefined ? -1 : storedMessageSeq(stored);
      });
    }),
  };
}

/** -1: there is none, so that any is newer. */
function storedSeq(table: Table, key: string): number {
  const stored = table.getBinary(key);
  return stored === undefined ? -1 : appliedSeqOf(stored);
}

function storedMessageSeq(stored: Uint8Array): number {
  const { document, appliedSeq } = readMessage(stored);
  return document === undefined ? -1 : appliedSeq;
}
