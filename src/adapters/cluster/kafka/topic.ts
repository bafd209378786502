// The topics of a cluster: made where they are missing, looked at where they are there. What does not fit is an error at the start, not
// a loss later.

import { setTimeout as pause } from "node:timers/promises";
import kafkajs from "kafkajs";
import { kafkaClient } from "./client.js";
import type { KafkaConnectionOptions } from "./options.js";
import { BATCH_HEADER_BYTES } from "./record-batch.js";

// Node finds no names in this CommonJS package.
const { ConfigResourceTypes, KafkaJSAggregateError, KafkaJSProtocolError } = kafkajs;

export interface TopicSettings {
  readonly partitions: number;
  /** Brokers that keep each partition. Default 3. */
  readonly replication?: number;
  /** How long records are kept, in milliseconds: far longer than the archive may lag. Default 7 days. */
  readonly retentionMs?: number;
  /** Longest batch, in bytes. Default 4 MiB. */
  readonly maxMessageBytes?: number;
  /**
   * Takes settings under which acknowledged events can be lost: fewer than 3 replicas, fewer than 2 in sync, unclean leader election,
   * retention by size or for less than an hour. Default false.
   */
  readonly allowUnsafe?: boolean;
}

/** What a topic must be beside safe. */
export interface TopicRules {
  /** Why there must be exactly as many partitions as are asked for, after how many there are; undefined: any number will do. */
  readonly partitionsAre?: (wanted: number) => string;
  /** What the broker does with batches: the first is what the topic is made with, the others are taken too. Empty: whatever it does. */
  readonly compression: readonly string[];
  /** Least that the longest batch may be, in bytes. */
  readonly leastMessageBytes: number;
}

/** Of the log. */
export const LOG_RULES: TopicRules = {
  partitionsAre: (wanted) => `the cluster ${wanted} shards`,
  // Batches are read as they were written.
  compression: ["producer", "uncompressed"],
  // One command's events are one batch at least: the largest that a command makes have room in this.
  leastMessageBytes: 1024 * 1024,
};

export interface Topic {
  readonly name: string;
  readonly partitions: number;
  /** What a batch may hold beside its header, in bytes. */
  readonly maxBatchBytes: number;
}

/** A topic that does not fit, or cannot be made. */
export class TopicError extends Error {
  override readonly name = "TopicError";
}

const DEFAULT_REPLICATION = 3;
const DEFAULT_RETENTION_MS = 7 * 24 * 3_600_000;
const DEFAULT_MESSAGE_BYTES = 4 * 1024 * 1024;
const LEAST_RETENTION_MS = 3_600_000;
const SAFE_REPLICATION = 3;
const SAFE_IN_SYNC = 2;
const UNSAFE_WAY = "allowUnsafe takes it, for development";
/** For a topic that was just made, in tries and in milliseconds between them. */
const TRIES = 20;
const TRY_AGAIN_MS = 250;
const LOOKED_AT = [
  "cleanup.policy",
  "compression.type",
  "max.message.bytes",
  "min.insync.replicas",
  "retention.bytes",
  "retention.ms",
  "unclean.leader.election.enable",
];

/** What there is of a topic. */
export interface FoundTopic {
  readonly partitions: number;
  /** Of the partition that has the fewest. */
  readonly replicas: number;
  /** By name, as Kafka says them. */
  readonly settings: ReadonlyMap<string, string>;
}

type Admin = ReturnType<kafkajs.Kafka["admin"]>;

/** Makes the topic where there is none, and checks it. Rejects with a TopicError that says what does not fit, or with Kafka's own error. */
export async function ensureTopic(
  connection: KafkaConnectionOptions,
  name: string,
  wanted: TopicSettings,
  rules = LOG_RULES,
): Promise<Topic> {
  const admin = kafkaClient(connection).admin();
  try {
    await admin.connect();
    if (!(await admin.listTopics()).includes(name)) await create(admin, name, wanted, rules);
    const found = await lookUntilThere(admin, name);
    const reasons = misfits(found, wanted, rules);
    if (reasons.length > 0) {
      const isUnsafeOnly = misfits(found, { ...wanted, allowUnsafe: true }, rules).length === 0;
      throw new TopicError(
        `topic ${name} does not fit: ${reasons.join("; ")}${isUnsafeOnly ? ` (${UNSAFE_WAY})` : ""}`,
      );
    }
    return { name, partitions: found.partitions, maxBatchBytes: longest(found) - BATCH_HEADER_BYTES };
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

async function create(admin: Admin, topic: string, wanted: TopicSettings, rules: TopicRules): Promise<void> {
  const { replication = DEFAULT_REPLICATION, retentionMs = DEFAULT_RETENTION_MS } = wanted;
  const { maxMessageBytes = DEFAULT_MESSAGE_BYTES } = wanted;
  if (replication < SAFE_REPLICATION && wanted.allowUnsafe !== true) {
    throw new TopicError(
      `topic ${topic} is not made: ${replication} replicas are fewer than ${SAFE_REPLICATION} (${UNSAFE_WAY})`,
    );
  }
  const settings = {
    "cleanup.policy": "delete",
    "compression.type": rules.compression[0] ?? "producer",
    "max.message.bytes": `${maxMessageBytes}`,
    "min.insync.replicas": `${Math.min(SAFE_IN_SYNC, replication)}`,
    "retention.bytes": "-1",
    "retention.ms": `${retentionMs}`,
    "unclean.leader.election.enable": "false",
  };
  const topics = [
    {
      topic,
      numPartitions: wanted.partitions,
      replicationFactor: replication,
      configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
    },
  ];
  try {
    // False: somebody else has made it meanwhile; it is looked at all the same.
    await admin.createTopics({ waitForLeaders: true, topics });
  } catch (error) {
    if (!(error instanceof KafkaJSAggregateError)) throw error;
    const reasons = error.errors.map((reason) => (reason instanceof Error ? reason.message : reason));
    throw new TopicError(`topic ${topic} cannot be made with ${replication} replicas: ${reasons.join("; ")}`, {
      cause: error,
    });
  }
}

/** A topic that was made a moment ago, perhaps by another node, is not known to every broker yet. */
async function lookUntilThere(admin: Admin, topic: string): Promise<FoundTopic> {
  for (let tries = 1; ; tries++) {
    try {
      return await look(admin, topic);
    } catch (error) {
      const isUnknown = error instanceof KafkaJSProtocolError && error.type === "UNKNOWN_TOPIC_OR_PARTITION";
      if (!isUnknown || tries === TRIES) throw error;
      await pause(TRY_AGAIN_MS);
    }
  }
}

async function look(admin: Admin, topic: string): Promise<FoundTopic> {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
  const partitions = topics.find(({ name }) => name === topic)?.partitions ?? [];
  const { resources } = await admin.describeConfigs({
    includeSynonyms: false,
    resources: [{ type: ConfigResourceTypes.TOPIC, name: topic, configNames: LOOKED_AT }],
  });
  const entries = resources.flatMap(({ configEntries }) => configEntries);
  return {
    partitions: partitions.length,
    replicas: Math.min(...partitions.map(({ replicas }) => replicas.length)),
    settings: new Map(entries.map(({ configName, configValue }) => [configName, configValue])),
  };
}

/** Why a topic does not fit, in words for an operator; none: it fits. */
export function misfits(
  { partitions, replicas, settings }: FoundTopic,
  wanted: TopicSettings,
  rules = LOG_RULES,
): readonly string[] {
  const reasons: string[] = [];
  const refuse = (bad: boolean, reason: string): void => {
    if (bad) reasons.push(reason);
  };
  const setting = (name: string): string => settings.get(name) ?? "";
  const number = (name: string): number => Number(settings.get(name) ?? Number.NaN);
  const { partitionsAre, compression: taken, leastMessageBytes } = rules;
  if (partitionsAre !== undefined)
    refuse(partitions !== wanted.partitions, `it has ${partitions} partitions, ${partitionsAre(wanted.partitions)}`);
  // Compaction would remove a record for a later one of the same key.
  refuse(setting("cleanup.policy") !== "delete", `cleanup.policy is ${setting("cleanup.policy")}, not delete`);
  const compression = setting("compression.type");
  const isTaken = taken.length === 0 || taken.includes(compression);
  refuse(!isTaken, `compression.type is ${compression}, not ${taken.join(" or ")}`);
  const bytes = number("max.message.bytes");
  refuse(!(bytes >= leastMessageBytes), `max.message.bytes is ${bytes}, less than ${leastMessageBytes}`);
  if (wanted.allowUnsafe === true) return reasons;
  refuse(!(replicas >= SAFE_REPLICATION), `${replicas} replicas are fewer than ${SAFE_REPLICATION}`);
  const inSync = number("min.insync.replicas");
  refuse(!(inSync >= SAFE_IN_SYNC), `min.insync.replicas is ${inSync}, less than ${SAFE_IN_SYNC}`);
  const unclean = setting("unclean.leader.election.enable");
  refuse(unclean !== "false", `unclean.leader.election.enable is ${unclean}, not false`);
  const retentionMs = number("retention.ms");
  const isLong = retentionMs === -1 || retentionMs >= LEAST_RETENTION_MS;
  refuse(!isLong, `retention.ms is ${retentionMs}, less than ${LEAST_RETENTION_MS}`);
  const retained = setting("retention.bytes");
  refuse(
    retained !== "-1",
    `retention.bytes is ${retained}: what is not dealt with yet may be removed; -1 is not by size`,
  );
  return reasons;
}

function longest({ settings }: FoundTopic): number {
  return Number(settings.get("max.message.bytes"));
}
