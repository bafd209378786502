// The judgement of what archives a room that nobody uses.

import { clone } from "@bufbuild/protobuf";
import { RoomSchema, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type { Command, EventKind } from "./command.js";
import * as event from "./event-kinds.js";
import type { RoomState } from "./state.js";

type Of<K extends Command["kind"]> = Extract<Command, { kind: K }>;

/** Whoever said or changed something meanwhile has begun the time anew. */
export function decideArchiveIdle({ own, activeAtMs }: RoomState, command: Of<"archiveIdle">): readonly EventKind[] {
  if (own?.status !== RoomStatus.ACTIVE || activeAtMs > command.activeAtMs) return [];
  return [event.roomUpdated({ ...clone(RoomSchema, own), status: RoomStatus.ARCHIVED, version: own.version + 1 })];
}
