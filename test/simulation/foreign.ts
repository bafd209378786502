// What another owner of a shard would write: a message of its own in a room, with the documents that follow from it.

import { clone, create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { nextTag } from "../../src/core/room/position.js";
import { rootOf } from "../../src/core/room/sub-room.js";
import { RoomDocumentSchema } from "../../src/gen/trunkline/store/v1/documents_pb.js";
import { PositionSchema, RoomEventSchema, RoomStatus } from "../../src/gen/trunkline/v1/message_pb.js";
import { EncodedEvent } from "../../src/ports/encoded-event.js";
import type { AppendBatch } from "../../src/ports/event-log.js";
import type { RoomRef } from "../../src/ports/room-ref.js";
import type { MemoryEngine } from "../support/memory-engine.js";

/** The user that foreign messages are of. */
export const ANOTHER_OWNER = "another-owner";

/** Undefined: the room takes no message. */
export function foreignBatch(engine: MemoryEngine, ref: RoomRef, id: string, nowMs: number): AppendBatch | undefined {
  // Another owner knows what the log has: here only the archive is looked at.
  if (engine.state.shards.some(({ archived, end }) => archived < end)) return undefined;
  const stored = engine.state.rooms.get(ref.key)?.document;
  const document = stored && fromBinary(RoomDocumentSchema, stored.bytes);
  const room = document?.room;
  if (room?.status !== RoomStatus.ACTIVE) return undefined;
  const seq = (room.top?.seq ?? 0) + 1;
  const tag = nextTag(room.top?.tag ?? 0, id);
  const messageIndex = room.lastMessageIndex + 1;
  const root = rootOf(ref);
  const rootDocument = root && engine.state.rooms.get(root.key)?.document;
  const above = rootDocument && fromBinary(RoomDocumentSchema, rootDocument.bytes).room;
  if (root !== undefined && above?.status !== RoomStatus.ACTIVE) return undefined;
  const event = create(RoomEventSchema, {
    eventId: id,
    rootSeq: above?.top?.seq ?? 0,
    position: { seq, tag },
    createdAt: timestampFromMs(nowMs),
    actor: { userId: ANOTHER_OWNER },
    kind: {
      case: "messageCreated",
      value: { messageIndex, clientMessageId: id, body: { kind: { case: "text", value: "from another owner" } } },
    },
  });
  const encoded = new EncodedEvent(seq, tag, toBinary(RoomEventSchema, event));
  const next = clone(RoomDocumentSchema, document ?? create(RoomDocumentSchema));
  next.appliedSeq = seq;
  if (next.room !== undefined) {
    next.room.top = create(PositionSchema, { seq, tag });
    next.room.lastMessageIndex = messageIndex;
  }
  return {
    records: [{ room: ref, event: encoded }],
    changes: {
      events: [{ room: ref, event: encoded, eventId: id, createdAtMs: nowMs, messageIndex, expiresAtMs: undefined }],
      rooms: [{ room: ref, document: next }],
      members: [],
      messages: [],
      scrubs: [],
      hidden: [],
      idleLooks: [],
    },
  };
}
