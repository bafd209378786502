// The judgement of what archives a room that nobody uses, and of what wakes it.

import { clone } from "@bufbuild/protobuf";
import { JoinRule, RoomSchema, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type { Caller } from "./calls.js";
import type { Command, EventKind } from "./command.js";
import * as event from "./event-kinds.js";
import { isService } from "./permissions.js";
import type { RoomState } from "./state.js";

type Of<K extends Command["kind"]> = Extract<Command, { kind: K }>;

/** Whoever said or changed something meanwhile has begun the time anew. */
export function decideArchiveIdle({ own, activeAtMs }: RoomState, command: Of<"archiveIdle">): readonly EventKind[] {
  if (own?.status !== RoomStatus.ACTIVE || activeAtMs > command.activeAtMs) return [];
  return [event.roomUpdated({ ...clone(RoomSchema, own), status: RoomStatus.ARCHIVED, version: own.version + 1 })];
}

/**
 * Whether a service wakes the room, and nothing else. It has no right over rooms, but what it has to say in one may be what the room was kept
 * for.
 */
export function isWoken({ identity }: Caller, command: Of<"update">): boolean {
  const { name, metadata, settings, joinRule, status } = command;
  const unchanged = name === undefined && metadata === undefined && settings === undefined;
  return isService(identity) && status === RoomStatus.ACTIVE && unchanged && joinRule === JoinRule.UNSPECIFIED;
}
