// The event log of a cluster, from its settings.

import type { Clock } from "../../ports/clock.js";
import type { Awaitable } from "../../ports/room-ref.js";
import { KafkaEventLog } from "./event-log.js";
import type { Compression } from "./kafka/compression.js";
import { DEFAULT_TOPIC_PREFIX } from "./kafka/names.js";
import type { KafkaConnectionOptions } from "./kafka/options.js";
import { KafkaPartitions } from "./kafka/partitions.js";
import { ensureTopic, type TopicSettings } from "./kafka/topic.js";
import { Retry } from "./retry.js";

export interface ClusterEventLogOptions extends KafkaConnectionOptions, Omit<TopicSettings, "partitions"> {
  /** Begins the name of each topic of the cluster. Default "trunkline". */
  readonly topicPrefix?: string;
  /** How many shards the cluster has: the partitions of its topic. Fixed when the topic is made. */
  readonly shards: number;
  /** The node's name. */
  readonly node: string;
  /** The offset up to which (exclusive) the archive has everything of a shard. */
  readonly archived: (shard: number) => Awaitable<number>;
  readonly clock: Clock;
  /** How batches are written; every reader takes all of them. Default "none". */
  readonly compression?: Compression;
  /** Longest tail that an open reads, in bytes: more than any owner lets the archive be behind, or a shard could never be opened again. */
  readonly maxTailBytes?: number;
}

/** How long the start asks for a topic that was just made, in milliseconds. */
const START_DEADLINE_MS = 5_000;

/** Makes the topic where it is missing. Rejects with a TopicError where it does not fit, and with Kafka's error where it cannot be asked. */
export async function openEventLog(options: ClusterEventLogOptions): Promise<KafkaEventLog> {
  const { topicPrefix = DEFAULT_TOPIC_PREFIX, shards, node, archived, clock, maxTailBytes } = options;
  const topic = await ensureTopic(options, `${topicPrefix}.events`, { ...options, partitions: shards });
  const partitions = new KafkaPartitions({ ...options, topic: topic.name });
  try {
    const era = await new Retry(clock).run(START_DEADLINE_MS, () => partitions.topicId());
    const { maxBatchBytes } = topic;
    return new KafkaEventLog({
      partitions,
      shards,
      era,
      maxBatchBytes,
      node,
      archived,
      clock,
      ...(maxTailBytes !== undefined && { maxTailBytes }),
    });
  } catch (error) {
    partitions.close();
    throw error;
  }
}
