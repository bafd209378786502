// The judgement of a command: limit, validate against the state, and the events that follow. Pure and synchronous.

import { clone, create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  JoinRule,
  type Member,
  MemberSchema,
  Permission,
  Role,
  type Room,
  RoomKind,
  RoomSchema,
  RoomStatus,
} from "../../gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { isAnnouncements, validateOpen } from "./announcements.js";
import type { Caller } from "./calls.js";
import type { Command, EventKind, NewMember } from "./command.js";
import { decideAdmit, decideExpel, defaultRole } from "./decide-admission.js";
import { decideArchiveIdle, isWoken } from "./decide-archiving.js";
import {
  decideDeleteMessage,
  decideDeliver,
  decideEdit,
  decidePin,
  decidePublish,
  decideReact,
} from "./decide-message.js";
import { decideBlock, decideHide, decideSettings } from "./decide-user.js";
import * as event from "./event-kinds.js";
import {
  hasPermission,
  isAdministrator,
  permit,
  rank,
  requireAnnouncer,
  requireRoom,
  requireUnblocked,
} from "./permissions.js";
import type { RoomState } from "./state.js";

type Of<K extends Command["kind"]> = Extract<Command, { kind: K }>;

/** The events a command makes, in order; empty: nothing has to change. Throws the refusal. */
export function decide(state: RoomState, caller: Caller, command: Command, nowMs: number): readonly EventKind[] {
  switch (command.kind) {
    case "create":
      return decideCreate(state, caller, command, nowMs);
    case "join":
      return decideJoin(state, caller, nowMs);
    case "publish":
      return decidePublish(state, caller, command, nowMs);
    case "edit":
      return decideEdit(state, caller, command, nowMs);
    case "deleteMessage":
      return decideDeleteMessage(state, caller, command, nowMs);
    case "react":
      return decideReact(state, caller, command, nowMs);
    case "pin":
      return decidePin(state, caller, command, nowMs);
    case "tell":
      return [...decideInbox(state, command.userId, nowMs), command.event];
    case "deliver":
      return [...decideInbox(state, command.userId, nowMs), decideDeliver(state, caller, command)];
    case "openInbox":
      return decideInbox(state, command.userId, nowMs);
    case "setSettings":
      return inInbox(state, caller, nowMs, decideSettings(state, command));
    case "block":
      return inInbox(state, caller, nowMs, decideBlock(state, command));
    case "hide":
      return inInbox(state, caller, nowMs, decideHide(command));
    case "update":
      return decideUpdate(state, caller, command, nowMs);
    case "delete":
      permit(state, caller, Permission.DELETE_ROOM, nowMs);
      return [event.roomDeleted()];
    case "deleteWithRoot":
      return decideDeleteWithRoot(state);
    case "archiveIdle":
      return decideArchiveIdle(state, command);
    case "leave":
      return decideLeave(state, caller);
    case "add":
      return decideAdd(state, caller, command, nowMs);
    case "remove":
      return decideRemove(state, caller, command, nowMs);
    case "set":
      return decideSet(state, caller, command, nowMs);
    case "admit":
      return decideAdmit(state, caller, command, nowMs);
    case "expel":
      return decideExpel(state, command);
  }
}

/** The role a caller acts as when it changes other members. */
function actingRank(state: RoomState, caller: Caller): number {
  if (isAdministrator(caller.identity)) return rank(Role.OWNER);
  return rank(state.member(caller.identity.userId)?.role ?? Role.UNSPECIFIED);
}

function decideCreate(state: RoomState, caller: Caller, command: Of<"create">, nowMs: number): readonly EventKind[] {
  const { root } = state;
  if (root !== undefined) permit(root, caller, Permission.CREATE_SUB_ROOMS, nowMs);
  if (isAnnouncements(state.ref.roomId)) requireAnnouncer(caller.identity);
  const room = state.own;
  if (room !== undefined) {
    // Both users of a direct room may be the first to speak; the second finds it there, which is what it wanted.
    if (room.kind === RoomKind.DIRECT && room.status !== RoomStatus.DELETED) return [];
    throw new TrunklineError(ErrorCode.ALREADY_EXISTS, "the room id is taken", { field: "room_id" });
  }
  const direct = command.roomKind === RoomKind.DIRECT;
  if (direct) requireUnblocked(state, caller);
  const createdAt = timestampFromMs(nowMs);
  const member = ({ userId, role }: NewMember, displayName: string): Member =>
    create(MemberSchema, { userId, role, joinedAt: createdAt, displayName });
  const { userId, displayName } = caller.identity;
  const others = new Map<string, NewMember>();
  for (const other of command.members) {
    if (other.userId !== userId && !others.has(other.userId)) others.set(other.userId, other);
  }
  const owner = member({ userId, role: direct ? Role.MEMBER : Role.OWNER }, displayName);
  return [
    event.roomCreated(
      create(RoomSchema, {
        roomId: state.ref.roomId,
        parentId: root?.ref.roomId,
        kind: root?.own?.kind ?? command.roomKind,
        status: RoomStatus.ACTIVE,
        name: command.name,
        metadata: command.metadata,
        version: 1,
        createdAt,
        createdBy: userId,
        joinRule: command.joinRule,
        settings: command.settings,
      }),
      root !== undefined
        ? []
        : [owner, ...[...others.values()].map((other) => member(withDefaultRole(other, command.roomKind), ""))],
    ),
  ];
}

/** The user reads their inbox and nothing else; what comes into it comes from the system and from services. */
function decideInbox(state: RoomState, userId: string, nowMs: number): readonly EventKind[] {
  if (state.room !== undefined) return [];
  const createdAt = timestampFromMs(nowMs);
  const room = create(RoomSchema, {
    roomId: state.ref.roomId,
    kind: RoomKind.INBOX,
    status: RoomStatus.ACTIVE,
    version: 1,
    createdAt,
    joinRule: JoinRule.INVITE,
  });
  return [event.roomCreated(room, [create(MemberSchema, { userId, role: Role.READER, joinedAt: createdAt })])];
}

/** The user's own changes, and before them their inbox where there is none. */
function inInbox(state: RoomState, caller: Caller, nowMs: number, events: readonly EventKind[]): readonly EventKind[] {
  return events.length === 0 ? events : [...decideInbox(state, caller.identity.userId, nowMs), ...events];
}

function withDefaultRole({ userId, role }: NewMember, kind: RoomKind): NewMember {
  if (kind === RoomKind.DIRECT) return { userId, role: Role.MEMBER };
  return { userId, role: role !== Role.UNSPECIFIED ? role : defaultRole(kind) };
}

function decideJoin(state: RoomState, caller: Caller, nowMs: number): readonly EventKind[] {
  const room = requireRoom(state.room);
  const { userId, displayName } = caller.identity;
  const standing = state.standing(userId);
  if (standing.member !== undefined) return [];
  if (room.kind === RoomKind.DIRECT)
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "a direct room has its two users and nobody else");
  if (room.parentId !== "") throw membersOfRoot(room);
  if (standing.banned) throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "you are banned from the room");
  if (room.status === RoomStatus.ARCHIVED)
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "the room is archived");
  if (room.joinRule !== JoinRule.OPEN && !isAdministrator(caller.identity)) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "the room is joined by invitation");
  }
  return [
    event.memberJoined(
      create(MemberSchema, { userId, role: defaultRole(room.kind), joinedAt: timestampFromMs(nowMs), displayName }),
    ),
  ];
}

function decideLeave(state: RoomState, caller: Caller): readonly EventKind[] {
  const room = requireRoom(state.room);
  const member = state.member(caller.identity.userId);
  if (member === undefined) throw new TrunklineError(ErrorCode.NOT_A_MEMBER, "you are not a member of the room");
  if (room.kind === RoomKind.DIRECT)
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "a direct room cannot be left");
  if (room.kind === RoomKind.INBOX) throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "an inbox cannot be left");
  if (room.parentId !== "") throw membersOfRoot(room);
  if (isAnnouncements(room.roomId)) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "the tenant's announcements cannot be left");
  }
  if (member.role === Role.OWNER) requireAnotherOwner(state);
  return [event.memberLeft(member.userId, false)];
}

function membersOfRoot({ parentId }: Room): TrunklineError {
  return new TrunklineError(ErrorCode.PERMISSION_DENIED, "the room has the members of the one it is under", {
    details: { parent_id: parentId },
  });
}

function requireAnotherOwner(state: RoomState): void {
  if (state.ownerCount <= 1) {
    throw new TrunklineError(
      ErrorCode.PERMISSION_DENIED,
      "the room would have no owner: name another first, or delete it",
    );
  }
}

function decideUpdate(state: RoomState, caller: Caller, command: Of<"update">, nowMs: number): readonly EventKind[] {
  const woken = isWoken(caller, command);
  const room = woken ? requireRoom(state.room) : permit(state, caller, Permission.UPDATE_ROOM, nowMs);
  if (woken && state.own?.status === RoomStatus.ACTIVE) return [];
  if (command.baseVersion !== 0 && command.baseVersion !== room.version) {
    throw new TrunklineError(ErrorCode.CONFLICT, "the room has changed since", {
      field: "base_version",
      details: { current_version: String(room.version) },
    });
  }
  if (room.kind === RoomKind.DIRECT && command.joinRule === JoinRule.OPEN) {
    throw TrunklineError.invalid("join_rule", "a direct room cannot be open");
  }
  if (room.parentId !== "" && command.joinRule !== JoinRule.UNSPECIFIED) {
    throw TrunklineError.invalid("join_rule", "the room has the members of the one it is under");
  }
  if (isAnnouncements(room.roomId)) validateOpen(command.joinRule);
  // Not as its root makes it look.
  const next = clone(RoomSchema, state.own ?? room);
  if (command.name !== undefined) next.name = command.name;
  if (command.metadata !== undefined) next.metadata = command.metadata;
  if (command.settings !== undefined) next.settings = command.settings;
  if (command.joinRule !== JoinRule.UNSPECIFIED) next.joinRule = command.joinRule;
  if (command.status !== RoomStatus.UNSPECIFIED) next.status = command.status;
  next.version = room.version + 1;
  return [event.roomUpdated(next)];
}

/** What the root's end has done already is said in the room itself, so that what it holds is cleared away. */
function decideDeleteWithRoot({ root, own }: RoomState): readonly EventKind[] {
  const over = own === undefined || own.status === RoomStatus.DELETED || root?.own?.status !== RoomStatus.DELETED;
  return over ? [] : [event.roomDeleted()];
}

function decideAdd(state: RoomState, caller: Caller, command: Of<"add">, nowMs: number): readonly EventKind[] {
  const room = permit(state, caller, Permission.INVITE, nowMs);
  const acting = actingRank(state, caller);
  const added = new Set<string>();
  const events: EventKind[] = [];
  for (const [index, asked] of command.members.entries()) {
    const { userId, role } = withDefaultRole(asked, room.kind);
    if (state.recorded(userId) !== undefined || added.has(userId)) continue;
    if (rank(role) > acting) {
      throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "you cannot give a role above your own", {
        field: `members[${index}].role`,
      });
    }
    added.add(userId);
    events.push(event.memberJoined(create(MemberSchema, { userId, role, joinedAt: timestampFromMs(nowMs) })));
  }
  return events;
}

/** The member to be changed, if the caller stands above it. */
function requireBelow(state: RoomState, caller: Caller, userId: string): Member {
  const member = state.member(userId);
  if (member === undefined) {
    throw new TrunklineError(ErrorCode.NOT_FOUND, "the user is not a member of the room", { field: "user_id" });
  }
  const acting = actingRank(state, caller);
  // Owners are equals and may change one another; everybody else only those below.
  if (acting < rank(Role.OWNER) && rank(member.role) >= acting) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "the member's role is not below your own", {
      field: "user_id",
    });
  }
  return member;
}

function decideRemove(state: RoomState, caller: Caller, command: Of<"remove">, nowMs: number): readonly EventKind[] {
  const room = permit(state, caller, Permission.REMOVE, nowMs);
  if (isAnnouncements(room.roomId) && !command.ban) {
    throw TrunklineError.invalid("ban", "only a ban keeps anybody from the tenant's announcements");
  }
  const member = requireBelow(state, caller, command.userId);
  if (member.role === Role.OWNER) requireAnotherOwner(state);
  return [event.memberLeft(command.userId, command.ban)];
}

function decideSet(state: RoomState, caller: Caller, command: Of<"set">, nowMs: number): readonly EventKind[] {
  const muting = command.muteForMs !== undefined;
  const changing = command.role !== Role.UNSPECIFIED || command.overrides !== undefined;
  if (changing || !muting) permit(state, caller, Permission.SET_ROLES, nowMs);
  if (muting) permit(state, caller, Permission.REMOVE, nowMs);
  const member = requireBelow(state, caller, command.userId);
  const acting = actingRank(state, caller);
  if (rank(command.role) > acting) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "you cannot give a role above your own", { field: "role" });
  }
  if (member.role === Role.OWNER && command.role !== Role.UNSPECIFIED && command.role !== Role.OWNER)
    requireAnotherOwner(state);
  const next = clone(MemberSchema, member);
  if (command.role !== Role.UNSPECIFIED) next.role = command.role;
  if (command.overrides !== undefined) {
    requireHeld(state, caller, command.overrides.granted);
    next.granted = [...command.overrides.granted];
    next.denied = [...command.overrides.denied];
  }
  if (next.role === Role.OWNER) {
    // Or a room could be left with owners of whom none may set a role or delete it.
    if ((command.overrides?.denied.length ?? 0) > 0) {
      throw TrunklineError.invalid("overrides.denied", "an owner is denied nothing: give another role");
    }
    next.denied = [];
  }
  if (command.muteForMs !== undefined) {
    next.mutedUntil = command.muteForMs === 0 ? undefined : timestampFromMs(nowMs + command.muteForMs);
  }
  return [event.memberChanged(next)];
}

/** Nobody gives away a permission they do not hold. */
function requireHeld(state: RoomState, caller: Caller, granted: readonly Permission[]): void {
  if (isAdministrator(caller.identity)) return;
  const member = state.member(caller.identity.userId);
  for (const [index, permission] of granted.entries()) {
    if (member !== undefined && hasPermission(member, permission)) continue;
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "you cannot give a right you do not have", {
      field: `overrides.granted[${index}]`,
    });
  }
}
