// What the log has of a shard and the archive has not, folded by the shard's new owner: its rooms are then as they were, and the archive is
// written behind them as ever.

import type { RoomEvent } from "../../gen/trunkline/v1/message_pb.js";
import { levelOf } from "../../ports/event-level.js";
import type { LogRecord } from "../../ports/event-log.js";
import type { RoomReading } from "../archive/room-reading.js";
import type { Actors } from "./actors.js";
import { Batch } from "./batch.js";
import { loadMessages } from "./message-loading.js";
import type { Room } from "./room.js";
import type { RoomState } from "./state.js";
import { unavailable } from "./unavailable.js";

/** Events that are written together. */
const BATCH_EVENTS = 1_000;

/** Events up to an offset of the log, and what follows from them. */
export interface Recovered {
  readonly end: number;
  readonly batch: Batch;
}

/** A log that was opened. */
export interface Opening {
  readonly tail: readonly LogRecord[];
  readonly end: number;
  /** The shard was given up meanwhile: its actors are those of whoever opens it next. */
  readonly isOver: () => boolean;
}

/**
 * Folds the tail of a log, and gives what the archive is to be told, in order. Rejects with UNAVAILABLE where the shard's last owner still writes
 * what it had under way: it is soon done; with NewerEvents where this version cannot fold an event.
 */
export async function recover(
  { tail, end, isOver }: Opening,
  actors: Actors,
  archive: RoomReading,
): Promise<readonly Recovered[]> {
  const recovered: Recovered[] = [];
  const rooms = new Set<Room>();
  let batch = new Batch(0, true);
  const close = (upTo: number): void => {
    // The documents as they are after these events, and before the next.
    batch.seal();
    recovered.push({ end: upTo, batch });
    batch = new Batch(0, true);
  };
  for (const { room: ref, event: encoded, offset } of tail) {
    if (batch.size >= BATCH_EVENTS) close(offset);
    const { event } = encoded;
    levelOf(event);
    const room = await actors.load(ref, usersOf(event));
    await requireUnwritten(room.state, archive);
    if (room.state.root !== undefined) await requireUnwritten(room.state.root, archive);
    await loadMessages(archive, room, messagesOf(event), event.kind.case === "messageDeleted");
    if (isOver()) return [];
    batch.add(room, [room.replay(encoded)]);
    rooms.add(room);
  }
  close(end);
  for (const room of rooms) room.settle(room.state.seq, room.state.tag);
  return recovered;
}

/** Rejects where the room's document was written after it was read: its count of members is then of another moment than their documents. */
async function requireUnwritten({ ref, seq, loadedSeq }: RoomState, archive: RoomReading): Promise<void> {
  if (loadedSeq <= seq) return;
  const stored = await archive.room(ref);
  if ((stored?.appliedSeq ?? 0) > seq) throw unavailable("the shard's last owner still writes to the archive");
}

/** Whose standing an event changes. */
function usersOf({ kind, actor }: RoomEvent): readonly string[] {
  switch (kind.case) {
    case "roomCreated":
      return kind.value.members.map(({ userId }) => userId);
    case "memberJoined":
    case "memberChanged":
      return kind.value.member === undefined ? [] : [kind.value.member.userId];
    case "memberLeft":
      return [kind.value.userId];
    case "messageCreated":
      // Slow mode notes when they last spoke.
      return actor === undefined ? [] : [actor.userId];
    default:
      return [];
  }
}

/** The messages that an event changes. */
function messagesOf({ kind }: RoomEvent): readonly string[] {
  switch (kind.case) {
    case "messageCreated":
      return kind.value.threadRoot === "" ? [] : [kind.value.threadRoot];
    case "messageEdited":
    case "messageDeleted":
    case "reactionSet":
    case "messagePinned":
      return [kind.value.messageId];
    default:
      return [];
  }
}
