// What goes when an event goes: its log entry, its id, its message, its time, and who has hidden it.

import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { RoomEventSchema } from "../../gen/trunkline/v1/message_pb.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { Write } from "./group-commit.js";
import { after, expirationKey, hiddenKey, lastPart, logKey, namedKey, numberedKey, roomKey } from "./keys.js";
import { readEvent } from "./records.js";
import type { RemovedPlace } from "./removed.js";
import type { Tables } from "./tables.js";

export interface EventRemoval {
  readonly writes: readonly Write[];
  readonly place: RemovedPlace;
}

/** `entry` is one of the events table. */
export function removeEvent(
  tables: Tables,
  room: RoomRef,
  seq: number,
  entry: { readonly key: string; readonly value: Uint8Array },
): EventRemoval {
  const prefix = roomKey(room);
  const { place, eventId, messageIndex, bytes } = readEvent(entry.value);
  const writes: Write[] = [
    { table: tables.events, key: entry.key, value: undefined },
    { table: tables.ids, key: namedKey(prefix, eventId), value: undefined },
  ];
  if (place !== undefined) writes.push({ table: tables.log, key: logKey(place.shard, place.offset), value: undefined });
  if (messageIndex > 0) {
    writes.push({ table: tables.messages, key: numberedKey(prefix, messageIndex), value: undefined });
    writes.push(...expirationRemoval(tables, prefix, eventId, bytes));
    writes.push(...hidingRemovals(tables, room, messageIndex));
  }
  return { writes, place: { seq, messageIndex } };
}

/** Nothing, where the message does not expire. */
export function expirationRemoval(tables: Tables, room: string, eventId: string, bytes: Uint8Array): readonly Write[] {
  const { kind } = fromBinary(RoomEventSchema, bytes);
  if (kind.case !== "messageCreated" || kind.value.expiresAt === undefined) return [];
  const key = expirationKey(timestampMs(kind.value.expiresAt), room, eventId);
  return [{ table: tables.expirations, key, value: undefined }];
}

function hidingRemovals(tables: Tables, room: RoomRef, messageIndex: number): readonly Write[] {
  const { tenantId, roomId } = room;
  const message = numberedKey(roomKey(room), messageIndex);
  const hiders = tables.hiders.getKeys({ start: message, end: after(message) });
  return Array.from(hiders).flatMap((hider) => {
    const inbox = roomRef(tenantId, lastPart(hider, message));
    return [
      { table: tables.hiders, key: hider, value: undefined },
      { table: tables.hidden, key: hiddenKey(inbox, roomId, messageIndex), value: undefined },
    ];
  });
}
