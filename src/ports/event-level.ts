// Which kinds of events a version can fold. Nodes of several versions may run at the same time: one that folded past a kind that it does not know
// would have another room than the others.

import type { RoomEvent } from "../gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "./error.js";

/** The level that each kind came with. A new kind has one more than all before it, and is written once every node of the cluster has its level. */
const LEVELS: Readonly<Record<NonNullable<RoomEvent["kind"]["case"]>, number>> = {
  messageCreated: 1,
  messageEdited: 1,
  messageDeleted: 1,
  reactionSet: 1,
  messagePinned: 1,
  memberJoined: 1,
  memberLeft: 1,
  memberChanged: 1,
  roomCreated: 1,
  roomUpdated: 1,
  roomDeleted: 1,
  addedToRoom: 1,
  removedFromRoom: 1,
  mentioned: 1,
  messageHidden: 1,
  userBlocked: 1,
  settingChanged: 1,
};

/** When what waits for the last node's new version may be tried again, in milliseconds. */
const UPGRADE_RETRY_MS = 5_000;

/** This version's: it folds every kind up to it. */
export const FEATURE_LEVEL = Math.max(...Object.values(LEVELS));

/** The shard's events are of a newer version than this node: it cannot own it. */
export class NewerEvents extends TrunklineError {
  constructor(message: string) {
    super(ErrorCode.UNAVAILABLE, message, { retryAfterMs: 1_000 });
  }
}

/** The level of an event's kind. Throws NewerEvents for one that this version does not know. */
export function levelOf({ kind, position }: RoomEvent): number {
  if (kind.case !== undefined) return LEVELS[kind.case];
  throw new NewerEvents(`event ${position?.seq} of a room is of a kind that only newer versions know`);
}

/** Throws UNAVAILABLE where not every node of the cluster can fold these kinds yet. */
export function requireLevel(kinds: readonly RoomEvent["kind"][], level: number): void {
  for (const { case: kind } of kinds) {
    if (kind === undefined || LEVELS[kind] <= level) continue;
    const message = "not every node of the cluster knows this yet: it waits until all are of the new version";
    throw new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: UPGRADE_RETRY_MS });
  }
}

/** The highest level of these events, 1 at least. As levelOf. */
export function levelOfAll(events: Iterable<RoomEvent>): number {
  let level = 1;
  for (const event of events) level = Math.max(level, levelOf(event));
  return level;
}
