// Holds what the archive has of some rooms against what was acknowledged: each message there, once, in a row without holes.

import { fromBinary } from "@bufbuild/protobuf";
import { Binary, MongoClient } from "mongodb";
import { RoomEventSchema } from "../../src/gen/trunkline/v1/message_pb.js";

/** An event as the archive has it. */
export interface ArchivedEvent {
  readonly room: string;
  readonly seq: number;
  /** Who sent the message and under which key; undefined: it is no message. */
  readonly key: string | undefined;
}

/** What is wrong with the archive of these rooms where so many messages were acknowledged; undefined: nothing. */
export function faultOf(events: Iterable<ArchivedEvent>, acknowledged: number): string | undefined {
  const seqs = new Map<string, Set<number>>();
  const keys = new Set<string>();
  for (const { room, seq, key } of events) {
    const ofRoom = seqs.get(room) ?? new Set();
    seqs.set(room, ofRoom);
    if (ofRoom.has(seq)) return `${room} has seq ${seq} twice`;
    ofRoom.add(seq);
    if (key === undefined) continue;
    if (keys.has(key)) return `${key} was stored twice`;
    keys.add(key);
  }
  for (const [room, ofRoom] of seqs) {
    const last = [...ofRoom].reduce((most, seq) => Math.max(most, seq), 0);
    if (last !== ofRoom.size) return `${room} has ${ofRoom.size} events up to seq ${last}`;
  }
  if (keys.size !== acknowledged) return `${acknowledged} messages were acknowledged, ${keys.size} are archived`;
  return undefined;
}

interface Row {
  readonly _id: string;
  readonly seq: number;
  readonly event: Binary;
}

/** The archived events of the rooms whose ids begin so. */
export async function readArchived(url: string, database: string, prefix: string): Promise<readonly ArchivedEvent[]> {
  const client = new MongoClient(url);
  try {
    const found: ArchivedEvent[] = [];
    for await (const { _id, seq, event } of client.db(database).collection<Row>("events").find()) {
      const room = _id.slice(0, _id.indexOf("#"));
      if (!room.slice(room.indexOf("/") + 1).startsWith(prefix)) continue;
      if (!(event instanceof Binary)) throw new Error(`${_id} has no bytes`);
      const { kind, actor } = fromBinary(RoomEventSchema, event.buffer.subarray(0, event.position));
      const key =
        kind.case === "messageCreated" ? `${room} ${actor?.userId ?? ""} ${kind.value.clientMessageId}` : undefined;
      found.push({ room, seq, key });
    }
    return found;
  } finally {
    await client.close();
  }
}
