// Direct rooms: where the room of two users is, and who they are where the room does not say.

import type { RoomDocument } from "../../gen/trunkline/store/v1/documents_pb.js";
import { RoomKind, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type { Archive } from "../../ports/archive.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type Awaitable, type RoomRef, roomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { Ids } from "../core.js";
import { SYSTEM_ID_PREFIX } from "../validate.js";
import type { Outcome } from "./command.js";

/** Rooms of one pair that were deleted, at most, before none is made any more. */
const MAX_DELETED = 100;

/** The pair's room after so many were deleted. The same whoever of the two asks. */
function directRef(ids: Ids, tenantId: string, users: readonly [string, string], deleted: number): RoomRef {
  const pair = users.toSorted().map((id) => `${id.length}:${id}`);
  // No id holds a slash: what one pair asks for is never another's.
  const after = deleted === 0 ? "" : `/${deleted}`;
  return roomRef(tenantId, `${SYSTEM_ID_PREFIX}d.${ids.digest(`${pair.join("")}${after}`)}`);
}

/**
 * Makes or finds the room of two users. A room that was deleted stays so: its positions are spent, and nothing of it may come back; the
 * two get another one. `make` submits the command to a room.
 */
export async function makeDirect(
  ids: Ids,
  tenantId: string,
  users: readonly [string, string],
  make: (ref: RoomRef) => Promise<Outcome>,
): Promise<Outcome> {
  for (let deleted = 0; deleted < MAX_DELETED; deleted++) {
    try {
      const outcome = await make(directRef(ids, tenantId, users, deleted));
      // Not shown: a repeat of what made it, and it was deleted since.
      if (outcome.room !== undefined) return outcome;
    } catch (error) {
      // Of a direct room that is there, making it is no mistake.
      if (!(error instanceof TrunklineError) || error.code !== ErrorCode.ALREADY_EXISTS) throw error;
    }
  }
  throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "the direct room of the two was deleted too often", {
    details: { limit: String(MAX_DELETED) },
  });
}

/** The document, with the two users of a direct room: rooms that were stored long ago do not name them, but have no other members. */
export function withDirectUsers(
  archive: Pick<Archive, "members">,
  ref: RoomRef,
  document: RoomDocument | undefined,
): Awaitable<RoomDocument | undefined> {
  if (document?.room === undefined || document.directUsers.length > 0) return document;
  const { kind, status } = document.room;
  if (kind !== RoomKind.DIRECT || status === RoomStatus.DELETED) return document;
  const named = (members: Awaited<ReturnType<Archive["members"]>>): RoomDocument => {
    document.directUsers = members.flatMap(({ member }) => (member === undefined ? [] : [member.userId]));
    return document;
  };
  const members = archive.members(ref, { after: "", limit: 2 });
  return isPromise(members) ? members.then(named) : named(members);
}
