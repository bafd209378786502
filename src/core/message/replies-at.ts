// How many replies messages had at a place: what is read of them may have come further. Whoever follows the room from that place counts the later
// ones themselves; all else that an event changes is the same when it is changed again.

import { clone } from "@bufbuild/protobuf";
import { MessageDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import type { RoomEvent } from "../../gen/trunkline/v1/message_pb.js";
import type { Archive, StoredMessage } from "../../ports/archive.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { PAGE_BYTES } from "../limit/limits.js";

/** Events that are looked at, at most: many more than a room may have while a page is read. */
const MAX_EVENTS = 1_000;

/** The messages, each with as many replies as it had at `seq`. */
export async function repliesAt(
  archive: Pick<Archive, "events" | "message">,
  ref: RoomRef,
  stored: readonly StoredMessage[],
  seq: number,
): Promise<readonly StoredMessage[]> {
  const last = stored.reduce((most, { document }) => Math.max(most, document?.appliedSeq ?? 0), 0);
  if (last <= seq) return stored;
  const range = { from: seq + 1, to: last, limit: MAX_EVENTS, maxBytes: PAGE_BYTES };
  const counted: Counted[] = [];
  for (const { seq: at, event } of await archive.events(ref, range)) {
    const change = await countedBy(archive, ref, event);
    if (change !== undefined) counted.push({ ...change, at });
  }
  return stored.map((entry) => before(entry, counted));
}

/** One reply more or less, at an event. */
interface Counted {
  readonly root: string;
  readonly by: 1 | -1;
  readonly at: number;
}

async function countedBy(
  archive: Pick<Archive, "message">,
  ref: RoomRef,
  { kind }: RoomEvent,
): Promise<Omit<Counted, "at"> | undefined> {
  if (kind.case === "messageCreated") return { root: kind.value.threadRoot, by: 1 };
  if (kind.case !== "messageDeleted") return undefined;
  const deleted = await archive.message(ref, kind.value.messageId);
  return { root: deleted?.document?.message?.threadRoot ?? "", by: -1 };
}

/** As it was before what is counted. */
function before(entry: StoredMessage, counted: readonly Counted[]): StoredMessage {
  const { document } = entry;
  const { message, appliedSeq = 0 } = document ?? {};
  const replies = counted.filter(({ root, at }) => root === message?.messageId && at <= appliedSeq);
  if (document === undefined || replies.length === 0) return entry;
  const copy = clone(MessageDocumentSchema, document);
  if (copy.message !== undefined) copy.message.replyCount -= replies.reduce((sum, { by }) => sum + by, 0);
  return { ...entry, document: copy };
}
