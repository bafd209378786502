// What goes when an event goes: its log entry, its id, its message.

import type { Write } from "./group-commit.js";
import { logKey, namedKey, numberedKey } from "./keys.js";
import { readEvent } from "./records.js";
import type { Tables } from "./tables.js";

/** `room` is the room's key, `entry` one of the events table. */
export function eventRemovals(
  tables: Tables,
  room: string,
  entry: { readonly key: string; readonly value: Uint8Array },
): readonly Write[] {
  const { place, eventId, messageIndex } = readEvent(entry.value);
  const writes: Write[] = [
    { table: tables.events, key: entry.key, value: undefined },
    { table: tables.ids, key: namedKey(room, eventId), value: undefined },
  ];
  if (place !== undefined) writes.push({ table: tables.log, key: logKey(place.shard, place.offset), value: undefined });
  if (messageIndex > 0) {
    writes.push({ table: tables.messages, key: numberedKey(room, messageIndex), value: undefined });
  }
  return writes;
}
