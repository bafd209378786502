// The four requests that the log speaks with brokers, each in one version that Kafka 3.0 to 4 understands.
// https://kafka.apache.org/protocol

import { type ByteReader, ByteWriter } from "./bytes.js";
import { requireNoError } from "./error.js";

/** A request, and how its answer reads. */
export interface KafkaRequest<T> {
  readonly apiKey: number;
  readonly apiVersion: number;
  readonly apiName: string;
  readonly body: Buffer;
  readonly decode: (answer: ByteReader) => T;
}

export interface TopicMetadata {
  /** 16 bytes that no other topic has, also none of the same name, in base64url. */
  readonly topicId: string;
  /** By node id. */
  readonly brokers: ReadonlyMap<number, BrokerAddress>;
  /** By partition, the node id of its leader; one without a leader is left out. */
  readonly leaders: ReadonlyMap<number, number>;
}

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

const UUID_BYTES = 16;

/** Which topic goes by a name, and who leads its partitions. */
export function metadataRequest(topic: string): KafkaRequest<TopicMetadata> {
  // The header of this version ends with fields that a reader may not know; there are none, here as at the end.
  const body = new ByteWriter().emptyTags().compactLength(1).raw(Buffer.alloc(UUID_BYTES)).compactString(topic);
  body.emptyTags().int8(0).int8(0).emptyTags();
  return { apiKey: 3, apiVersion: 12, apiName: "Metadata", body: body.finish(), decode: readMetadata };
}

function readMetadata(answer: ByteReader): TopicMetadata {
  answer.tags();
  answer.int32();
  const brokers = answer.compactArray(() => {
    const node = answer.int32();
    const address = { host: answer.compactString(), port: answer.int32() };
    answer.compactString();
    answer.tags();
    return [node, address] as const;
  });
  answer.compactString();
  answer.int32();
  const [topic] = answer.compactArray(() => readTopic(answer));
  if (topic === undefined) throw new Error("metadata: the answer has no topic");
  return { ...topic, brokers: new Map(brokers) };
}

function readTopic(answer: ByteReader): Omit<TopicMetadata, "brokers"> {
  const error = answer.int16();
  const name = answer.compactString();
  const topicId = answer.take(UUID_BYTES).toString("base64url");
  answer.int8();
  const leaders = new Map<number, number>();
  answer.compactArray(() => {
    // An error here says that there is no leader, or that a replica is away: the leader's id tells.
    answer.int16();
    const partition = answer.int32();
    const leader = answer.int32();
    answer.int32();
    for (let list = 0; list < 3; list++) answer.compactArray(() => answer.int32());
    answer.tags();
    if (leader >= 0) leaders.set(partition, leader);
  });
  answer.int32();
  answer.tags();
  requireNoError(error, `topic ${name}`);
  return { topicId, leaders };
}

export interface PartitionBatch {
  readonly partition: number;
  /** One record batch. */
  readonly batch: Buffer;
}

export interface PartitionOutcome {
  readonly partition: number;
  readonly code: number;
  /** Where the batch's first record is. */
  readonly baseOffset: number;
}

/** Appends a batch to each of several partitions, each at most once in the list; answered once all in-sync replicas have them. */
export function produceRequest(
  topic: string,
  batches: readonly PartitionBatch[],
  timeoutMs: number,
): KafkaRequest<readonly PartitionOutcome[]> {
  const bytes = batches.reduce((sum, { batch }) => sum + batch.length + 8, topic.length + 64);
  const body = new ByteWriter(bytes);
  body.nullString().int16(-1).int32(timeoutMs).int32(1).string(topic);
  body.array(batches, ({ partition, batch }) => body.int32(partition).bytes(batch));
  return { apiKey: 0, apiVersion: 7, apiName: "Produce", body: body.finish(), decode: readOutcomes };
}

function readOutcomes(answer: ByteReader): readonly PartitionOutcome[] {
  const topics = answer.array(() => {
    answer.string();
    return answer.array(() => {
      const outcome = { partition: answer.int32(), code: answer.int16(), baseOffset: answer.int64() };
      answer.int64();
      answer.int64();
      return outcome;
    });
  });
  return topics.flat();
}

export interface FetchedPartition {
  readonly code: number;
  /** What stands before it is on all in-sync replicas. */
  readonly highWatermark: number;
  readonly batches: Buffer;
}

/** Reads one partition, without waiting for more to come. At least one batch comes, however long it is. */
export function fetchRequest(
  topic: string,
  partition: number,
  offset: number,
  maxBytes: number,
): KafkaRequest<FetchedPartition | undefined> {
  const body = new ByteWriter();
  // A consumer, no waiting, whatever there is; transactions are none of ours; no fetch session.
  body.int32(-1).int32(0).int32(0).int32(maxBytes).int8(0).int32(0).int32(-1);
  body.int32(1).string(topic).int32(1);
  body.int32(partition).int32(-1).int64(offset).int64(-1).int32(maxBytes);
  body.int32(0).string("");
  return { apiKey: 1, apiVersion: 11, apiName: "Fetch", body: body.finish(), decode: readFetched };
}

function readFetched(answer: ByteReader): FetchedPartition | undefined {
  answer.int32();
  requireNoError(answer.int16(), "fetch");
  answer.int32();
  const topics = answer.array(() => {
    answer.string();
    return answer.array(() => {
      answer.int32();
      const code = answer.int16();
      const highWatermark = answer.int64();
      answer.int64();
      answer.int64();
      answer.array(() => [answer.int64(), answer.int64()]);
      answer.int32();
      return { code, highWatermark, batches: answer.bytes() };
    });
  });
  return topics.flat()[0];
}

/** By partition: the first offset that is still there, or the one after the last that all in-sync replicas have. */
export function offsetsRequest(
  topic: string,
  partitions: readonly number[],
  which: "first" | "end",
): KafkaRequest<ReadonlyMap<number, number>> {
  const body = new ByteWriter().int32(-1).int32(1).string(topic);
  body.array(partitions, (partition) => body.int32(partition).int64(which === "first" ? -2 : -1));
  return { apiKey: 2, apiVersion: 1, apiName: "ListOffsets", body: body.finish(), decode: readOffsets };
}

function readOffsets(answer: ByteReader): ReadonlyMap<number, number> {
  const topics = answer.array(() => {
    answer.string();
    return answer.array(() => {
      const partition = answer.int32();
      requireNoError(answer.int16(), "list offsets");
      answer.int64();
      return [partition, answer.int64()] as const;
    });
  });
  return new Map(topics.flat());
}
