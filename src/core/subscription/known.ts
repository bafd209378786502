// Whether who was asked for events of a room knows them. In a cluster two nodes may believe to own a room: the one that is behind has nothing of
// what the other has said, and that is not the same as nothing that is kept.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { TrunklineError } from "../../ports/error.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";
import { readOn } from "../follow/place.js";
import { shardOf } from "../room/position.js";
import { unavailable } from "../room/unavailable.js";

/** Records of the log that are looked through at once. */
const LOG_PAGE = 500;

/** Events up to a place that there is. Rejects with UNAVAILABLE where none is known, and one node alone would keep none: whatever a cluster removes, a later event says so. */
export function knownEvents(
  { cluster }: Pick<CoreDependencies, "cluster">,
  events: Awaitable<readonly EncodedEvent[]>,
): Awaitable<readonly EncodedEvent[]> {
  if (cluster === undefined) return events;
  return isPromise(events) ? events.then(some) : some(events);
}

function some(events: readonly EncodedEvent[]): readonly EncodedEvent[] {
  if (events.length === 0) throw behind();
  return events;
}

/** Rejects with UNAVAILABLE where this place of the room, which there is, is not known to who is asked now. */
export async function requireKnown(
  { cluster, archive }: Pick<CoreDependencies, "cluster" | "archive">,
  ref: RoomRef,
  seq: number,
): Promise<void> {
  if (cluster !== undefined) some(await archive.events(ref, { from: seq, to: seq, limit: 1, maxBytes: 1 }));
}

/**
 * Rejects with UNAVAILABLE where the room has come to this place, though who was asked for its top does not know: it stands in the archive, or in
 * the log behind what is archived.
 */
export async function requireUnknown(
  { cluster, archive, log }: Pick<CoreDependencies, "cluster" | "archive" | "log">,
  ref: RoomRef,
  { seq, tag }: { readonly seq: number; readonly tag: number },
): Promise<void> {
  if (cluster === undefined) return;
  const shard = shardOf(ref.key, log.shards);
  // Asked for first: what is archived meanwhile is found in the log all the same.
  let from = await archive.archived(shard);
  const [event] = await archive.events(ref, { from: seq, to: seq, limit: 1, maxBytes: 1 });
  if (event?.seq === seq && event.tag === tag) throw behind();
  for (;;) {
    const { at, records } = await readOn(log, shard, from, LOG_PAGE);
    // What the log has let go of is archived.
    from = at;
    if (records.some(({ room, event: { seq: at } }) => room.key === ref.key && at >= seq)) throw behind();
    const last = records.at(-1);
    if (records.length < LOG_PAGE || last === undefined) return;
    from = last.offset + 1;
  }
}

function behind(): TrunklineError {
  return unavailable("the room's owner does not know all of the room yet");
}
