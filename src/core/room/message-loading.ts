// The messages of a room that something is about, read before it is done.

import type { RoomReading } from "../archive/room-reading.js";
import { isPromise } from "../awaitable.js";
import type { Missing } from "../message/room-messages.js";
import type { Room } from "./room.js";

/** What of these messages must be read first. `withBodies`: and what they say, or said. */
export function missingOf(room: Room, messageIds: readonly string[], withBodies: boolean): Missing | undefined {
  if (messageIds.length === 0) return undefined;
  const missing = room.state.messages.missing(messageIds, withBodies);
  return missing.messages.length + missing.bodies.length === 0 ? undefined : missing;
}

/** Reads them, and what they draw in. Undefined: they are there. */
export function loadMessages(
  archive: Pick<RoomReading, "message" | "events">,
  room: Room,
  messageIds: readonly string[],
  withBodies: boolean,
): PromiseLike<void> | undefined {
  const { messages } = room.state;
  for (;;) {
    const missing = missingOf(room, messageIds, withBodies);
    if (missing === undefined) return undefined;
    const waiting: PromiseLike<void>[] = [];
    for (const messageId of missing.messages) {
      const stored = archive.message(room.ref, messageId);
      if (isPromise(stored)) waiting.push(stored.then((found) => messages.load(messageId, found)));
      else messages.load(messageId, stored);
    }
    for (const seq of missing.bodies) {
      const events = archive.events(room.ref, { from: seq, to: seq, limit: 1, maxBytes: 1 });
      if (isPromise(events)) waiting.push(events.then(([found]) => messages.loadBody(seq, found?.event)));
      else messages.loadBody(seq, events[0]?.event);
    }
    if (waiting.length > 0) {
      return Promise.all(waiting).then(() => loadMessages(archive, room, messageIds, withBodies));
    }
  }
}
