// When a room is idle: the rules. What is judged in its turn and what is looked up beside it agree on them.

import { type Room, type RoomEvent, RoomKind, RoomStatus } from "../../gen/trunkline/v1/message_pb.js";
import type { Limits } from "../limit/limits.js";
import { isAnnouncements } from "./announcements.js";

/** `RoomSettings.archive_after_s` of a room that is never archived by itself. */
const NEVER_S = 0xffff_ffff;
/** Shortest time, in milliseconds: a look that comes to nothing is repeated sooner. */
export const MIN_ARCHIVE_AFTER_MS = 60_000;
/** Looks that are ahead of a room at most: each update asks for one. */
const LOOKS_AHEAD = 8;

/** How long the room may be idle before it is archived, in milliseconds. Undefined: for ever. */
export function archiveAfterMs(room: Room | undefined, limits: Limits): number | undefined {
  if (room === undefined || room.status !== RoomStatus.ACTIVE || room.parentId !== "") return undefined;
  if (room.kind !== RoomKind.GROUP && room.kind !== RoomKind.CHANNEL) return undefined;
  const ownS = room.settings?.archiveAfterS ?? 0;
  if (ownS === NEVER_S) return undefined;
  // Where something is said once a year, too.
  if (ownS === 0 && isAnnouncements(room.roomId)) return undefined;
  const afterMs = ownS === 0 ? limits.archiveAfterMs : ownS * 1_000;
  return afterMs === 0 ? undefined : Math.max(afterMs, MIN_ARCHIVE_AFTER_MS);
}

/**
 * When to look whether a room that was active then is idle. Up to an eighth of its time too early, so that looks asked for one after the
 * other are the same; always later than `nowMs`.
 */
export function lookAtMs(activeAtMs: number, afterMs: number, nowMs: number): number {
  const dueMs = Math.max(activeAtMs + afterMs, nowMs + 1);
  const stepMs = Math.ceil(afterMs / LOOKS_AHEAD);
  const early = Math.floor(dueMs / stepMs) * stepMs;
  return early > nowMs ? early : dueMs;
}

/** Whether somebody who looks at the room sees that it is in use by this. */
export function isActivity({ case: kind }: RoomEvent["kind"]): boolean {
  return kind === "messageCreated" || kind === "roomCreated" || kind === "roomUpdated";
}
