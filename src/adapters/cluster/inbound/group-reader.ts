// Reads the inbound topic as one of the group of all nodes: each partition is one node's, and another's once that node is gone.

import type { Consumer, EachBatchPayload } from "kafkajs";
import type { Clock, Timer } from "../../../ports/clock.js";
import { kafkaClient } from "../kafka/client.js";
import type { KafkaConnectionOptions } from "../kafka/options.js";
import type { InboundListener } from "./inbound-event.js";
import type { PartitionTurns } from "./partition-turns.js";
import { type InboundRecord, inboundRecord } from "./record.js";

export interface GroupReaderOptions {
  readonly connection: KafkaConnectionOptions;
  readonly groupId: string;
  readonly topic: string;
  /** Makes what deals with a partition's records. */
  readonly turns: () => PartitionTurns;
  readonly clock: Clock;
  readonly observe: InboundListener;
}

/** A node that says nothing for so long has lost its partitions, in milliseconds. */
const SESSION_MS = 10_000;
/** How often a node says that it is there, and what it has dealt with, in milliseconds. */
const HEARTBEAT_MS = 2_000;
/** How long a change of the group waits for a node to notice it, in milliseconds. */
const REBALANCE_MS = 30_000;
/** How long a broker keeps a request that it has nothing for, in milliseconds: a partition that goes on waits no longer. */
const FETCH_WAIT_MS = 500;
/** What is taken of a partition at once, in bytes: what is held, and all that may overtake it. */
const PARTITION_BYTES = 1024 * 1024;
/** Partitions that are dealt with at the same time. */
const PARTITIONS_AT_ONCE = 16;
/** After so long a partition lets those read that have the same broker, in milliseconds. */
const TURN_MS = 2_000;
const RESTART_MS = 1_000;
/** How long the end waits for what is under way, in milliseconds. */
const CLOSE_DEADLINE_MS = 5_000;

export class GroupReader {
  readonly #options: GroupReaderOptions;
  readonly #turns = new Map<number, PartitionTurns>();
  readonly #timers = new Map<number, Timer>();
  #consumer: Consumer | undefined;
  #restart: Timer | undefined;
  #closed = false;

  constructor(options: GroupReaderOptions) {
    this.#options = options;
  }

  /** Joins the group. Rejects where Kafka cannot be asked; afterwards it goes on by itself, whatever happens. */
  async start(): Promise<void> {
    const { connection, groupId, topic, observe } = this.#options;
    const consumer = kafkaClient(connection).consumer({
      groupId,
      sessionTimeout: SESSION_MS,
      heartbeatInterval: HEARTBEAT_MS,
      rebalanceTimeout: REBALANCE_MS,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      maxBytesPerPartition: PARTITION_BYTES,
      retry: { retries: 5, initialRetryTime: 100, maxRetryTime: 1_000, restartOnFailure: async () => false },
    });
    consumer.on(consumer.events.CRASH, ({ payload }) => {
      if (this.#consumer !== consumer) return;
      observe({ is: "failed", cause: payload.error });
      this.#startAgain();
    });
    consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => this.#keep(payload.memberAssignment[topic] ?? []));
    this.#consumer = consumer;
    try {
      await consumer.connect();
      // What was sent before there was a node to read it counts, too.
      await consumer.subscribe({ topic, fromBeginning: true });
      await consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: PARTITIONS_AT_ONCE,
        eachBatch: (payload) => this.#batch(payload),
      });
      // Joining takes a while, and the end does not wait for it.
      if (this.#closed) await consumer.disconnect();
    } catch (error) {
      this.#consumer = undefined;
      await consumer.disconnect().catch(() => {});
      throw error;
    }
  }

  /** Leaves the group. What is under way and does not end within 5 s is left behind: it comes again. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#restart?.cancel();
    for (const timer of this.#timers.values()) timer.cancel();
    this.#timers.clear();
    const consumer = this.#consumer;
    if (consumer === undefined) return;
    await this.#within(
      CLOSE_DEADLINE_MS,
      consumer.disconnect().catch(() => {}),
    );
  }

  #startAgain(): void {
    if (this.#closed) return;
    this.#restart = this.#options.clock.after(RESTART_MS, () => {
      this.start().catch((cause: unknown) => {
        this.#options.observe({ is: "failed", cause });
        this.#startAgain();
      });
    });
  }

  /** Forgets the partitions that are another node's now. */
  #keep(assigned: readonly number[]): void {
    for (const partition of this.#turns.keys()) {
      if (assigned.includes(partition)) continue;
      this.#turns.delete(partition);
      this.#timers.get(partition)?.cancel();
      this.#timers.delete(partition);
      this.#options.observe({ is: "lag", partition, records: 0 });
    }
  }

  async #batch(payload: EachBatchPayload): Promise<void> {
    const { batch, isRunning, isStale, heartbeat, pause } = payload;
    const { partition, messages } = batch;
    const { clock, observe } = this.#options;
    const turns = this.#turnsOf(partition);
    const records = messages.map((message) => inboundRecord(partition, message));
    const untilMs = clock.monotonic() + TURN_MS;
    let lost: unknown;
    const goesOn = () =>
      lost === undefined && !this.#closed && isRunning() && !isStale() && clock.monotonic() < untilMs;
    const running = turns.run(records, goesOn);
    while (!(await this.#within(HEARTBEAT_MS, running))) {
      try {
        await commit(payload, turns.reached(records));
        await heartbeat();
      } catch (error) {
        // The partition is another node's, or will be: what is under way here is the last.
        lost = error ?? new Error("the group has changed");
        break;
      }
    }
    const { last, waitMs } = await running;
    await commit(payload, last).catch((error: unknown) => {
      lost ??= error;
    });
    if (lost !== undefined) throw lost;
    await heartbeat();
    observe({
      is: "lag",
      partition,
      records: Number(batch.highWatermark) - 1 - (last?.offset ?? Number(batch.firstOffset()) - 1),
    });
    if (waitMs !== undefined && !this.#closed) this.#pause(partition, waitMs, pause());
  }

  /** What was read and is not dealt with is read again then: nothing of it is kept meanwhile. */
  #pause(partition: number, waitMs: number, resume: () => void): void {
    this.#timers.get(partition)?.cancel();
    const timer = this.#options.clock.after(waitMs, () => {
      this.#timers.delete(partition);
      resume();
    });
    this.#timers.set(partition, timer);
  }

  #turnsOf(partition: number): PartitionTurns {
    let turns = this.#turns.get(partition);
    if (turns === undefined) {
      turns = this.#options.turns();
      this.#turns.set(partition, turns);
    }
    return turns;
  }

  /** Whether it has settled within so many milliseconds. */
  async #within(deadlineMs: number, settling: Promise<unknown>): Promise<boolean> {
    const late = Promise.withResolvers<boolean>();
    const timer = this.#options.clock.after(deadlineMs, () => late.resolve(false));
    try {
      return await Promise.race([settling.then(() => true), late.promise]);
    } finally {
      timer.cancel();
    }
  }
}

/** Says that everything up to this record is dealt with. */
async function commit(
  { resolveOffset, commitOffsetsIfNecessary, uncommittedOffsets }: EachBatchPayload,
  last: InboundRecord | undefined,
): Promise<void> {
  if (last !== undefined) resolveOffset(`${last.offset}`);
  await commitOffsetsIfNecessary(uncommittedOffsets());
}
