// What the log's batches take in Kafka, as they are stored there: compressed, with their headers.

import { counts } from "../../src/adapters/cluster/event-record.js";
import { BrokerConnection } from "../../src/adapters/cluster/kafka/connection.js";
import { restIdleConnections } from "../../src/adapters/cluster/kafka/idle-timer.js";
import { parseBroker } from "../../src/adapters/cluster/kafka/options.js";
import { decodeRecordBatches } from "../../src/adapters/cluster/kafka/record-batch.js";
import { fetchRequest, metadataRequest, offsetsRequest } from "../../src/adapters/cluster/kafka/requests.js";
import { createSystemClock } from "../../src/ops/clock.js";

export interface BatchSums {
  /** Batches that hold events. */
  readonly batches: number;
  readonly events: number;
  readonly bytes: number;
}

const DEADLINE_MS = 10_000;
const PAGE_BYTES = 1024 * 1024;
/** Bytes before what a batch's length counts: its base offset and the length. */
const PREFIX_BYTES = 12;

/** Adds up the whole batches of a fetch's answer that begin before `end` and hold an event; also gives where the next page begins. */
export function sumBatches(bytes: Buffer, from: number, end: number): BatchSums & { readonly next: number } {
  let [batches, events, size, next] = [0, 0, 0, from];
  for (let at = 0; at + PREFIX_BYTES <= bytes.length; ) {
    const to = at + PREFIX_BYTES + bytes.readInt32BE(at + 8);
    if (to > bytes.length) break;
    const batch = bytes.subarray(at, to);
    at = to;
    const { records, next: behind = next } = decodeRecordBatches(batch);
    const [first] = records;
    if (first !== undefined && first.offset >= from && first.offset < end) {
      const held = records.filter(counts).length;
      if (held > 0) {
        batches++;
        events += held;
        size += batch.length;
      }
    }
    next = Math.max(next, behind);
  }
  return { batches, events, bytes: size, next };
}

/** Reads a topic of one broker. */
export class LogReader {
  readonly #connection: BrokerConnection;
  readonly #topic: string;
  readonly #partitions: readonly number[];

  private constructor(connection: BrokerConnection, topic: string, partitions: readonly number[]) {
    this.#connection = connection;
    this.#topic = topic;
    this.#partitions = partitions;
  }

  /** Rejects where the topic has several leaders: it would be asked in vain. */
  static async open(brokers: string, topic: string): Promise<LogReader> {
    restIdleConnections();
    const [seed = ""] = brokers.split(",");
    const settings = { clientId: "bench", tls: undefined, sasl: undefined, clock: createSystemClock() };
    const connection = new BrokerConnection(parseBroker(seed), settings);
    const { leaders, brokers: known } = await connection.request(metadataRequest(topic), DEADLINE_MS);
    if (known.size !== 1) throw new Error("the log's batches are read from one broker only");
    return new LogReader(
      connection,
      topic,
      [...leaders.keys()].sort((one, other) => one - other),
    );
  }

  /** Where each partition ends. */
  ends(): Promise<ReadonlyMap<number, number>> {
    return this.#connection.request(offsetsRequest(this.#topic, this.#partitions, "end"), DEADLINE_MS);
  }

  /** All batches between. */
  async sums(from: ReadonlyMap<number, number>, to: ReadonlyMap<number, number>): Promise<BatchSums> {
    let [batches, events, bytes] = [0, 0, 0];
    for (const partition of this.#partitions) {
      const end = to.get(partition) ?? 0;
      for (let at = from.get(partition) ?? 0; at < end; ) {
        const request = fetchRequest(this.#topic, partition, at, PAGE_BYTES);
        const fetched = await this.#connection.request(request, DEADLINE_MS);
        if (fetched === undefined || fetched.code !== 0) throw new Error(`partition ${partition} could not be read`);
        const page = sumBatches(fetched.batches, at, end);
        if (page.next === at) throw new Error(`partition ${partition} shows nothing at ${at}`);
        batches += page.batches;
        events += page.events;
        bytes += page.bytes;
        at = page.next;
      }
    }
    return { batches, events, bytes };
  }

  close(): void {
    this.#connection.end();
  }
}
