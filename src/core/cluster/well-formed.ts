// What may stand in a question of another node.

import type { Room } from "../../gen/trunkline/cluster/v1/peer_pb.js";
import { TrunklineError } from "../../ports/error.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import { validateId } from "../validate.js";

/** Users, documents, events or messages in one question or answer, at most. */
const MAX_ENTRIES = 10_000;

/** The room that a question is about. Throws INVALID_ARGUMENT. */
export function roomOf(field: string, room: Room | undefined): RoomRef {
  if (room === undefined) throw TrunklineError.invalid(field, "is missing");
  validateId(`${field}.tenant_id`, room.tenantId);
  validateId(`${field}.room_id`, room.roomId);
  return roomRef(room.tenantId, room.roomId);
}

export function requireShort(field: string, text: string, length: number): void {
  if (text.length > length) throw TrunklineError.invalid(field, `at most ${length} bytes`);
}

export function requireFew(field: string, count: number): void {
  if (count > MAX_ENTRIES) throw TrunklineError.invalid(field, `at most ${MAX_ENTRIES}`);
}
