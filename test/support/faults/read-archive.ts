// The cluster's archive, read past the nodes.

import { Binary, MongoClient } from "mongodb";
import type { Schema } from "../client/index.js";
import type { SeenEvent } from "../history/history.js";
import { seenEvent } from "../story/receiver.js";

const PATIENCE_MS = 20_000;

/** The events of these rooms (tenant and room), in the archive's order. */
export async function readArchive(
  url: string,
  database: string,
  rooms: readonly string[],
  schema: Schema,
): Promise<ReadonlyMap<string, readonly SeenEvent[]>> {
  const client = new MongoClient(url, { serverSelectionTimeoutMS: PATIENCE_MS });
  try {
    const events = client.db(database).collection<{ readonly _id: string; readonly event: unknown }>("events");
    const read = new Map<string, readonly SeenEvent[]>();
    for (const room of rooms) {
      const rows = await events
        .find({ _id: { $gt: `${room}#`, $lt: `${room}$` } })
        .sort({ _id: 1 })
        .toArray();
      read.set(
        room,
        rows.map(({ event }) => seenEvent(schema.decode("trunkline.v1.RoomEvent", bytesOf(event)))),
      );
    }
    return read;
  } finally {
    await client.close();
  }
}

function bytesOf(value: unknown): Uint8Array {
  if (value instanceof Binary) return value.buffer.subarray(0, value.position);
  throw new Error("an archived event without bytes");
}
