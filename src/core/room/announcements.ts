// A tenant's announcement room: a channel that everybody of the tenant reads. Nothing is kept of who only reads it.

import { create } from "@bufbuild/protobuf";
import { JoinRule, type Member, MemberSchema, Role, RoomKind } from "../../gen/trunkline/v1/message_pb.js";
import type { CreateRoomRequest } from "../../gen/trunkline/v1/room_pb.js";
import type { Page } from "../../ports/archive.js";
import { TrunklineError } from "../../ports/error.js";
import { SYSTEM_ID_PREFIX } from "../validate.js";

/** The same in every tenant. */
export const ANNOUNCEMENTS_ID = `${SYSTEM_ID_PREFIX}announcements`;

export function isAnnouncements(roomId: string): boolean {
  return roomId === ANNOUNCEMENTS_ID;
}

/** What somebody is there who has no record and is not banned. */
export function everydayReader(userId: string): Member {
  return create(MemberSchema, { userId, role: Role.READER });
}

/** Rejects what the room cannot be made as. */
export function validateAnnouncements({ kind, joinRule }: Pick<CreateRoomRequest, "kind" | "joinRule">): void {
  if (kind !== RoomKind.UNSPECIFIED && kind !== RoomKind.CHANNEL) {
    throw TrunklineError.invalid("kind", "the tenant's announcements are a channel");
  }
  validateOpen(joinRule);
}

/** Rejects a join rule that would promise what does not hold. */
export function validateOpen(joinRule: JoinRule): void {
  if (joinRule === JoinRule.INVITE) {
    throw TrunklineError.invalid("join_rule", "everybody of the tenant reads the announcements");
  }
}

/** A page of the rooms that a user is a member of, with the announcements in their place. */
export function withAnnouncements(roomIds: readonly string[], { after, limit }: Page): readonly string[] {
  if (ANNOUNCEMENTS_ID <= after || roomIds.includes(ANNOUNCEMENTS_ID)) return roomIds;
  return [...roomIds, ANNOUNCEMENTS_ID].sort().slice(0, limit);
}
