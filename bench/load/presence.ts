// The load of `presence`: everybody in small rooms goes away and comes back, and everybody in the room who watches sees it.

import { create, fromBinary } from "@bufbuild/protobuf";
import {
  PresenceStatus,
  ServerFrameSchema,
  SetPresenceSchema,
  WatchPresenceSchema,
} from "../../src/gen/trunkline/v1/session_pb.js";
import type { Session } from "../client/session.js";
import { clientFrame } from "../client/wire.js";
import { CONNECTING_AT_ONCE, memberAt, openCrowd } from "./crowd.js";
import { CrowdSight, type CrowdWindowInput, measureCrowd } from "./crowd-window.js";
import { mapPooled } from "./pool.js";

/** `rate`: changes of status. */
export type PresenceInput = CrowdWindowInput;

export interface PresenceOutcome {
  readonly cpuUsPerFlip: number;
  /** Frames of changes that all members get, per change of status. */
  readonly deliveriesPerFlip: number;
  /** From when a change was due until a member of the room has it. */
  readonly visibleP50Ms: number;
  readonly visibleP99Ms: number;
  /** Changes that were seen before their member's next one, over all. */
  readonly visibleRatio: number;
  readonly generatorCpu: number;
}

/** ServerFrame.presence_changes = 14, as its tag's byte. */
const CHANGES_TAG = (14 << 3) | 2;
/** How long to wait for what is still on its way at the end. */
const GRACE_MS = 1_000;

interface Member {
  readonly session: Session;
  readonly away: Buffer;
  readonly online: Buffer;
}

export async function runPresence(input: PresenceInput): Promise<PresenceOutcome> {
  const users = input.rooms * input.membersPerRoom;
  const sight = new Sight(users);
  const members = await openMembers(input, sight);
  const { first, last, serverCpuUs, generatorCpu } = await measureCrowd(input, {
    sight,
    members,
    send: (n, dueMs) => {
      const at = n % users;
      const leaves = Math.floor(n / users) % 2 === 0;
      sight.awaited.changed(at, leaves ? PresenceStatus.AWAY : PresenceStatus.ONLINE, dueMs);
      const member = members[at];
      if (member !== undefined) member.session.wire.write(leaves ? member.away : member.online);
    },
    count: () => sight.deliveries,
    graceMs: GRACE_MS,
  });
  const { latencies, changes } = sight.awaited;
  return {
    cpuUsPerFlip: serverCpuUs / changes,
    deliveriesPerFlip: (last - first) / changes,
    visibleP50Ms: latencies.quantile(0.5),
    visibleP99Ms: latencies.quantile(0.99),
    visibleRatio: latencies.total / changes,
    generatorCpu,
  };
}

class Sight extends CrowdSight {
  decode(bytes: Uint8Array): void {
    const { frame } = fromBinary(ServerFrameSchema, bytes);
    if (frame.case !== "presenceChanges") return;
    const now = performance.now();
    for (const { userId, status } of frame.value.presences) {
      this.awaited.saw(memberAt(userId), status, now);
    }
  }
}

async function openMembers(input: PresenceInput, sight: Sight): Promise<readonly Member[]> {
  const crowd = await openCrowd(input, CHANGES_TAG, sight);
  await mapPooled(crowd.length, CONNECTING_AT_ONCE, async (at) => {
    const { session, roomId = "" } = crowd[at] ?? {};
    await session?.ask({ case: "watchPresence", value: create(WatchPresenceSchema, { roomIds: [roomId] }) });
  });
  return crowd.map(({ session }) => ({
    session,
    away: statusFrame(session, PresenceStatus.AWAY),
    online: statusFrame(session, PresenceStatus.ONLINE),
  }));
}

function statusFrame({ wire }: Session, status: PresenceStatus): Buffer {
  return wire.encode(clientFrame(0, { case: "setPresence", value: create(SetPresenceSchema, { status }) }));
}
