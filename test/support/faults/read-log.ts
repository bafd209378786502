// The cluster's log, read as a stranger would by docs/cluster.md: with another library than the nodes', past every record that does not count.

import { randomUUID } from "node:crypto";
import type { IHeaders, KafkaMessage } from "kafkajs";
import type { Schema } from "../client/index.js";
import type { SeenEvent } from "../history/history.js";
import { type Kafka, kafkaOf } from "../services/kafka-client.js";
import { seenEvent } from "../story/receiver.js";

/** How long the broker may take, in milliseconds, one that was just killed included. */
const PATIENCE_MS = 60_000;

export interface LogReading {
  /** By tenant and room, in the log's order. */
  readonly rooms: ReadonlyMap<string, readonly SeenEvent[]>;
  /** Records that do not count: barriers, and what came too late. */
  readonly barriers: number;
  readonly voids: number;
}

/** Everything that the topic holds up to where it ends now. */
export async function readLog(broker: string, topic: string, schema: Schema): Promise<LogReading> {
  const kafka = kafkaOf(broker);
  const ends = await endsOf(kafka, topic);
  const rooms = new Map<string, SeenEvent[]>();
  const counted = { barriers: 0, voids: 0 };
  const take = ({ offset, key, value, headers }: KafkaMessage): void => {
    if (!counts(Number(offset), headers)) {
      if (headers?.barrier === undefined) counted.voids += 1;
      else counted.barriers += 1;
      return;
    }
    if (key === null || value === null) throw new Error(`the record at ${offset} of ${topic} counts and is no event`);
    const events = rooms.get(key.toString()) ?? [];
    rooms.set(key.toString(), events);
    events.push(seenEvent(schema.decode("trunkline.v1.RoomEvent", value)));
  };

  const open = new Set([...ends.keys()]);
  if (open.size === 0) return { rooms, ...counted };
  const consumer = kafka.consumer({ groupId: `log-reader-${randomUUID()}`, maxWaitTimeInMs: 100 });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error(`${topic} could not be read`)), PATIENCE_MS);
  try {
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: ends.size,
      eachBatch: async ({ batch }) => {
        const end = ends.get(batch.partition);
        if (end === undefined || !open.has(batch.partition)) return;
        try {
          for (const message of batch.messages) if (Number(message.offset) < end) take(message);
        } catch (error) {
          reject(error);
        }
        if (Number(batch.lastOffset()) + 1 >= end) open.delete(batch.partition);
        if (open.size === 0) resolve();
      },
    });
    await promise;
  } finally {
    clearTimeout(timer);
    await consumer.disconnect();
  }
  return { rooms, ...counted };
}

/** By partition that holds anything, where it ends. */
async function endsOf(kafka: Kafka, topic: string): Promise<ReadonlyMap<number, number>> {
  const admin = kafka.admin();
  try {
    await admin.connect();
    const offsets = await admin.fetchTopicOffsets(topic);
    const held = offsets.filter(({ low, high }) => Number(high) > Number(low));
    return new Map(held.map(({ partition, high }) => [partition, Number(high)]));
  } finally {
    await admin.disconnect();
  }
}

function counts(offset: number, headers: IHeaders | undefined): boolean {
  const at = Number.parseInt(String(headers?.at), 10);
  const index = Number.parseInt(String(headers?.index), 10);
  return at + index === offset;
}
