// What archive changes write into MongoDB, without transactions: each document by itself, in an order that a crash may cut anywhere.
//
// Rooms come first: a room's document is never behind those of its members and messages, so that whoever goes on from the watermark knows of
// each event whether the room counts it already. What was removed for good is looked up before the writes and again after them: either they
// see the removal, or the removal sees them.

import { toBinary } from "@bufbuild/protobuf";
import { type AnyBulkWriteOperation, Binary } from "mongodb";
import {
  type MemberDocument,
  MemberDocumentSchema,
  MessageDocumentSchema,
  type RoomDocument,
  RoomDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import { RoomKind, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type { ArchiveChanges, EventChange, IdleLook } from "../../ports/archive.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { shardOf } from "../../ports/shard.js";
import {
  type Collections,
  type HiddenRow,
  inTenant,
  type MemberRow,
  type MessageRow,
  named,
  numbered,
  type RemovedRow,
  type RoomRow,
  userKey,
  within,
  writeNewer,
} from "./mongo.js";

/** What was removed of rooms, by their keys. */
export type Removed = ReadonlyMap<string, RemovedRow>;

export async function applyChanges(collections: Collections, changes: ArchiveChanges): Promise<void> {
  const touched = roomsOf(changes);
  const removed = await readRemoved(collections, touched);
  const kept = withoutRemoved(changes, removed);
  await writeRooms(collections, kept);
  await Promise.all([writeEvents(collections, kept.events), writeMembers(collections, kept)]);
  await Promise.all([writeMessages(collections, kept), writeScrubs(collections, kept), writeHidden(collections, kept)]);
  await writeIdleLooks(collections, kept.idleLooks);
  const later = await readRemoved(collections, touched);
  for (const room of touched.values()) {
    const [before, after] = [removed.get(room.key), later.get(room.key)];
    if ((after?.seq ?? 0) > (before?.seq ?? 0))
      await removeThrough(collections, room, after?.seq ?? 0, after?.index ?? 0);
    if (after?.dismissed === true && before?.dismissed !== true) await removeMembers(collections, room);
  }
}

/** Removes events and messages, and who has hidden them. */
export async function removeThrough(
  { events, messages, hidden }: Collections,
  room: RoomRef,
  seq: number,
  index: number,
): Promise<void> {
  await messages.deleteMany({ _id: { ...within(room.key), $lte: numbered(room.key, index) } });
  await hidden.deleteMany({ message: { ...within(room.key), $lte: numbered(room.key, index) } });
  await events.deleteMany({ _id: { ...within(room.key), $lte: numbered(room.key, seq) } });
}

/** Removes standings and markers, and which messages of the room were hidden. */
export async function removeMembers({ members, markers, hidden }: Collections, room: RoomRef): Promise<void> {
  await members.deleteMany({ _id: within(room.key) });
  await markers.deleteMany({ _id: within(room.key) });
  await hidden.deleteMany({ message: within(room.key) });
}

export async function readRemoved({ removed }: Collections, rooms: ReadonlyMap<string, RoomRef>): Promise<Removed> {
  const rows = await removed.find({ _id: { $in: [...rooms.keys()] } }).toArray();
  return new Map(rows.map((row) => [row._id, row]));
}

function roomsOf(changes: ArchiveChanges): ReadonlyMap<string, RoomRef> {
  const rooms = new Map<string, RoomRef>();
  for (const part of [changes.events, changes.rooms, changes.members, changes.messages]) {
    for (const { room } of part) rooms.set(room.key, room);
  }
  for (const { inbox, roomId } of changes.hidden) {
    const room = roomRef(inbox.tenantId, roomId);
    rooms.set(room.key, room);
  }
  return rooms;
}

function withoutRemoved(changes: ArchiveChanges, removed: Removed): ArchiveChanges {
  if (removed.size === 0) return changes;
  const isDismissed = (key: string): boolean => removed.get(key)?.dismissed === true;
  return {
    ...changes,
    events: changes.events.filter(({ room, event }) => event.seq > (removed.get(room.key)?.seq ?? 0)),
    members: changes.members.filter(({ room }) => !isDismissed(room.key)),
    messages: changes.messages.filter(({ room, messageIndex }) => messageIndex > (removed.get(room.key)?.index ?? 0)),
    hidden: changes.hidden.filter(({ inbox, roomId, messageIndex }) => {
      const key = inTenant(inbox, roomId);
      return messageIndex > (removed.get(key)?.index ?? 0) && !isDismissed(key);
    }),
  };
}

async function writeRooms({ rooms }: Collections, changes: ArchiveChanges): Promise<void> {
  await writeNewer(
    rooms,
    changes.rooms.map(({ room, document }) => roomWrite(room, document)),
  );
}

function roomWrite(room: RoomRef, document: RoomDocument): AnyBulkWriteOperation<RoomRow> {
  const row = { seq: document.appliedSeq, doc: binary(toBinary(RoomDocumentSchema, document)) };
  const filter = { _id: room.key, seq: { $lt: document.appliedSeq } };
  const { parentId = "", status, kind } = document.room ?? {};
  const exists = document.room !== undefined && status !== RoomStatus.DELETED;
  const found = {
    ...(exists && parentId !== "" && { under: named(roomRef(room.tenantId, parentId).key, room.roomId) }),
    ...(exists && kind !== RoomKind.INBOX && { counted: room.tenantId }),
  };
  const update = exists ? { $set: { ...row, ...found } } : { $set: row, $unset: { under: 1, counted: 1 } as const };
  return { updateOne: { filter, update, upsert: true } };
}

async function writeEvents(collections: Collections, changes: readonly EventChange[]): Promise<void> {
  await writeNewer(
    collections.events,
    changes.map(({ room, event, eventId, messageIndex, createdAtMs }) => ({
      insertOne: {
        document: {
          _id: numbered(room.key, event.seq),
          seq: event.seq,
          tag: event.tag,
          id: named(room.key, eventId),
          index: messageIndex,
          at: createdAtMs,
          event: binary(event.bytes),
        },
      },
    })),
  );
  const created = changes.filter(({ messageIndex }) => messageIndex > 0);
  await writeNewer(
    collections.messages,
    created.map(({ room, event, eventId, messageIndex, expiresAtMs }) => ({
      insertOne: {
        document: {
          _id: numbered(room.key, messageIndex),
          created: event.seq,
          messageId: eventId,
          by: named(room.key, event.event.actor?.userId ?? ""),
          seq: 0,
          ...(expiresAtMs !== undefined && { expires: expiresAtMs, shard: shardOf(room.key, collections.shardCount) }),
        },
      },
    })),
  );
}

async function writeMembers({ members }: Collections, changes: ArchiveChanges): Promise<void> {
  await writeNewer(
    members,
    changes.members.map(({ room, document }) => memberWrite(room, document)),
  );
}

function memberWrite(room: RoomRef, document: MemberDocument): AnyBulkWriteOperation<MemberRow> {
  const userId = document.member?.userId ?? "";
  const _id = named(room.key, userId);
  const row = { seq: document.appliedSeq, doc: binary(toBinary(MemberDocumentSchema, document)), room: room.roomId };
  const filter = { _id, seq: { $lt: document.appliedSeq } };
  const update = document.left
    ? { $set: row, $unset: { present: 1, user: 1 } as const }
    : { $set: { ...row, present: _id, user: userKey(room.tenantId, userId) } };
  return { updateOne: { filter, update, upsert: true } };
}

/** Of messages that are there: one whose creating event is no longer kept must not come back. */
async function writeMessages({ messages }: Collections, changes: ArchiveChanges): Promise<void> {
  const operations = changes.messages.map(({ room, messageIndex, document }) => ({
    updateOne: {
      filter: { _id: numbered(room.key, messageIndex), seq: { $lt: document.appliedSeq } },
      update: { $set: { seq: document.appliedSeq, doc: binary(toBinary(MessageDocumentSchema, document)) } },
    },
  }));
  if (operations.length > 0) await messages.bulkWrite(operations, { ordered: false });
}

async function writeScrubs({ events, messages }: Collections, { scrubs }: ArchiveChanges): Promise<void> {
  if (scrubs.length === 0) return;
  const places = scrubs.map(({ room, event }) => ({ _id: numbered(room.key, event.seq), event }));
  await events.bulkWrite(
    places.map(({ _id, event }) => ({
      updateOne: { filter: { _id }, update: { $set: { event: binary(event.bytes) } } },
    })),
    { ordered: false },
  );
  const stored = await events
    .find({ _id: { $in: places.map(({ _id }) => _id) }, index: { $gt: 0 } })
    .project<{ readonly _id: string; readonly index: number }>({ index: 1 })
    .toArray();
  const operations: AnyBulkWriteOperation<MessageRow>[] = stored.map(({ _id, index }) => ({
    updateOne: {
      filter: { _id: numbered(_id.slice(0, _id.indexOf("#")), index) },
      update: { $unset: { expires: 1, shard: 1 } },
    },
  }));
  if (operations.length > 0) await messages.bulkWrite(operations, { ordered: false });
}

async function writeHidden({ hidden }: Collections, changes: ArchiveChanges): Promise<void> {
  const operations: AnyBulkWriteOperation<HiddenRow>[] = changes.hidden.map(({ inbox, roomId, messageIndex }) => ({
    insertOne: {
      document: {
        _id: numbered(named(inbox.key, roomId), messageIndex),
        index: messageIndex,
        message: numbered(inTenant(inbox, roomId), messageIndex),
      },
    },
  }));
  await writeNewer(hidden, operations);
}

export async function writeIdleLooks(
  { idleLooks, shardCount }: Collections,
  looks: readonly IdleLook[],
): Promise<void> {
  await writeNewer(
    idleLooks,
    looks.map((look) => {
      const shard = shardOf(look.room.key, shardCount);
      return { insertOne: { document: { _id: idleLookKey(look), shard, at: look.atMs } } };
    }),
  );
}

export function idleLookKey({ room, atMs }: IdleLook): string {
  return named(room.key, `${atMs}`);
}

export function binary(bytes: Uint8Array): Binary {
  return new Binary(bytes);
}
