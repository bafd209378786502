// Events and documents to store, and a room's history that grows by them.

import { clone, create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type MemberDocument,
  MemberDocumentSchema,
  type MessageDocument,
  MessageDocumentSchema,
  type RoomDocument,
  RoomDocumentSchema,
} from "../../src/gen/trunkline/store/v1/documents_pb.js";
import { RoomEventSchema } from "../../src/gen/trunkline/v1/message_pb.js";
import type { ArchiveChanges, EventChange, EventScrub, MessageChange } from "../../src/ports/archive.js";
import { EncodedEvent } from "../../src/ports/encoded-event.js";
import type { AppendBatch } from "../../src/ports/event-log.js";
import { type RoomRef, roomRef } from "../../src/ports/room-ref.js";

/** When samples are created, in milliseconds since 1970. */
export const CREATED_AT_MS = 1_790_000_000_000;

let rooms = 0;

/** A room that no other test has, also where the store outlives the test. */
export function newRoom(tenantId = "acme"): RoomRef {
  rooms += 1;
  return roomRef(tenantId, `room-${process.pid}-${Date.now()}-${rooms}`);
}

export function tagOf(seq: number): number {
  return (0x9e3779b1 * seq) >>> 0;
}

export interface SampleOptions {
  /** Default: the seq. 0: an event that creates no message. */
  readonly messageIndex?: number;
  readonly text?: string;
  readonly createdAtMs?: number;
  readonly expiresAtMs?: number;
}

/** The event at `seq`. Its id says which it is. */
export function eventChange(room: RoomRef, seq: number, options: SampleOptions = {}): EventChange {
  const { messageIndex = seq, text = `text ${seq}`, createdAtMs = CREATED_AT_MS + seq, expiresAtMs } = options;
  const expiresAt = expiresAtMs === undefined ? undefined : timestampFromMs(expiresAtMs);
  const eventId = `${room.roomId}:${seq}`;
  const event = create(RoomEventSchema, {
    eventId,
    position: { seq, tag: tagOf(seq) },
    createdAt: timestampFromMs(createdAtMs),
    actor: { userId: "ada" },
    kind:
      messageIndex > 0
        ? { case: "messageCreated", value: { messageIndex, body: { kind: { case: "text", value: text } }, expiresAt } }
        : { case: "roomUpdated", value: {} },
  });
  const encoded = new EncodedEvent(seq, tagOf(seq), toBinary(RoomEventSchema, event), event);
  return { room, event: encoded, eventId, createdAtMs, messageIndex, expiresAtMs };
}

/** The event at `seq` of the same id, without what it said. */
export function eventScrub(room: RoomRef, seq: number): EventScrub {
  const { event } = eventChange(room, seq);
  const scrubbed = clone(RoomEventSchema, event.event);
  if (scrubbed.kind.case === "messageCreated") scrubbed.kind.value.body = undefined;
  return { room, event: new EncodedEvent(seq, event.tag, toBinary(RoomEventSchema, scrubbed), scrubbed) };
}

export function roomDocument(room: RoomRef, appliedSeq: number, name = `as of ${appliedSeq}`): RoomDocument {
  return create(RoomDocumentSchema, { tenantId: room.tenantId, room: { roomId: room.roomId, name }, appliedSeq });
}

export function memberDocument(userId: string, appliedSeq: number, left = false): MemberDocument {
  return create(MemberDocumentSchema, { member: { userId }, appliedSeq, left });
}

/** The message of `createdSeq`, edited by the event at `appliedSeq`. */
export function messageChange(
  room: RoomRef,
  messageIndex: number,
  createdSeq: number,
  appliedSeq: number,
): MessageChange {
  const document: MessageDocument = create(MessageDocumentSchema, {
    appliedSeq,
    message: {
      messageId: `${room.roomId}:${createdSeq}`,
      roomId: room.roomId,
      messageIndex,
      position: { seq: createdSeq, tag: tagOf(createdSeq) },
      body: { kind: { case: "text", value: `edited at ${appliedSeq}` } },
    },
  });
  return { room, messageIndex, document };
}

export function changesOf(changes: Partial<ArchiveChanges>): ArchiveChanges {
  return { events: [], rooms: [], members: [], messages: [], scrubs: [], hidden: [], idleLooks: [], ...changes };
}

export function batchOf(changes: Partial<ArchiveChanges>): AppendBatch {
  const complete = changesOf(changes);
  return { records: complete.events.map(({ room, event }) => ({ room, event })), changes: complete };
}

/** The events `from` to `to` of a room with the room's document after them. */
export function sampleBatch(room: RoomRef, from: number, to = from, options: SampleOptions = {}): AppendBatch {
  const seqs = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  return batchOf({
    events: seqs.map((seq) => eventChange(room, seq, options)),
    rooms: [{ room, document: roomDocument(room, to) }],
  });
}

/** Everything of a room that the archive keeps. */
export const ALL = { from: 1, to: 0xffffffff, limit: 100_000, maxBytes: 1 << 30 };
