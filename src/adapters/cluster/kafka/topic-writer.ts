// Writes records to a topic that others read, at least once: what comes while a partition is being written to goes with its next batch.

import kafkajs from "kafkajs";
import type { Clock } from "../../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../../ports/error.js";
import type { PartitionLog } from "../partition-log.js";
import type { KafkaConnectionOptions } from "./options.js";
import { KafkaPartitions } from "./partitions.js";
import { BATCH_HEADER_BYTES, type KafkaRecord, recordBytes } from "./record-batch.js";
import { ensureTopic, type TopicSettings } from "./topic.js";

export interface TopicWriterOptions {
  /** Of the topic alone. Closed with the writer. */
  readonly partitions: Pick<PartitionLog, "append" | "close">;
  readonly topic: string;
  /** How many partitions there are. */
  readonly count: number;
  /** What one batch may hold, in bytes. */
  readonly maxBatchBytes: number;
  /** What may wait to be written, in bytes. Default 16 MiB. */
  readonly maxWaitingBytes?: number;
}

const DEFAULT_WAITING_BYTES = 16 * 1024 * 1024;
const RETRY_AFTER_MS = 500;

interface Entry {
  readonly record: KafkaRecord;
  readonly bytes: number;
  readonly resolve: () => void;
  readonly reject: (error: TrunklineError) => void;
}

interface Lane {
  waiting: Entry[];
  writing: boolean;
}

export class TopicWriter {
  readonly #options: TopicWriterOptions;
  readonly #lanes: readonly Lane[];
  readonly #partitionOf: (key: string | undefined) => number;
  #waitingBytes = 0;
  #closed = false;

  constructor(options: TopicWriterOptions) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.count }, () => ({ waiting: [], writing: false }));
    this.#partitionOf = partitioner(options.topic, options.count);
  }

  /**
   * Resolves once all replicas in sync have the record, in the partition that Kafka's own clients choose for its key. Rejects with TOO_LARGE, which
   * does not change, or with UNAVAILABLE where it is not written, or that is uncertain.
   */
  write(record: KafkaRecord): Promise<void> {
    const { maxBatchBytes, maxWaitingBytes = DEFAULT_WAITING_BYTES, topic } = this.#options;
    const bytes = recordBytes(record);
    if (bytes > maxBatchBytes) return Promise.reject(TrunklineError.tooLarge(`a record of ${topic}`, maxBatchBytes));
    if (this.#closed) return Promise.reject(this.#unavailable(new Error("it is closed")));
    if (this.#waitingBytes + bytes > maxWaitingBytes)
      return Promise.reject(this.#unavailable(new Error("too much waits to be written")));
    const partition = this.#partitionOf(record.key);
    return new Promise((resolve, reject) => {
      this.#waitingBytes += bytes;
      this.#lanes[partition]?.waiting.push({ record, bytes, resolve, reject });
      this.#flush(partition);
    });
  }

  /** What waits is refused. */
  close(): void {
    this.#closed = true;
    for (const lane of this.#lanes) this.#settle(lane.waiting.splice(0), new Error("it is closed"));
    this.#options.partitions.close();
  }

  #flush(partition: number): void {
    const lane = this.#lanes[partition];
    if (lane === undefined || lane.writing || lane.waiting.length === 0) return;
    lane.writing = true;
    const entries = this.#take(lane);
    const written = this.#options.partitions.append(
      partition,
      entries.map(({ record }) => record),
    );
    written.then(
      () => {
        lane.writing = false;
        this.#settle(entries);
        this.#flush(partition);
      },
      (error: unknown) => {
        lane.writing = false;
        // Those that wait have waited for as long: their callers are not to wait for as long again.
        this.#settle([...entries, ...lane.waiting.splice(0)], error);
      },
    );
  }

  /** As many as one batch holds, at least one. */
  #take(lane: Lane): readonly Entry[] {
    let bytes = 0;
    let count = 0;
    for (const entry of lane.waiting) {
      bytes += entry.bytes;
      if (count > 0 && bytes > this.#options.maxBatchBytes) break;
      count++;
    }
    return lane.waiting.splice(0, count);
  }

  #settle(entries: readonly Entry[], error?: unknown): void {
    for (const { bytes, resolve, reject } of entries) {
      this.#waitingBytes -= bytes;
      if (error === undefined) resolve();
      else reject(this.#unavailable(error));
    }
  }

  #unavailable(cause: unknown): TrunklineError {
    const message = `${this.#options.topic} cannot be written to`;
    return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: RETRY_AFTER_MS, cause });
  }
}

export interface OpenTopicWriterOptions extends KafkaConnectionOptions, TopicSettings {
  readonly topic: string;
  /** Longest batch, in bytes: the topic is made with it, and takes no less. */
  readonly maxMessageBytes: number;
  readonly clock: Clock;
}

/** Makes the topic where it is missing. Rejects with a TopicError where it does not fit, and with Kafka's error where it cannot be asked. */
export async function openTopicWriter(options: OpenTopicWriterOptions): Promise<TopicWriter> {
  const { topic, maxMessageBytes } = options;
  const rules = { compression: [], leastMessageBytes: maxMessageBytes };
  const { partitions: count } = await ensureTopic(options, topic, options, rules);
  const partitions = new KafkaPartitions(options);
  return new TopicWriter({ partitions, topic, count, maxBatchBytes: maxMessageBytes - BATCH_HEADER_BYTES });
}

/** As Kafka's own clients do it, so that whoever joins topics by key finds what belongs together. */
function partitioner(topic: string, count: number): (key: string | undefined) => number {
  // Node finds no names in this CommonJS package.
  const choose = kafkajs.Partitioners.DefaultPartitioner();
  const partitionMetadata = Array.from({ length: count }, (_, partitionId) => {
    return { partitionId, partitionErrorCode: 0, leader: 0, replicas: [], isr: [] };
  });
  return (key) => {
    const message = { key: key === undefined ? null : Buffer.from(key, "latin1"), value: null };
    return choose({ topic, partitionMetadata, message });
  };
}
