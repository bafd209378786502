// A user's inbox: a room of the user alone, made by the system. What is said to its fan-out reaches all of the user's sessions.

import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { Ids } from "../core.js";
import { SYSTEM_ID_PREFIX } from "../validate.js";
import type { Caller } from "./calls.js";

const INBOX_PREFIX = `${SYSTEM_ID_PREFIX}i.`;

/** Where a user's inbox is. The id is a digest: a user id may be as long as a room id. */
export function inboxRef(ids: Ids, tenantId: string, userId: string): RoomRef {
  return roomRef(tenantId, `${INBOX_PREFIX}${ids.digest(`${tenantId}/${userId}`)}`);
}

export function isInbox({ roomId }: RoomRef): boolean {
  return roomId.startsWith(INBOX_PREFIX);
}

/** Nobody in particular, for what the server does by itself in a room. */
export function systemOf({ tenantId }: RoomRef): Caller {
  const grants: ReadonlySet<string> = new Set();
  return {
    identity: { tenantId, userId: "", displayName: "", grants, expiresAtMs: undefined, tokenId: "" },
    deviceId: "",
  };
}
