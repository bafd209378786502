// Where a stated position lies in a room: whether it is of this history, and which message stands at or before it.

import type { Position } from "../../gen/trunkline/v1/message_pb.js";
import type { Archive } from "../../ports/archive.js";
import { TrunklineError } from "../../ports/error.js";
import type { RoomRef } from "../../ports/room-ref.js";

/** The durable end of a room. */
export interface Top {
  readonly seq: number;
  readonly tag: number;
  /** message_index of the last message. */
  readonly lastIndex: number;
}

/** message_index at or before `position`; the message at `knownIndex` is before it. Rejects what cannot be a position of this room. */
export async function messageIndexAt(
  archive: Archive,
  ref: RoomRef,
  top: Top,
  field: string,
  position: Position,
  knownIndex: number,
): Promise<number> {
  const { seq, tag } = position;
  if (seq > top.seq) throw TrunklineError.invalid(field, `is beyond the room's end at ${top.seq}`);
  if (seq === top.seq) {
    if (tag !== top.tag) throw otherHistory(field);
    return top.lastIndex;
  }
  const [event] = await archive.events(ref, { from: seq, to: seq, limit: 1, maxBytes: 1 });
  // One that is no longer kept cannot be compared; it is of the past in any case.
  if (event !== undefined && event.tag !== tag) throw otherHistory(field);
  const kind = event?.event.kind;
  if (kind?.case === "messageCreated") return kind.value.messageIndex;
  return await lastIndexUpTo(archive, ref, seq, knownIndex, top.lastIndex, event !== undefined);
}

/** The largest message_index created at or before `seq`, from `low` to `high`. `kept`: what is not kept any more is older than `seq`. */
async function lastIndexUpTo(
  archive: Archive,
  ref: RoomRef,
  seq: number,
  low: number,
  high: number,
  kept: boolean,
): Promise<number> {
  let [from, to] = [Math.min(low, high), high];
  while (from < to) {
    const middle = Math.ceil((from + to) / 2);
    const [found] = await archive.messages(ref, { afterIndex: middle - 1, limit: 1 });
    const createdSeq = found?.document?.message?.position?.seq ?? found?.created?.seq;
    const reached = createdSeq === undefined ? kept : createdSeq <= seq;
    if (reached) from = middle;
    else to = middle - 1;
  }
  return from;
}

function otherHistory(field: string): TrunklineError {
  return TrunklineError.invalid(field, "is of another history of the room: its tag differs");
}
