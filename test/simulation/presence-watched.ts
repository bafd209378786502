// While nothing happens, whoever watches users sees those of them as they are who share a room with them and have not blocked them, and nobody else.

import { RoomKind } from "../../src/gen/trunkline/v1/message_pb.js";
import { PresenceStatus } from "../../src/gen/trunkline/v1/session_pb.js";
import type { Checker } from "./checker.js";
import { type ChoosingDevice, presenceOf } from "./presence-record.js";
import type { PresenceWatch } from "./presence-watch.js";

/** A device as others see its user, and as it sees them. */
export interface WatchingDevice extends ChoosingDevice {
  readonly name: string;
  readonly tenantId: string;
  readonly userId: string;
  readonly watching: PresenceWatch;
}

/** What differs between how a device sees whom it watches and how they are, if anything. */
export function seenWrongly(
  checker: Checker,
  devices: readonly WatchingDevice[],
  watcher: WatchingDevice,
): string | undefined {
  if (!watcher.live) return undefined;
  const { tenantId, userId: own, watching } = watcher;
  for (const userId of watching.userIds) {
    const seen = watching.statusOf(userId);
    const isShown = mayBeSeen(checker, tenantId, own, userId);
    const theirs = devices.filter((device) => device.tenantId === tenantId && device.userId === userId);
    const expected = isShown ? presenceOf(theirs) : PresenceStatus.OFFLINE;
    if (seen === expected) continue;
    const as = seen === undefined ? "not at all" : PresenceStatus[seen];
    return `${watcher.name} sees ${userId} ${as}, not ${PresenceStatus[expected]}${isShown ? "" : ", whom it may not see"}`;
  }
  return undefined;
}

function mayBeSeen(checker: Checker, tenantId: string, by: string, userId: string): boolean {
  if (userId === by) return true;
  if (checker.inbox(tenantId, userId)?.user?.blocked.has(by) === true) return false;
  for (const [key, room] of checker.rooms) {
    if (
      !key.startsWith(`${tenantId}/`) ||
      room.kind === RoomKind.INBOX ||
      room.isAnnouncements ||
      room.root !== undefined
    )
      continue;
    if (room.deletedAt === undefined && room.members.has(by) && room.members.has(userId)) return true;
  }
  return false;
}
