// What archive changes write into MongoDB, without transactions: each document by itself, in an order that a crash may cut anywhere.
//
// Rooms come first: a room's document is never behind those of its members and messages, so that whoever goes on from the watermark knows of
// each event whether the room counts it already. What was removed for good is looked up before the writes and again after them: either they
// see the removal, or the removal sees them.

import { toBinary } from "@bufbuild/protobuf";
import type { AnyBulkWriteOperation, Collection } from "mongodb";
import {
  MemberDocumentSchema,
  MessageDocumentSchema,
  RoomDocumentSchema,
} from "../../gen/trunkline/store/v1/documents_pb.js";
import { RoomKind, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type { ArchiveChanges, EventChange, HiddenMessage, IdleLook, MessageChange } from "../../ports/archive.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { shardOf } from "../../ports/shard.js";
import {
  binary,
  type Collections,
  type EventRow,
  type FoldedRow,
  type HiddenRow,
  type IdleLookRow,
  inTenant,
  type MemberRow,
  type MessageRow,
  named,
  numbered,
  type RemovedRow,
  type RoomRow,
  roomKeyOf,
  roomOfKey,
  userKey,
  within,
} from "./mongo.js";
import type { AsideDocument, SetAside } from "./mongo-set-aside.js";
import { type Write, writeNewer } from "./mongo-writes.js";

/** What was removed of rooms, by their keys. */
export type Removed = ReadonlyMap<string, RemovedRow>;

/** What MongoDB refuses for good is set aside: all else is written. */
export async function applyChanges(collections: Collections, aside: SetAside, changes: ArchiveChanges): Promise<void> {
  const touched = roomsOf(changes);
  const removed = await readRemoved(collections, touched);
  const kept = withoutRemoved(changes, removed);
  await writeFolded(collections.rooms, aside, kept.rooms.map(roomWrite));
  await Promise.all([
    writeEvents(collections, aside, kept.events),
    writeFolded(collections.members, aside, kept.members.map(memberWrite)),
  ]);
  await Promise.all([
    writeMessages(collections, aside, kept),
    writeScrubs(collections, aside, kept),
    aside.write(collections.hidden, kept.hidden.map(hiddenWrite)),
  ]);
  await aside.write(collections.idleLooks, kept.idleLooks.map(idleLookWrite(collections)));
  const later = await readRemoved(collections, touched);
  for (const room of touched.values()) {
    const [before, after] = [removed.get(room.key), later.get(room.key)];
    if ((after?.seq ?? 0) > (before?.seq ?? 0))
      await removeThrough(collections, aside, room, after?.seq ?? 0, after?.index ?? 0);
    if (after?.dismissed === true && before?.dismissed !== true) await removeMembers(collections, aside, room);
  }
}

/** Removes events and messages, and who has hidden them. */
export async function removeThrough(
  { events, messages, hidden }: Collections,
  aside: SetAside,
  room: RoomRef,
  seq: number,
  index: number,
): Promise<void> {
  await messages.deleteMany({ _id: { ...within(room.key), $lte: numbered(room.key, index) } });
  await hidden.deleteMany({ message: { ...within(room.key), $lte: numbered(room.key, index) } });
  await events.deleteMany({ _id: { ...within(room.key), $lte: numbered(room.key, seq) } });
  await aside.remove("messages", room, index);
  await aside.remove("events", room, seq);
}

/** Removes standings and markers, and which messages of the room were hidden. */
export async function removeMembers(
  { members, markers, hidden }: Collections,
  aside: SetAside,
  room: RoomRef,
): Promise<void> {
  await members.deleteMany({ _id: within(room.key) });
  await markers.deleteMany({ _id: within(room.key) });
  await hidden.deleteMany({ message: within(room.key) });
  await aside.remove("members", room);
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

type RoomChange = ArchiveChanges["rooms"][number];
type MemberChange = ArchiveChanges["members"][number];
type AsideWrite<T extends { readonly _id: string }> = Write<T> & { readonly document: AsideDocument };

/** Whole documents: each replaces what is older, also where that was set aside. */
async function writeFolded<T extends FoldedRow>(
  collection: Collection<T>,
  aside: SetAside,
  writes: readonly AsideWrite<T>[],
): Promise<void> {
  await aside.write(collection, writes);
  const older = writes.filter(({ document: { key } }) => aside.concerns(roomOfKey(key)));
  await aside.supersede(older.map(({ document }) => document));
}

function roomWrite({ room, document }: RoomChange): AsideWrite<RoomRow> {
  const bytes = toBinary(RoomDocumentSchema, document);
  const seq = document.appliedSeq;
  const row = { seq, doc: binary(bytes) };
  const filter = { _id: room.key, seq: { $lt: seq } };
  const { parentId = "", status, kind } = document.room ?? {};
  const exists = document.room !== undefined && status !== RoomStatus.DELETED;
  const found = {
    ...(exists && parentId !== "" && { under: named(roomRef(room.tenantId, parentId).key, room.roomId) }),
    ...(exists && kind !== RoomKind.INBOX && { counted: room.tenantId }),
  };
  const update = exists ? { $set: { ...row, ...found } } : { $set: row, $unset: { under: 1, counted: 1 } as const };
  return {
    key: room.key,
    operation: { updateOne: { filter, update, upsert: true } },
    document: { collection: "rooms", key: room.key, seq, row: found, bytes },
  };
}

async function writeEvents(collections: Collections, aside: SetAside, changes: readonly EventChange[]): Promise<void> {
  await aside.write(collections.events, changes.map(eventWrite));
  const created = changes.filter(({ messageIndex }) => messageIndex > 0);
  await aside.write(collections.messages, created.map(createdWrite(collections)));
}

function eventWrite({ room, event, eventId, messageIndex, createdAtMs }: EventChange): AsideWrite<EventRow> {
  const key = numbered(room.key, event.seq);
  const { seq, tag, bytes } = event;
  const row = { seq, tag, id: named(room.key, eventId), index: messageIndex, at: createdAtMs };
  return {
    key,
    operation: { insertOne: { document: { _id: key, ...row, event: binary(bytes) } } },
    document: { collection: "events", key, seq, row, bytes },
  };
}

function createdWrite({ shardCount }: Collections): (change: EventChange) => AsideWrite<MessageRow> {
  return ({ room, event, eventId, messageIndex, expiresAtMs }) => {
    const key = numbered(room.key, messageIndex);
    const row = {
      created: event.seq,
      messageId: eventId,
      by: named(room.key, event.event.actor?.userId ?? ""),
      seq: 0,
      ...(expiresAtMs !== undefined && { expires: expiresAtMs, shard: shardOf(room.key, shardCount) }),
    };
    return {
      key,
      operation: { insertOne: { document: { _id: key, ...row } } },
      document: { collection: "messages", key, seq: 0, row },
    };
  };
}

function memberWrite({ room, document }: MemberChange): AsideWrite<MemberRow> {
  const userId = document.member?.userId ?? "";
  const key = named(room.key, userId);
  const seq = document.appliedSeq;
  const bytes = toBinary(MemberDocumentSchema, document);
  const row = { seq, doc: binary(bytes), room: room.roomId };
  const found = document.left ? {} : { present: key, user: userKey(room.tenantId, userId) };
  const filter = { _id: key, seq: { $lt: seq } };
  const update = document.left
    ? { $set: row, $unset: { present: 1, user: 1 } as const }
    : { $set: { ...row, ...found } };
  return {
    key,
    operation: { updateOne: { filter, update, upsert: true } },
    document: { collection: "members", key, seq, row: found, bytes },
  };
}

/** Of messages that are there: one whose creating event is no longer kept must not come back. */
async function writeMessages({ messages }: Collections, aside: SetAside, changes: ArchiveChanges): Promise<void> {
  const writes = changes.messages.map(messageWrite);
  await aside.write(messages, writes);
  for (const { key, document } of writes) {
    if (!aside.concerns(roomOfKey(key))) continue;
    // The message itself was set aside: what becomes of it goes there too.
    const before = await aside.one("messages", key);
    if (before === undefined || before.seq >= document.seq) continue;
    if ((await messages.countDocuments({ _id: key })) === 0) await aside.put(document, SET_ASIDE_BEFORE);
    else await aside.supersede([document]);
  }
}

const SET_ASIDE_BEFORE = new Error("what it changes was set aside");

function messageWrite({ room, messageIndex, document }: MessageChange): AsideWrite<MessageRow> {
  const key = numbered(room.key, messageIndex);
  const seq = document.appliedSeq;
  const bytes = toBinary(MessageDocumentSchema, document);
  return {
    key,
    operation: {
      updateOne: { filter: { _id: key, seq: { $lt: seq } }, update: { $set: { seq, doc: binary(bytes) } } },
    },
    document: { collection: "messages", key, seq, row: { seq }, bytes },
  };
}

async function writeScrubs(
  { events, messages }: Collections,
  aside: SetAside,
  { scrubs }: ArchiveChanges,
): Promise<void> {
  if (scrubs.length === 0) return;
  const places = scrubs.map(({ room, event }) => ({ _id: numbered(room.key, event.seq), event }));
  await events.bulkWrite(
    places.map(({ _id, event }) => ({
      updateOne: { filter: { _id }, update: { $set: { event: binary(event.bytes) } } },
    })),
    { ordered: false },
  );
  const scrubbedAside: string[] = [];
  for (const { room, event } of scrubs) {
    if (!aside.concerns(room)) continue;
    await aside.scrub(numbered(room.key, event.seq), event.seq, event.bytes);
    const { kind } = event.event;
    if (kind.case === "messageCreated") scrubbedAside.push(numbered(room.key, kind.value.messageIndex));
  }
  const stored = await events
    .find({ _id: { $in: places.map(({ _id }) => _id) }, index: { $gt: 0 } })
    .project<{ readonly _id: string; readonly index: number }>({ index: 1 })
    .toArray();
  const scrubbed = new Set([...stored.map(({ _id, index }) => numbered(roomKeyOf(_id), index)), ...scrubbedAside]);
  const operations: AnyBulkWriteOperation<MessageRow>[] = [...scrubbed].map((_id) => ({
    updateOne: { filter: { _id }, update: { $unset: { expires: 1, shard: 1 } } },
  }));
  if (operations.length > 0) await messages.bulkWrite(operations, { ordered: false });
}

function hiddenWrite({ inbox, roomId, messageIndex }: HiddenMessage): AsideWrite<HiddenRow> {
  const key = numbered(named(inbox.key, roomId), messageIndex);
  const row = { index: messageIndex, message: numbered(inTenant(inbox, roomId), messageIndex) };
  return {
    key,
    operation: { insertOne: { document: { _id: key, ...row } } },
    document: { collection: "hidden", key, seq: 0, row },
  };
}

function idleLookWrite({ shardCount }: Collections): (look: IdleLook) => AsideWrite<IdleLookRow> {
  return (look) => {
    const key = idleLookKey(look);
    const row = { shard: shardOf(look.room.key, shardCount), at: look.atMs };
    return {
      key,
      operation: { insertOne: { document: { _id: key, ...row } } },
      document: { collection: "idle_looks", key, seq: 0, row },
    };
  };
}

export async function writeIdleLooks(collections: Collections, looks: readonly IdleLook[]): Promise<void> {
  await writeNewer(collections.idleLooks, looks.map(idleLookWrite(collections)));
}

export function idleLookKey({ room, atMs }: IdleLook): string {
  return named(room.key, `${atMs}`);
}
