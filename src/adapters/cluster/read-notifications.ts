// The last notifications of a cluster, for an operator to look at: read from their topic beside whoever else reads it.

import { fromBinary } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Notification, NotificationSchema } from "../../gen/trunkline/v1/outlet_pb.js";
import type { Clock } from "../../ports/clock.js";
import { kafkaClient } from "./kafka/client.js";
import type { KafkaConnectionOptions } from "./kafka/options.js";
import { KafkaPartitions } from "./kafka/partitions.js";
import { notificationsTopic } from "./notifications.js";

/** Of one partition at once, in bytes: at least one batch. */
const PAGE_BYTES = 1024 * 1024;

export interface ReadNotificationsOptions extends KafkaConnectionOptions {
  /** Begins the name of each topic of the cluster. Default "trunkline". */
  readonly topicPrefix?: string;
  readonly clock: Clock;
  /** How many, at most. */
  readonly limit: number;
}

/**
 * Those whose last message was accepted last, the oldest first, without what it says. What was written twice is there twice. Rejects where
 * there is no such topic, and with Kafka's error where it cannot be asked.
 */
export async function readNotifications(options: ReadNotificationsOptions): Promise<readonly Notification[]> {
  const { limit, clock } = options;
  const topic = notificationsTopic(options.topicPrefix);
  const count = await countPartitions(options, topic);
  const partitions = new KafkaPartitions({ ...options, topic, clock });
  try {
    const numbers = Array.from({ length: count }, (_, partition) => partition);
    const begins = await partitions.begins(numbers);
    const ends = await partitions.ends(numbers);
    let last: readonly Notification[] = [];
    for (const partition of numbers) {
      const end = ends[partition] ?? 0;
      const from = Math.max(begins[partition] ?? 0, end - limit);
      const read = await readPartition(partitions, partition, from, end);
      last = [...last, ...read].sort((one, other) => sentAtMs(one) - sentAtMs(other)).slice(-limit);
    }
    return last;
  } finally {
    partitions.close();
  }
}

async function readPartition(
  partitions: KafkaPartitions,
  partition: number,
  first: number,
  end: number,
): Promise<readonly Notification[]> {
  const read: Notification[] = [];
  let from = first;
  while (from < end) {
    const page = await partitions.read(partition, from, PAGE_BYTES);
    // Retention was faster.
    if (page.status === "out-of-range" || page.next <= from) break;
    for (const { value } of page.records) {
      const notification = fromBinary(NotificationSchema, value ?? new Uint8Array());
      // As the embedded log keeps it: the message may have been deleted since.
      notification.body = undefined;
      read.push(notification);
    }
    from = page.next;
  }
  return read;
}

async function countPartitions(connection: KafkaConnectionOptions, topic: string): Promise<number> {
  const admin = kafkaClient(connection).admin();
  try {
    await admin.connect();
    // Asked for what is not there, a broker may make it.
    if (!(await admin.listTopics()).includes(topic)) throw new Error(`there is no topic ${topic}`);
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics.find(({ name }) => name === topic)?.partitions.length ?? 0;
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

function sentAtMs({ sentAt }: Notification): number {
  return sentAt === undefined ? 0 : timestampMs(sentAt);
}
