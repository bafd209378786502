// RoomService: requests validated, turned into commands or reads, and answered.

import { create } from "@bufbuild/protobuf";
import { JoinRule, Permission, PositionSchema, RoomKind, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import * as rpc from "../../gen/trunkline/v1/room_pb.js";
import type { MessageRef } from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { SUB_ROOM_MARK } from "../../ports/shard.js";
import type { CoreDependencies } from "../core.js";
import type { PresenceCore } from "../presence/presence.js";
import type { Receipts } from "../receipt/receipts.js";
import * as validate from "../validate.js";
import { SYSTEM_ID_PREFIX } from "../validate.js";
import { isAnnouncements, validateAnnouncements } from "./announcements.js";
import type { Caller, Forwarding, RoomCalls, RoomRequest, RoomResponse } from "./calls.js";
import type { Command, NewMember, Outcome } from "./command.js";
import { makeDirect } from "./direct.js";
import type { RoomOwner } from "./owner.js";
import { RoomReader } from "./reader.js";
import { isSubRoom } from "./sub-room.js";
import { UserService } from "./user-service.js";

export class RoomService implements RoomCalls, Forwarding {
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;
  readonly #receipts: Receipts;
  readonly #reader: RoomReader;
  readonly #users: UserService;
  readonly #presence: PresenceCore;

  constructor(deps: CoreDependencies, owner: RoomOwner, receipts: Receipts, presence: PresenceCore) {
    this.#deps = deps;
    this.#owner = owner;
    this.#receipts = receipts;
    this.#presence = presence;
    this.#reader = new RoomReader(deps, owner, receipts);
    this.#users = new UserService(deps, owner, this.#reader);
  }

  async call(caller: Caller, request: RoomRequest): Promise<RoomResponse> {
    switch (request.case) {
      case "createRoom":
        return { case: request.case, value: await this.#createRoom(caller, request.value) };
      case "getRoom":
        return { case: request.case, value: await this.#getRoom(caller, request.value) };
      case "updateRoom":
        return { case: request.case, value: await this.#updateRoom(caller, request.value) };
      case "deleteRoom":
        return { case: request.case, value: await this.#deleteRoom(caller, request.value) };
      case "joinRoom":
        return { case: request.case, value: await this.#joinRoom(caller, request.value) };
      case "leaveRoom":
        return { case: request.case, value: await this.#leaveRoom(caller, request.value) };
      case "addMembers":
        return { case: request.case, value: await this.#addMembers(caller, request.value) };
      case "removeMember":
        return { case: request.case, value: await this.#removeMember(caller, request.value) };
      case "setMember":
        return { case: request.case, value: await this.#setMember(caller, request.value) };
      case "listMembers":
        return { case: request.case, value: await this.#reader.listMembers(caller, request.value) };
      case "listRooms":
        return { case: request.case, value: await this.#reader.listRooms(caller, request.value) };
      case "getHistory":
        return { case: request.case, value: await this.#reader.getHistory(caller, request.value) };
      case "getEvents":
        return { case: request.case, value: await this.#reader.getEvents(caller, request.value) };
      case "pinMessage":
        return { case: request.case, value: await this.#pinMessage(caller, request.value) };
      case "getReceipts":
        return { case: request.case, value: await this.#receipts.getReceipts(caller, request.value) };
      case "listMarkers":
        return { case: request.case, value: await this.#receipts.listMarkers(caller, request.value) };
      case "getReceiptPrivacy":
        return { case: request.case, value: await this.#receipts.getPrivacy(caller) };
      case "setReceiptPrivacy":
        return { case: request.case, value: await this.#receipts.setPrivacy(caller, request.value) };
      case "listDevices":
        return { case: request.case, value: await this.#presence.listDevices(caller) };
      case "closeDevice":
        return { case: request.case, value: await this.#presence.closeDevice(caller, request.value) };
      case "hideMessage":
        return { case: request.case, value: await this.#users.hideMessage(caller, request.value) };
      case "blockUser":
        return { case: request.case, value: await this.#users.blockUser(caller, request.value) };
      case "listBlockedUsers":
        return { case: request.case, value: await this.#users.listBlockedUsers(caller, request.value) };
      case "getSettings":
        return { case: request.case, value: await this.#users.getSettings(caller, request.value) };
      case "setSettings":
        return { case: request.case, value: await this.#users.setSettings(caller, request.value) };
    }
  }

  forwarded(caller: Caller, message: MessageRef): ReturnType<Forwarding["forwarded"]> {
    return this.#reader.forwarded(caller, message);
  }

  async #createRoom(caller: Caller, request: rpc.CreateRoomRequest): Promise<rpc.CreateRoomResponse> {
    validate.validateId("key", request.key);
    validate.validateRoomKind("kind", request.kind);
    validate.validateName("name", request.name);
    validate.validateMetadata("metadata", request.metadata, this.#deps.tenants.of(caller.identity.tenantId));
    validate.validateSettings("settings", request.settings);
    // That of its parent, where it has one.
    const kind = request.kind === RoomKind.UNSPECIFIED ? usualKind(request) : request.kind;
    const members = this.#newMembers(request.members);
    const command: Command = {
      kind: "create",
      key: request.key,
      attempt: request.attempt,
      roomKind: kind,
      name: request.name,
      members,
      joinRule: joinRuleOf(request.joinRule, kind),
      metadata: request.metadata,
      settings: request.settings,
    };
    const outcome =
      kind === RoomKind.DIRECT && request.parentId === ""
        ? await this.#makeDirect(caller, members, command)
        : await this.#submit(this.#newRef(caller, request), caller, command);
    return create(rpc.CreateRoomResponseSchema, {
      room: outcome.room,
      member: memberOf(outcome, caller.identity.userId),
      position: positionOf(outcome),
    });
  }

  #makeDirect(caller: Caller, members: readonly NewMember[], command: Command): Promise<Outcome> {
    const { tenantId, userId } = caller.identity;
    const [other] = members;
    if (members.length !== 1 || other === undefined || other.userId === userId) {
      throw TrunklineError.invalid("members", "a direct room takes exactly one other user");
    }
    const users = [userId, other.userId] as const;
    return makeDirect(this.#deps.ids, tenantId, users, (ref) => this.#submit(ref, caller, command));
  }

  /** Where the room will be: an id that is not chosen is derived, so that a repeat finds the same room. */
  #newRoomRef(caller: Caller, request: rpc.CreateRoomRequest): RoomRef {
    const { tenantId, userId } = caller.identity;
    if (request.roomId === "")
      return roomRef(tenantId, `r.${this.#deps.ids.digest(`${tenantId}/${userId}/${request.key}`)}`);
    validate.validateId("room_id", request.roomId);
    if (isAnnouncements(request.roomId)) {
      validateAnnouncements(request);
      return roomRef(tenantId, request.roomId);
    }
    if (request.roomId.startsWith(SYSTEM_ID_PREFIX)) {
      throw TrunklineError.invalid("room_id", `ids beginning with "${SYSTEM_ID_PREFIX}" are the system's`);
    }
    if (isSubRoom(request.roomId)) {
      throw TrunklineError.invalid("room_id", `"${SUB_ROOM_MARK}" is for rooms under another: name that as parent_id`);
    }
    return roomRef(tenantId, request.roomId);
  }

  #newRef(caller: Caller, request: rpc.CreateRoomRequest): RoomRef {
    return request.parentId === "" ? this.#newRoomRef(caller, request) : this.#newSubRoomRef(caller, request);
  }

  /** A room under another says so in its id. */
  #newSubRoomRef({ identity }: Caller, request: rpc.CreateRoomRequest): RoomRef {
    const { roomId, parentId, key } = request;
    validate.validateId("parent_id", parentId);
    if (isSubRoom(parentId)) throw TrunklineError.invalid("parent_id", "is itself under a room");
    if (request.kind !== RoomKind.UNSPECIFIED) throw TrunklineError.invalid("kind", "is that of the parent");
    if (request.members.length > 0) throw TrunklineError.invalid("members", "are those of the room it is under");
    if (request.joinRule !== JoinRule.UNSPECIFIED) throw TrunklineError.invalid("join_rule", "the parent is joined");
    const { tenantId, userId } = identity;
    const prefix = `${parentId}${SUB_ROOM_MARK}`;
    const id = roomId === "" ? `${prefix}r.${this.#deps.ids.digest(`${tenantId}/${userId}/${key}`)}` : roomId;
    validate.validateId("room_id", id);
    if (!id.startsWith(prefix) || id.length === prefix.length || id.includes(SUB_ROOM_MARK, prefix.length)) {
      throw TrunklineError.invalid("room_id", `is not "${prefix}" and a name without "${SUB_ROOM_MARK}"`);
    }
    return roomRef(tenantId, id);
  }

  #newMembers(members: readonly rpc.NewMember[]): readonly NewMember[] {
    const { maxMembersPerCall } = this.#deps.limits;
    if (members.length > maxMembersPerCall) throw TrunklineError.tooLarge("members", maxMembersPerCall, "users");
    for (const [index, { userId, role }] of members.entries()) {
      validate.validateId(`members[${index}].user_id`, userId);
      validate.validateRole(`members[${index}].role`, role);
    }
    return members;
  }

  async #getRoom(caller: Caller, request: rpc.GetRoomRequest): Promise<rpc.GetRoomResponse> {
    const ref = refOf(caller, request.roomId);
    const { userId } = caller.identity;
    return await this.#owner.read(ref, caller, Permission.READ, ({ state }) =>
      create(rpc.GetRoomResponseSchema, { room: state.view(), member: state.member(userId) }),
    );
  }

  async #updateRoom(caller: Caller, request: rpc.UpdateRoomRequest): Promise<rpc.UpdateRoomResponse> {
    if (request.name !== undefined) validate.validateName("name", request.name);
    validate.validateMetadata("metadata", request.metadata, this.#deps.tenants.of(caller.identity.tenantId));
    validate.validateSettings("settings", request.settings);
    if (JoinRule[request.joinRule] === undefined) throw TrunklineError.invalid("join_rule", "there is no such rule");
    if (![RoomStatus.UNSPECIFIED, RoomStatus.ACTIVE, RoomStatus.ARCHIVED].includes(request.status)) {
      throw TrunklineError.invalid("status", "only ACTIVE or ARCHIVED can be set");
    }
    const outcome = await this.#change(caller, request, {
      kind: "update",
      baseVersion: request.baseVersion,
      name: request.name,
      metadata: request.metadata,
      settings: request.settings,
      joinRule: request.joinRule,
      status: request.status,
    });
    return create(rpc.UpdateRoomResponseSchema, { room: outcome.room, position: positionOf(outcome) });
  }

  async #deleteRoom(caller: Caller, request: rpc.DeleteRoomRequest): Promise<rpc.DeleteRoomResponse> {
    const outcome = await this.#change(caller, request, { kind: "delete" });
    return create(rpc.DeleteRoomResponseSchema, { position: positionOf(outcome) });
  }

  async #joinRoom(caller: Caller, request: rpc.JoinRoomRequest): Promise<rpc.JoinRoomResponse> {
    const join = () => this.#change(caller, request, { kind: "join" });
    const outcome = await join().catch(async (error: unknown) => {
      await this.#openRoom(caller, request, TrunklineError.from(error));
      return await join();
    });
    return create(rpc.JoinRoomResponseSchema, {
      room: outcome.room,
      member: memberOf(outcome, caller.identity.userId),
      position: positionOf(outcome),
    });
  }

  /** Makes a room that was joined before it was there, where that is the rule. */
  async #openRoom(
    caller: Caller,
    { roomId, key, attempt }: rpc.JoinRoomRequest,
    refusal: TrunklineError,
  ): Promise<void> {
    const open = this.#deps.limits.openRooms && refusal.code === ErrorCode.NOT_FOUND;
    if (!open || roomId.startsWith(SYSTEM_ID_PREFIX) || isSubRoom(roomId)) throw refusal;
    try {
      await this.#submit(refOf(caller, roomId), caller, {
        kind: "create",
        // The key itself is that of joining.
        key: `~open.${key}`,
        attempt,
        roomKind: RoomKind.GROUP,
        name: "",
        members: [],
        joinRule: JoinRule.OPEN,
        metadata: undefined,
        settings: undefined,
      });
    } catch (error) {
      // Somebody was faster, or it was deleted: joining will tell.
      if (TrunklineError.from(error).code !== ErrorCode.ALREADY_EXISTS) throw error;
    }
  }

  async #leaveRoom(caller: Caller, request: rpc.LeaveRoomRequest): Promise<rpc.LeaveRoomResponse> {
    const outcome = await this.#change(caller, request, { kind: "leave" });
    return create(rpc.LeaveRoomResponseSchema, { position: positionOf(outcome) });
  }

  async #addMembers(caller: Caller, request: rpc.AddMembersRequest): Promise<rpc.AddMembersResponse> {
    if (request.members.length === 0) throw TrunklineError.invalid("members", "is empty");
    const members = this.#newMembers(request.members);
    const outcome = await this.#change(caller, request, { kind: "add", members });
    const asked = new Set(members.map(({ userId }) => userId));
    return create(rpc.AddMembersResponseSchema, {
      members: outcome.members.filter(({ userId }) => asked.has(userId)),
      position: positionOf(outcome),
    });
  }

  async #removeMember(caller: Caller, request: rpc.RemoveMemberRequest): Promise<rpc.RemoveMemberResponse> {
    validate.validateId("user_id", request.userId);
    const outcome = await this.#change(caller, request, { kind: "remove", userId: request.userId, ban: request.ban });
    return create(rpc.RemoveMemberResponseSchema, { position: positionOf(outcome) });
  }

  async #setMember(caller: Caller, request: rpc.SetMemberRequest): Promise<rpc.SetMemberResponse> {
    validate.validateId("user_id", request.userId);
    validate.validateRole("role", request.role);
    for (const list of ["granted", "denied"] as const) {
      for (const [index, permission] of (request.overrides?.[list] ?? []).entries()) {
        if (permission === Permission.UNSPECIFIED || Permission[permission] === undefined) {
          throw TrunklineError.invalid(`overrides.${list}[${index}]`, "there is no such permission");
        }
      }
    }
    const outcome = await this.#change(caller, request, {
      kind: "set",
      userId: request.userId,
      role: request.role,
      overrides: request.overrides,
      muteForMs: request.muteForMs,
    });
    return create(rpc.SetMemberResponseSchema, {
      member: memberOf(outcome, request.userId),
      position: positionOf(outcome),
    });
  }

  async #pinMessage(caller: Caller, request: rpc.PinMessageRequest): Promise<rpc.PinMessageResponse> {
    const { messageId, pinned } = request;
    validate.validateId("message_id", messageId);
    const outcome = await this.#change(caller, request, { kind: "pin", messageId, pinned });
    return create(rpc.PinMessageResponseSchema, { position: positionOf(outcome) });
  }

  /** A change of an existing room. */
  async #change(
    caller: Caller,
    request: { readonly roomId: string; readonly key: string; readonly attempt: number },
    command: Unkeyed,
  ): Promise<Outcome> {
    const ref = refOf(caller, request.roomId);
    validate.validateId("key", request.key);
    return await this.#submit(ref, caller, { ...command, key: request.key, attempt: request.attempt });
  }

  #submit(ref: RoomRef, caller: Caller, command: Command): Promise<Outcome> {
    return this.#owner.submit(ref, caller, command).outcome;
  }
}

type Unkeyed = Command extends infer C ? (C extends Command ? Omit<C, "key" | "attempt"> : never) : never;

function refOf(caller: Caller, roomId: string): RoomRef {
  validate.validateId("room_id", roomId);
  return roomRef(caller.identity.tenantId, roomId);
}

function positionOf({ seq, tag }: Outcome) {
  return create(PositionSchema, { seq, tag });
}

function memberOf(outcome: Outcome, userId: string) {
  return outcome.members.find((member) => member.userId === userId);
}

function usualKind({ roomId }: rpc.CreateRoomRequest): RoomKind {
  return isAnnouncements(roomId) ? RoomKind.CHANNEL : RoomKind.GROUP;
}

function joinRuleOf(asked: JoinRule, kind: RoomKind): JoinRule {
  if (kind === RoomKind.DIRECT) return JoinRule.INVITE;
  if (JoinRule[asked] === undefined) throw TrunklineError.invalid("join_rule", "there is no such rule");
  if (asked !== JoinRule.UNSPECIFIED) return asked;
  return kind === RoomKind.CHANNEL ? JoinRule.OPEN : JoinRule.INVITE;
}
