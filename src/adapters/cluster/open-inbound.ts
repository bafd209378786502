// The door for commands by Kafka, from its settings.

import type { Clock } from "../../ports/clock.js";
import type { InboundDoor } from "../../ports/inbound.js";
import { MAX_ADDED_BYTES } from "./inbound/dead-letter.js";
import { GroupReader } from "./inbound/group-reader.js";
import type { InboundListener } from "./inbound/inbound-event.js";
import { PartitionTurns } from "./inbound/partition-turns.js";
import { DEFAULT_TOPIC_PREFIX } from "./kafka/names.js";
import type { KafkaConnectionOptions } from "./kafka/options.js";
import { KafkaPartitions } from "./kafka/partitions.js";
import { ensureTopic, type TopicRules, type TopicSettings } from "./kafka/topic.js";
import { openTopicWriter } from "./kafka/topic-writer.js";
import { Retry } from "./retry.js";

export interface InboundOptions extends KafkaConnectionOptions, Omit<TopicSettings, "partitions" | "maxMessageBytes"> {
  /** Begins the name of each topic of the cluster, and of the group of its nodes. Default "trunkline". */
  readonly topicPrefix?: string;
  /** Partitions of the topics, where they are made: as many nodes at most read at the same time. Default 16. */
  readonly partitions?: number;
  readonly door: InboundDoor;
  readonly clock: Clock;
  readonly observe: InboundListener;
}

export interface Inbound {
  /** Leaves the group. What is under way and does not end within 5 s is left behind: it comes again. */
  close(): Promise<void>;
}

const DEFAULT_PARTITIONS = 16;
/** Longest record, in bytes, where the topic is made; longest value that is looked at. */
const MAX_RECORD_BYTES = 1024 * 1024;
/** How long the start asks for a topic that was just made, in milliseconds. */
const START_DEADLINE_MS = 5_000;

/** Records compressed in ways that nodes cannot read would stop their partition, and nobody knew how long they are: the broker unpacks them. */
const INBOUND_RULES: TopicRules = { compression: ["uncompressed"], leastMessageBytes: 64 * 1024 };

/**
 * Makes the topics where they are missing, and reads. Rejects with a TopicError where one does not fit, and with Kafka's error where it
 * cannot be asked.
 */
export async function openInbound(options: InboundOptions): Promise<Inbound> {
  const { topicPrefix = DEFAULT_TOPIC_PREFIX, partitions = DEFAULT_PARTITIONS, door, clock, observe } = options;
  const topic = `${topicPrefix}.inbound`;
  const wanted = { ...options, partitions, maxMessageBytes: MAX_RECORD_BYTES };
  const { maxBatchBytes } = await ensureTopic(options, topic, wanted, INBOUND_RULES);
  const topicId = await topicIdOf(options, topic);
  const letters = await openTopicWriter({
    ...options,
    topic: `${topicPrefix}.dlq`,
    partitions,
    maxMessageBytes: maxBatchBytes + MAX_ADDED_BYTES,
  });
  const turns = () =>
    new PartitionTurns({
      door,
      bury: (letter) => letters.write(letter),
      topic,
      topicId,
      maxValueBytes: MAX_RECORD_BYTES,
      clock,
      observe,
    });
  const reader = new GroupReader({ connection: options, groupId: topic, topic, turns, clock, observe });
  try {
    await reader.start();
  } catch (error) {
    await reader.close();
    letters.close();
    throw error;
  }
  return {
    close: async () => {
      await reader.close();
      letters.close();
    },
  };
}

async function topicIdOf(options: InboundOptions, topic: string): Promise<string> {
  const partitions = new KafkaPartitions({ ...options, topic });
  try {
    return await new Retry(options.clock).run(START_DEADLINE_MS, () => partitions.topicId());
  } finally {
    partitions.close();
  }
}
