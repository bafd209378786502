// The ids of a room's last events as they are stored, so that a new owner recognises a repeat without asking for each command.

import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { RoomReading } from "../archive/room-reading.js";
import { REMEMBER_MS } from "./recent.js";
import type { Room } from "./room.js";

/** Events read at once, and in all: a busier room is looked up for each command. */
const PAGE = 512;
const MOST = 4_096;
/** Bytes read at once, at most: of longer events only the first are read, and the room is looked up. */
const PAGE_BYTES = 4 * 1024 * 1024;
/** How far the clocks of two nodes may be apart, in milliseconds. */
const CLOCKS_APART_MS = 60_000;

/** All ids of durable events that are young enough to be repeated as a first try; undefined: they are too many. */
export async function recentIds(
  archive: Pick<RoomReading, "events">,
  { ref, durableSeq }: Pick<Room, "ref" | "durableSeq">,
  nowMs: number,
): Promise<ReadonlySet<string> | undefined> {
  const ids = new Set<string>();
  const sinceMs = nowMs - REMEMBER_MS - CLOCKS_APART_MS;
  let to = durableSeq;
  while (to > 0) {
    if (ids.size >= MOST) return undefined;
    const from = Math.max(to - PAGE + 1, 1);
    const page = await archive.events(ref, { from, to, limit: PAGE, maxBytes: PAGE_BYTES });
    const last = page.at(-1);
    // Purged: what is not there cannot be repeated by whoever has the room still.
    if (last === undefined) return ids;
    if (last.seq !== to) return undefined;
    for (const { event } of page) ids.add(event.eventId);
    const [first] = page;
    const at = first?.event.createdAt;
    if (first === undefined || first.seq > from || (at !== undefined && timestampMs(at) < sinceMs)) return ids;
    to = from - 1;
  }
  return ids;
}
