// The kinds of room events, made.

import { create } from "@bufbuild/protobuf";
import {
  type Member,
  MemberChangedSchema,
  MemberJoinedSchema,
  MemberLeftSchema,
  type Room,
  RoomCreatedSchema,
  RoomDeletedSchema,
  RoomUpdatedSchema,
} from "../../gen/trunkline/v1/message_pb.js";
import type { EventKind } from "./command.js";

export function roomCreated(room: Room, members: Member[]): EventKind {
  return { case: "roomCreated", value: create(RoomCreatedSchema, { room, members }) };
}

export function roomUpdated(room: Room): EventKind {
  return { case: "roomUpdated", value: create(RoomUpdatedSchema, { room }) };
}

export function roomDeleted(): EventKind {
  return { case: "roomDeleted", value: create(RoomDeletedSchema) };
}

export function memberJoined(member: Member): EventKind {
  return { case: "memberJoined", value: create(MemberJoinedSchema, { member }) };
}

export function memberChanged(member: Member): EventKind {
  return { case: "memberChanged", value: create(MemberChangedSchema, { member }) };
}

export function memberLeft(userId: string, banned: boolean): EventKind {
  return { case: "memberLeft", value: create(MemberLeftSchema, { userId, banned }) };
}
