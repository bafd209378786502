// The topic of the log: made where it is missing, looked at where it is there. What does not fit is an error at the start, not a loss later.

import { setTimeout as pause } from "node:timers/promises";
import kafkajs from "kafkajs";
import { restIdleConnections } from "./idle-timer.js";
import { CONNECT_DEADLINE_MS, DEFAULT_CLIENT_ID, type KafkaConnectionOptions, kafkaSasl, kafkaTls } from "./options.js";
import { BATCH_HEADER_BYTES } from "./record-batch.js";

// Node finds no names in this CommonJS package.
const { ConfigResourceTypes, Kafka, KafkaJSAggregateError, KafkaJSProtocolError, logLevel } = kafkajs;

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
/** One command's events are one batch at least: the largest that a command makes have room in this. */
const LEAST_MESSAGE_BYTES = 1024 * 1024;
const LEAST_RETENTION_MS = 3_600_000;
const SAFE_REPLICATION = 3;
const SAFE_IN_SYNC = 2;
const REQUEST_DEADLINE_MS = 10_000;
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
): Promise<Topic> {
  restIdleConnections();
  const sasl = kafkaSasl(connection);
  const kafka = new Kafka({
    brokers: [...connection.brokers],
    clientId: connection.clientId ?? DEFAULT_CLIENT_ID,
    ssl: kafkaTls(connection) ?? false,
    ...(sasl === undefined ? {} : { sasl }),
    connectionTimeout: CONNECT_DEADLINE_MS,
    requestTimeout: REQUEST_DEADLINE_MS,
    retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 1_000 },
    logLevel: logLevel.NOTHING,
  });
  const admin = kafka.admin();
  try {
    await admin.connect();
    if (!(await admin.listTopics()).includes(name)) await create(admin, name, wanted);
    const found = await lookUntilThere(admin, name);
    const reasons = misfits(found, wanted);
    if (reasons.length > 0) throw new TopicError(`topic ${name} does not fit: ${reasons.join("; ")}`);
    return { name, partitions: found.partitions, maxBatchBytes: longest(found) - BATCH_HEADER_BYTES };
  } finally {
    await admin.disconnect().catch(() => {});
  }
}

async function create(admin: Admin, topic: string, wanted: TopicSettings): Promise<void> {
  const { replication = DEFAULT_REPLICATION, retentionMs = DEFAULT_RETENTION_MS } = wanted;
  const { maxMessageBytes = DEFAULT_MESSAGE_BYTES } = wanted;
  if (replication < SAFE_REPLICATION && wanted.allowUnsafe !== true) {
    throw new TopicError(`topic ${topic} is not made: ${replication} replicas are fewer than ${SAFE_REPLICATION}`);
  }
  const settings = {
    "cleanup.policy": "delete",
    "compression.type": "producer",
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
    throw new TopicError(`topic ${topic} cannot be made: ${reasons.join("; ")}`, { cause: error });
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
export function misfits({ partitions, replicas, settings }: FoundTopic, wanted: TopicSettings): readonly string[] {
  const reasons: string[] = [];
  const refuse = (bad: boolean, reason: string): void => {
    if (bad) reasons.push(reason);
  };
  const setting = (name: string): string => settings.get(name) ?? "";
  const number = (name: string): number => Number(settings.get(name) ?? Number.NaN);
  refuse(partitions !== wanted.partitions, `it has ${partitions} partitions, the cluster ${wanted.partitions} shards`);
  // Compaction would remove an event for a later one of the same room.
  refuse(setting("cleanup.policy") !== "delete", `cleanup.policy is ${setting("cleanup.policy")}, not delete`);
  // Batches are read as they were written.
  const compression = setting("compression.type");
  refuse(!["producer", "uncompressed"].includes(compression), `compression.type is ${compression}, not producer`);
  const bytes = number("max.message.bytes");
  refuse(!(bytes >= LEAST_MESSAGE_BYTES), `max.message.bytes is ${bytes}, less than ${LEAST_MESSAGE_BYTES}`);
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
  refuse(retained !== "-1", `retention.bytes is ${retained}: what the archive lacks may be removed; -1 is not by size`);
  return reasons;
}

function longest({ settings }: FoundTopic): number {
  return Number(settings.get("max.message.bytes"));
}
