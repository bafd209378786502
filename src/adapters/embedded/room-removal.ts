// Emptying a room: its events with all that belongs to them, or the people who were in it.

import type { RoomRef } from "../../ports/room-ref.js";
import { type GroupCommit, reading, type Write } from "./group-commit.js";
import { after, lastPart, lastUint32, namedKey, numberedKey, roomKey, userKey } from "./keys.js";
import type { MarkerTable } from "./markers.js";
import { removeEvent } from "./removal.js";
import { dismissedNow, farther, type RemovedPlace, removedThrough } from "./removed.js";
import type { Tables } from "./tables.js";

// A page of more could hold up the event loop and everybody else's commit.
const PURGED_PER_TRANSACTION = 1_000;
const DISMISSED_PER_TRANSACTION = 1_000;

/** Removes the events up to `through`, and remembers with the first of them that they are gone. */
export async function purgeRoom(tables: Tables, commit: GroupCommit, room: RoomRef, through: number): Promise<void> {
  const key = roomKey(room);
  const range = { start: key, end: after(numberedKey(key, through)), limit: PURGED_PER_TRANSACTION };
  for (;;) {
    const { writes, events } = reading(() => {
      let place: RemovedPlace = { seq: through, messageIndex: 0 };
      const writes: Write[] = [];
      const found = [...tables.events.getRange(range)];
      for (const entry of found) {
        const removal = removeEvent(tables, room, lastUint32(entry.key), entry);
        writes.push(...removal.writes);
        place = farther(place, removal.place);
      }
      const removed = removedThrough(tables, key, "purge", place);
      if (removed !== undefined) writes.push(removed);
      return { writes, events: found.length };
    });
    if (writes.length > 0) await commit.commit(writes);
    if (events < PURGED_PER_TRANSACTION) return;
  }
}

/** Removes standings, memberships and markers, and remembers before that none may come any more. */
export async function dismissRoom(
  tables: Tables,
  commit: GroupCommit,
  markers: MarkerTable,
  room: RoomRef,
): Promise<void> {
  const key = roomKey(room);
  await commit.commit([dismissedNow(tables, key)]);
  // Those that were put before that was known.
  await markers.settled();
  const range = { start: key, end: after(key), limit: DISMISSED_PER_TRANSACTION };
  for (const table of [tables.members, tables.formerMembers, tables.markers]) {
    for (;;) {
      const keys = reading(() => [...table.getKeys(range)]);
      const writes = keys.flatMap((member): Write[] => {
        const membership = namedKey(userKey(room.tenantId, lastPart(member, key)), room.roomId);
        return [
          { table, key: member, value: undefined },
          { table: tables.memberships, key: membership, value: undefined },
        ];
      });
      if (writes.length > 0) await commit.commit(writes);
      if (keys.length < DISMISSED_PER_TRANSACTION) break;
    }
  }
}
