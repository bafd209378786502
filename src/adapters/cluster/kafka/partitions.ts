// The partitions of a topic on Kafka.

import type { Clock } from "../../../ports/clock.js";
import type { PartitionLog, PartitionPage } from "../partition-log.js";
import { Brokers } from "./brokers.js";
import { type Compression, requireCompression } from "./compression.js";
import { BrokerConnection } from "./connection.js";
import { KafkaCode, KafkaError } from "./error.js";
import { restIdleConnections } from "./idle-timer.js";
import { DEFAULT_CLIENT_ID, type KafkaConnectionOptions, kafkaSasl, kafkaTls, parseBroker } from "./options.js";
import { ProduceLane } from "./produce-lane.js";
import { decodeRecordBatches, encodeRecordBatch, type KafkaRecord } from "./record-batch.js";
import { type BrokerAddress, fetchRequest, offsetsRequest, type PartitionBatch, produceRequest } from "./requests.js";

/** From handing an append or a read over to giving it up, in milliseconds. */
export const REQUEST_DEADLINE_MS = 2_000;
/** How long the leader waits for the other replicas: it says what went wrong before it is given up. */
const REPLICAS_DEADLINE_MS = 1_500;
const DEFAULT_PACE_MS = 4;

export interface KafkaPartitionsOptions extends KafkaConnectionOptions {
  readonly topic: string;
  readonly clock: Clock;
  /** How batches are written; every reader takes all of them. Default "none". */
  readonly compression?: Compression;
  /**
   * From the beginning of one append request to a broker to that of the next, in milliseconds: a request costs node and broker some hundred
   * microseconds, whatever it brings. One that comes after a pause goes at once. Default 4.
   */
  readonly paceMs?: number;
}

export class KafkaPartitions implements PartitionLog {
  readonly #topic: string;
  readonly #clock: Clock;
  readonly #compression: Compression;
  readonly #paceMs: number;
  readonly #brokers: Brokers;
  readonly #lanes = new Map<string, ProduceLane>();

  constructor(options: KafkaPartitionsOptions) {
    restIdleConnections();
    const { topic, clock, clientId = DEFAULT_CLIENT_ID } = options;
    const settings = { clientId, tls: kafkaTls(options), sasl: kafkaSasl(options), clock };
    this.#topic = topic;
    this.#clock = clock;
    this.#compression = options.compression ?? "none";
    requireCompression(this.#compression);
    this.#paceMs = options.paceMs ?? DEFAULT_PACE_MS;
    this.#brokers = new Brokers({
      topic,
      seeds: options.brokers.map(parseBroker),
      connect: (address) => new BrokerConnection(address, settings),
      deadlineMs: REQUEST_DEADLINE_MS,
    });
  }

  /** Names the topic, also among those that had or will have its name. */
  topicId(): Promise<string> {
    return this.#tried(() => this.#brokers.topicId());
  }

  async append(partition: number, records: readonly KafkaRecord[]): Promise<number> {
    const batch = encodeRecordBatch(records, this.#clock.now(), this.#compression);
    return await this.#tried(async () => {
      const leader = await this.#brokers.leader(partition);
      return await this.#lane(leader).append(partition, batch);
    });
  }

  async read(partition: number, from: number, bytes: number): Promise<PartitionPage> {
    return await this.#tried(() => this.#read(partition, from, bytes));
  }

  ends(partitions: readonly number[]): Promise<readonly number[]> {
    return this.#tried(() => this.#offsets(partitions, "end"));
  }

  begins(partitions: readonly number[]): Promise<readonly number[]> {
    return this.#tried(() => this.#offsets(partitions, "first"));
  }

  close(): void {
    this.#brokers.close();
    this.#lanes.clear();
  }

  /** One request to each leader. */
  async #offsets(partitions: readonly number[], which: "first" | "end"): Promise<readonly number[]> {
    const leaders = new Map<string, { readonly leader: BrokerAddress; readonly led: number[] }>();
    for (const partition of partitions) {
      const leader = await this.#brokers.leader(partition);
      const name = nameOf(leader);
      const known = leaders.get(name);
      if (known === undefined) leaders.set(name, { leader, led: [partition] });
      else known.led.push(partition);
    }
    const offsets = new Map<number, number>();
    await Promise.all(
      Array.from(leaders.values(), async ({ leader, led }) => {
        const connection = this.#brokers.connection(leader, "read");
        const answer = await connection.request(offsetsRequest(this.#topic, led, which), REQUEST_DEADLINE_MS);
        for (const [partition, offset] of answer) offsets.set(partition, offset);
      }),
    );
    return partitions.map((partition) => offsetOf(offsets, partition));
  }

  async #read(partition: number, from: number, bytes: number): Promise<PartitionPage> {
    const leader = await this.#brokers.leader(partition);
    const connection = this.#brokers.connection(leader, "read");
    const request = fetchRequest(this.#topic, partition, from, bytes);
    const fetched = await connection.request(request, REQUEST_DEADLINE_MS);
    if (fetched === undefined) throw new Error(`the answer has no partition ${partition}`);
    if (fetched.code === KafkaCode.OFFSET_OUT_OF_RANGE) {
      const [first, end] = await Promise.all(
        (["first", "end"] as const).map(async (which) => {
          const request = offsetsRequest(this.#topic, [partition], which);
          return offsetOf(await connection.request(request, REQUEST_DEADLINE_MS), partition);
        }),
      );
      return { status: "out-of-range", first: first ?? 0, end: end ?? 0 };
    }
    if (fetched.code !== KafkaCode.NONE) throw new KafkaError(fetched.code, `read of partition ${partition}`);
    const { records, next = from } = decodeRecordBatches(fetched.batches, from);
    return { status: "page", records, next: Math.max(next, from), end: fetched.highWatermark };
  }

  /** After any failure the leaders are asked for anew: most failures are about them, and it costs one request. */
  async #tried<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      this.#brokers.forget();
      throw error;
    }
  }

  #lane(leader: BrokerAddress): ProduceLane {
    const name = nameOf(leader);
    let lane = this.#lanes.get(name);
    if (lane === undefined) {
      lane = new ProduceLane((batches) => this.#send(leader, batches), this.#clock, this.#paceMs);
      this.#lanes.set(name, lane);
    }
    return lane;
  }

  async #send(leader: BrokerAddress, batches: readonly PartitionBatch[]) {
    const request = produceRequest(this.#topic, batches, REPLICAS_DEADLINE_MS);
    return await this.#brokers.connection(leader, "append").request(request, REQUEST_DEADLINE_MS);
  }
}

function nameOf({ host, port }: BrokerAddress): string {
  return `${host}:${port}`;
}

function offsetOf(offsets: ReadonlyMap<number, number>, partition: number): number {
  const offset = offsets.get(partition);
  if (offset === undefined) throw new Error(`list offsets: the answer has no partition ${partition}`);
  return offset;
}
