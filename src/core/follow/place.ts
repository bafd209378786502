// Where who reads a shard's log begins, and where they go on.

import type { Archive } from "../../ports/archive.js";
import { type EventLog, LogExpired, type LogRecord } from "../../ports/event-log.js";
import type { CoreDependencies } from "../core.js";

/** Where the reader of this name goes on in a shard that is this node's now. One that has never run begins at the log's end, and is remembered there. */
export async function beginAt(
  archive: Archive,
  name: string,
  { shard, end }: { readonly shard: number; readonly end: number },
): Promise<number> {
  const known = await archive.followed(name, shard);
  if (known !== undefined) return known;
  await archive.follow(name, shard, end);
  return end;
}

/** Where a reader goes on. */
export interface Begun {
  readonly at: number;
  /** The number of its term. Undefined: its place is moved by whoever has come farther. */
  readonly term?: number;
}

/** What there is from an offset on. */
export interface ReadOn {
  /** The offset asked for, or where the log begins now: what stood between is gone. */
  readonly at: number;
  readonly records: readonly LogRecord[];
}

/** Reads as the log does, but goes on where it begins where it no longer goes back so far. */
export async function readOn(log: Pick<EventLog, "read">, shard: number, from: number, limit: number): Promise<ReadOn> {
  for (let at = from; ; ) {
    try {
      return { at, records: await log.read(shard, at, limit) };
    } catch (cause) {
      if (!(cause instanceof LogExpired)) throw cause;
      at = cause.begins;
    }
  }
}

/** The same for a follower, with a loud word about what is lost to it. */
export async function followOn(
  { log, telemetry }: Pick<CoreDependencies, "log" | "telemetry">,
  follower: string,
  place: { readonly shard: number; readonly over: boolean },
  from: number,
  limit: number,
): Promise<ReadOn> {
  const { shard } = place;
  const read = await readOn(log, shard, from, limit);
  if (read.at > from && !place.over) telemetry.emit("follower.lost", { follower, shard, from, to: read.at });
  return read;
}
