// What goes when an event goes: its log entry, its id, its message, its time.

import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { RoomEventSchema } from "../../gen/trunkline/v1/message_pb.js";
import type { Write } from "./group-commit.js";
import { expirationKey, logKey, namedKey, numberedKey } from "./keys.js";
import { readEvent } from "./records.js";
import type { Tables } from "./tables.js";

/** `room` is the room's key, `entry` one of the events table. */
export function eventRemovals(
  tables: Tables,
  room: string,
  entry: { readonly key: string; readonly value: Uint8Array },
): readonly Write[] {
  const { place, eventId, messageIndex, bytes } = readEvent(entry.value);
  const writes: Write[] = [
    { table: tables.events, key: entry.key, value: undefined },
    { table: tables.ids, key: namedKey(room, eventId), value: undefined },
  ];
  if (place !== undefined) writes.push({ table: tables.log, key: logKey(place.shard, place.offset), value: undefined });
  if (messageIndex > 0) {
    writes.push({ table: tables.messages, key: numberedKey(room, messageIndex), value: undefined });
    writes.push(...expirationRemoval(tables, room, eventId, bytes));
  }
  return writes;
}

/** Nothing, where the message does not expire. */
export function expirationRemoval(tables: Tables, room: string, eventId: string, bytes: Uint8Array): readonly Write[] {
  const { kind } = fromBinary(RoomEventSchema, bytes);
  if (kind.case !== "messageCreated" || kind.value.expiresAt === undefined) return [];
  const key = expirationKey(timestampMs(kind.value.expiresAt), room, eventId);
  return [{ table: tables.expirations, key, value: undefined }];
}
