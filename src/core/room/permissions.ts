// Who may do what in a room: the one place that decides.

import { type Member, Permission, Role, type Room, RoomKind, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Identity } from "../../ports/token-verifier.js";
import { isAnnouncements } from "./announcements.js";
import type { Caller } from "./calls.js";
import type { RoomState } from "./state.js";

const READER: readonly Permission[] = [Permission.READ];
const MEMBER: readonly Permission[] = [
  ...READER,
  Permission.PUBLISH,
  Permission.EDIT_OWN,
  Permission.DELETE_OWN,
  Permission.REACT,
  Permission.SEE_MEMBERS,
  Permission.SEE_PRESENCE,
  Permission.SIGNAL,
  Permission.START_CALL,
];
const ADMIN: readonly Permission[] = [
  ...MEMBER,
  Permission.EDIT_ANY,
  Permission.DELETE_ANY,
  Permission.PIN,
  Permission.INVITE,
  Permission.REMOVE,
  Permission.SET_ROLES,
  Permission.UPDATE_ROOM,
  Permission.CREATE_SUB_ROOMS,
];
const OWNER: readonly Permission[] = [...ADMIN, Permission.DELETE_ROOM];

/** What each role gives. `Member.granted` and `Member.denied` change it for one member. */
const ROLE_PERMISSIONS: ReadonlyMap<Role, ReadonlySet<Permission>> = new Map([
  [Role.OWNER, new Set(OWNER)],
  [Role.ADMIN, new Set(ADMIN)],
  [Role.MEMBER, new Set(MEMBER)],
  [Role.READER, new Set(READER)],
]);

/** Permissions that change who is in a room: a direct room has its two users and nobody else, a room under another that one's members. */
const MEMBERSHIP: ReadonlySet<Permission> = new Set([Permission.INVITE, Permission.REMOVE, Permission.SET_ROLES]);

/** Permissions that change what a room is, or end it. */
const MAKING: ReadonlySet<Permission> = new Set([Permission.UPDATE_ROOM, Permission.DELETE_ROOM]);

/** Permissions that nobody has in the tenant's announcements, and why. */
const NOT_IN_ANNOUNCEMENTS: ReadonlyMap<Permission, string> = new Map([
  [Permission.DELETE_ROOM, "the tenant's announcements stay: archive them"],
  [Permission.CREATE_SUB_ROOMS, "no rooms are made under the tenant's announcements"],
  [Permission.SEE_PRESENCE, "the tenant's announcements show nobody's presence"],
]);

/** What rooms can be under: rooms under those would be rooms of nobody in particular. */
const ROOTS: ReadonlySet<RoomKind> = new Set([RoomKind.GROUP, RoomKind.CHANNEL]);

/** Permissions that change a room, or speak in it: not in an archived one, save for updating it back to active or deleting it. */
const WRITES: ReadonlySet<Permission> = new Set([
  Permission.PUBLISH,
  Permission.EDIT_OWN,
  Permission.EDIT_ANY,
  Permission.DELETE_OWN,
  Permission.DELETE_ANY,
  Permission.REACT,
  Permission.PIN,
  Permission.INVITE,
  Permission.REMOVE,
  Permission.SET_ROLES,
  Permission.SIGNAL,
  Permission.CREATE_SUB_ROOMS,
]);

/** A tenant's administrators act as owners of every room of it, members or not. */
export function isAdministrator(identity: Identity): boolean {
  return identity.grants.has("admin");
}

/** What a tenant's backend services may do in every room of it, inboxes too, as members or not. */
const SERVICE: ReadonlySet<Permission> = new Set([
  Permission.READ,
  Permission.PUBLISH,
  Permission.EDIT_ANY,
  Permission.DELETE_ANY,
  Permission.PIN,
  Permission.SIGNAL,
  Permission.SEE_MEMBERS,
  Permission.SEE_PRESENCE,
  Permission.CREATE_SUB_ROOMS,
]);

export function isService(identity: Identity): boolean {
  return identity.grants.has("service");
}

/** Whether the grants of an identity give it the permission in every room. */
export function isGranted(identity: Identity, permission: Permission): boolean {
  return isAdministrator(identity) || (isService(identity) && SERVICE.has(permission));
}

/** Higher may change lower. */
export function rank(role: Role): number {
  switch (role) {
    case Role.OWNER:
      return 4;
    case Role.ADMIN:
      return 3;
    case Role.MEMBER:
      return 2;
    case Role.READER:
      return 1;
    case Role.UNSPECIFIED:
      return 0;
  }
}

export function hasPermission(member: Member, permission: Permission): boolean {
  if (member.denied.includes(permission)) return false;
  return member.granted.includes(permission) || ROLE_PERMISSIONS.get(member.role)?.has(permission) === true;
}

export function mayRead(member: Member | undefined): boolean {
  return member !== undefined && hasPermission(member, Permission.READ);
}

/** Throws unless the tenant's announcements may be made by this one. */
export function requireAnnouncer(identity: Identity): void {
  if (isAdministrator(identity) || isService(identity)) return;
  throw new TrunklineError(
    ErrorCode.PERMISSION_DENIED,
    "only services and administrators make the tenant's announcements",
  );
}

/** The room, if it exists and was not deleted. */
export function requireRoom(room: Room | undefined): Room {
  if (room === undefined || room.status === RoomStatus.DELETED) {
    throw new TrunklineError(ErrorCode.NOT_FOUND, "there is no such room");
  }
  return room;
}

/** The room, if the caller may do `permission` in it now. */
export function permit(state: RoomState, caller: Caller, permission: Permission, nowMs: number): Room {
  const room = requireRoom(state.room);
  authorize(room, state.member(caller.identity.userId), caller.identity, permission, nowMs);
  return room;
}

/** Throws where the caller is one of the two users of a direct room, and one of them has blocked the other. */
export function requireUnblocked({ room, blocked, directUsers }: RoomState, { identity, onBehalfOf }: Caller): void {
  // A service that speaks as one of the two is held to what they are.
  if (!blocked || (room !== undefined && !directUsers.includes(onBehalfOf ?? identity.userId))) return;
  throw new TrunklineError(ErrorCode.BLOCKED, "one of you has blocked the other");
}

/** Throws unless `identity`, whose membership is `member`, may do `permission` in `room` now. */
export function authorize(
  room: Room,
  member: Member | undefined,
  identity: Identity,
  permission: Permission,
  nowMs: number,
): void {
  if (room.kind === RoomKind.DIRECT && MEMBERSHIP.has(permission)) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "a direct room has its two users and nobody else");
  }
  if (room.kind === RoomKind.INBOX && (MEMBERSHIP.has(permission) || MAKING.has(permission))) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "an inbox is its user's alone, and stays");
  }
  if (room.parentId !== "" && MEMBERSHIP.has(permission)) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "the room has the members of the one it is under", {
      details: { parent_id: room.parentId },
    });
  }
  const never = isAnnouncements(room.roomId) ? NOT_IN_ANNOUNCEMENTS.get(permission) : undefined;
  if (never !== undefined) throw new TrunklineError(ErrorCode.PERMISSION_DENIED, never);
  if (permission === Permission.CREATE_SUB_ROOMS && (room.parentId !== "" || !ROOTS.has(room.kind))) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "rooms are made under groups and channels only");
  }
  if (room.status === RoomStatus.ARCHIVED && WRITES.has(permission)) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "the room is archived");
  }
  if (isGranted(identity, permission)) return;
  if (member === undefined) throw new TrunklineError(ErrorCode.NOT_A_MEMBER, "you are not a member of the room");
  if (!hasPermission(member, permission)) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, `your role lacks ${Permission[permission]}`, {
      details: { permission: Permission[permission] ?? String(permission) },
    });
  }
  if (permission === Permission.PUBLISH || permission === Permission.SIGNAL) requireUnmuted(member, nowMs);
}

/** Whether a member, whose room is active, may send signals now. */
export function maySignal(member: Member, nowMs: number): boolean {
  return hasPermission(member, Permission.SIGNAL) && mutedForMs(member, nowMs) <= 0;
}

function mutedForMs({ mutedUntil }: Member, nowMs: number): number {
  return mutedUntil === undefined ? 0 : Number(mutedUntil.seconds) * 1_000 + mutedUntil.nanos / 1e6 - nowMs;
}

function requireUnmuted(member: Member, nowMs: number): void {
  const retryAfterMs = mutedForMs(member, nowMs);
  if (retryAfterMs <= 0) return;
  throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "you are muted in this room", { retryAfterMs });
}
