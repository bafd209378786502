// The judgement of what the application says of who is in a room.

import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { MemberSchema, Role, RoomKind } from "../../gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Caller } from "./calls.js";
import type { Command, EventKind } from "./command.js";
import * as event from "./event-kinds.js";
import { requireRoom } from "./permissions.js";
import type { RoomState } from "./state.js";

type Of<K extends Command["kind"]> = Extract<Command, { kind: K }>;

/** What a member is whom nobody has given a role. */
export function defaultRole(kind: RoomKind): Role {
  return kind === RoomKind.CHANNEL ? Role.READER : Role.MEMBER;
}

/** Whoever is no member becomes one, also of an archived room, which they may read. A ban holds. */
export function decideAdmit(
  state: RoomState,
  caller: Caller,
  { userId, role, entering }: Of<"admit">,
  nowMs: number,
): readonly EventKind[] {
  const { kind } = requireRoom(state.room);
  const { member, banned } = state.standing(userId);
  if (member === undefined) {
    if (!entering) return [];
    if (banned) throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "you are banned from the room");
    const joinedAt = timestampFromMs(nowMs);
    const { displayName } = caller.identity;
    const joining = role === Role.UNSPECIFIED ? defaultRole(kind) : role;
    return [event.memberJoined(create(MemberSchema, { userId, role: joining, joinedAt, displayName }))];
  }
  if (role === Role.UNSPECIFIED || role === member.role) return [];
  const next = clone(MemberSchema, member);
  next.role = role;
  // An owner is denied nothing.
  if (role === Role.OWNER) next.denied = [];
  return [event.memberChanged(next)];
}

/** Also of the last owner: the application decides who is in the room. They may come back when it says so. */
export function decideExpel(state: RoomState, { userId }: Of<"expel">): readonly EventKind[] {
  requireRoom(state.room);
  return state.member(userId) === undefined ? [] : [event.memberLeft(userId, false)];
}
