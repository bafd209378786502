// A batch of events, named by what it holds.

import type { RoomEvent } from "../../gen/trunkline/v1/message_pb.js";
import type { EventBatch, RoomEvents } from "../../ports/event-sink.js";
import type { Ids } from "../core.js";

/** The same whenever the same outlet hands over the same events together. */
export function batchOf(ids: Ids, outlet: string, rooms: readonly RoomEvents[]): EventBatch {
  const content = rooms.map(
    ({ room, events }) => `${room.key}:${events.map(({ seq, tag }) => `${seq}.${tag}`).join()}`,
  );
  return { id: ids.digest(`${outlet}/${content.join("/")}`), rooms };
}

/** When an event was accepted, in milliseconds since 1970. */
export function createdAtMs({ createdAt }: RoomEvent): number {
  return createdAt === undefined ? 0 : Number(createdAt.seconds) * 1_000 + createdAt.nanos / 1e6;
}
