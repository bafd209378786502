// A room under another, its root: it has the root's members and lives in the root's shard. Its id says so, so that nobody needs to look.

import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { SUB_ROOM_MARK } from "../../ports/shard.js";
import { SYSTEM_ID_PREFIX } from "../validate.js";

/** The root of a room under another; undefined: it is under none. */
export function rootOf({ tenantId, roomId }: RoomRef): RoomRef | undefined {
  const at = markOf(roomId);
  return at < 0 ? undefined : roomRef(tenantId, roomId.slice(0, at));
}

/** The room whose members this one has: its root, or itself. */
export function membersRoomOf(ref: RoomRef): RoomRef {
  return rootOf(ref) ?? ref;
}

export function isSubRoom(roomId: string): boolean {
  return markOf(roomId) >= 0;
}

function markOf(roomId: string): number {
  // Ids of the system begin with it.
  return roomId.indexOf(SUB_ROOM_MARK, SYSTEM_ID_PREFIX.length);
}
