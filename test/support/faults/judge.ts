// The judgement of a crowd's rooms, once nothing fails any more.

import { setTimeout as pause } from "node:timers/promises";
import type { Schema } from "../client/index.js";
import { checkHistory, type Finding, type RoomHistory, type SeenEvent } from "../history/history.js";
import type { FaultyCluster } from "./cluster.js";
import type { Crowd } from "./crowd.js";
import { readArchive } from "./read-archive.js";
import { readLog } from "./read-log.js";

/** How long what was begun may take to be answered, who reads to catch up, and the archive to be written, in milliseconds. */
const ANSWERED_MS = 60_000;
const CAUGHT_UP_MS = 60_000;
const ARCHIVED_MS = 60_000;
const LOOK_AGAIN_MS = 500;

export interface JudgedRoom {
  readonly roomId: string;
  readonly history: RoomHistory;
  readonly findings: readonly Finding[];
}

export interface Verdict {
  /** The rooms in which a promise was broken. */
  readonly rooms: readonly JudgedRoom[];
  /** What no node does, whatever happens to it. */
  readonly violations: readonly string[];
  readonly events: number;
  /** Records of the log that came too late to count. */
  readonly voids: number;
}

/** Ends the crowd's talk, waits until everybody and the archive have come to the end, and judges. */
export async function judge(cluster: FaultyCluster, crowd: Crowd, schema: Schema): Promise<Verdict> {
  const unanswered = await crowd.finish(ANSWERED_MS);
  const { rooms: stored, voids } = await readLog(cluster.kafka.url, cluster.topic, schema);
  await crowd.catchUp(stored, CAUGHT_UP_MS);
  const archived = await archivedAll(cluster, crowd, stored, schema);
  const judged = crowd.roomIds.map((roomId): JudgedRoom => {
    const key = crowd.keyOf(roomId);
    const history = crowd.history(roomId, stored.get(key) ?? [], archived.get(key) ?? []);
    return { roomId, history, findings: checkHistory(history) };
  });
  return {
    rooms: judged.filter(({ findings }) => findings.length > 0),
    violations: [...unanswered, ...crowd.violations()],
    events: judged.reduce((sum, { history }) => sum + history.stored.length, 0),
    voids,
  };
}

/** The archive once it has as many events of each room as the log, or what it has when that takes too long. */
async function archivedAll(
  cluster: FaultyCluster,
  crowd: Crowd,
  stored: ReadonlyMap<string, readonly SeenEvent[]>,
  schema: Schema,
): Promise<ReadonlyMap<string, readonly SeenEvent[]>> {
  const keys = crowd.roomIds.map((roomId) => crowd.keyOf(roomId));
  const deadline = performance.now() + ARCHIVED_MS;
  for (;;) {
    const archived = await readArchive(cluster.mongo.url, cluster.database, keys, schema);
    const behind = keys.some((key) => (archived.get(key)?.length ?? 0) < (stored.get(key)?.length ?? 0));
    if (!behind || performance.now() > deadline) return archived;
    await pause(LOOK_AGAIN_MS);
  }
}
