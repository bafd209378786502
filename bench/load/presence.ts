// The load of `presence`: everybody in small rooms goes away and comes back, and everybody in the room who watches sees it.

import { setTimeout as pause } from "node:timers/promises";
import { create, fromBinary } from "@bufbuild/protobuf";
import {
  PresenceStatus,
  ServerFrameSchema,
  SetPresenceSchema,
  WatchPresenceSchema,
} from "../../src/gen/trunkline/v1/session_pb.js";
import type { Session } from "../client/session.js";
import { clientFrame } from "../client/wire.js";
import { cpuMicros } from "../process/proc.js";
import { Awaited } from "./awaited.js";
import { CONNECTING_AT_ONCE, type CrowdInput, memberAt, openCrowd } from "./crowd.js";
import { dueAt, pace, type Schedule } from "./pace.js";
import { mapPooled } from "./pool.js";

export interface PresenceInput extends CrowdInput {
  /** Changes of status a second, over all members. */
  readonly rate: number;
  readonly warmupMs: number;
  readonly windowMs: number;
}

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
  const watch = new Watch(users);
  const members = await openMembers(input, watch);
  const intervalMs = 1000 / input.rate;
  const count = Math.round((input.warmupMs + input.windowMs) / intervalMs);
  const schedule: Schedule = { startAt: performance.now() + GRACE_MS, intervalMs, count };
  const sending = pace(schedule, (n) => {
    const at = n % users;
    const leaves = Math.floor(n / users) % 2 === 0;
    watch.awaited.changed(at, leaves ? PresenceStatus.AWAY : PresenceStatus.ONLINE, dueAt(schedule, n));
    const member = members[at];
    if (member !== undefined) member.session.wire.write(leaves ? member.away : member.online);
  });
  await pause(schedule.startAt + input.warmupMs - performance.now());
  watch.awaited.begin();
  const before = snapshot(input.target.pid, watch);
  await pause(dueAt(schedule, count) - performance.now());
  const after = snapshot(input.target.pid, watch);
  await sending;
  await pause(GRACE_MS);
  for (const { session } of members) session.destroy();
  if (watch.failed !== undefined) throw new Error(watch.failed);
  const { latencies, changes } = watch.awaited;
  return {
    cpuUsPerFlip: (after.serverCpu - before.serverCpu) / changes,
    deliveriesPerFlip: (after.deliveries - before.deliveries) / changes,
    visibleP50Ms: latencies.quantile(0.5),
    visibleP99Ms: latencies.quantile(0.99),
    visibleRatio: latencies.total / changes,
    generatorCpu: (after.ownCpu - before.ownCpu) / 1000 / (after.at - before.at),
  };
}

function snapshot(pid: number, { deliveries }: Watch) {
  return { at: performance.now(), serverCpu: cpuMicros(pid), ownCpu: cpuMicros(process.pid), deliveries };
}

/** What members get: all count, one per room decodes. */
class Watch {
  deliveries = 0;
  failed: string | undefined;
  readonly awaited: Awaited;

  constructor(users: number) {
    this.awaited = new Awaited(users);
  }

  decode(bytes: Uint8Array): void {
    const { frame } = fromBinary(ServerFrameSchema, bytes);
    if (frame.case !== "presenceChanges") return;
    const now = performance.now();
    for (const { userId, status } of frame.value.presences) {
      this.awaited.saw(memberAt(userId), status, now);
    }
  }
}

async function openMembers(input: PresenceInput, watch: Watch): Promise<readonly Member[]> {
  const crowd = await openCrowd(input, CHANGES_TAG, watch);
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
