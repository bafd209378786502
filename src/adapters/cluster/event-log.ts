// The event log on Kafka: a partition per shard, appended to by comparing offsets.
//
// Each record states the offset that its batch was built for, and one at any other offset is void, for every reader. Kafka stores a
// batch as a whole at consecutive offsets, so a batch counts as a whole or not at all, and of all that were built for an offset only
// the first to arrive counts. A batch that is resent or comes late, or whose builder no longer is the shard's owner, does no harm:
// leases, clocks and pauses are matters of who waits for whom, never of what the log says.

import type { Clock } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import {
  type AppendBatch,
  type AppendOutcome,
  type EventLog,
  LogExpired,
  type LogRecord,
  type OpenedShard,
  recordBytes,
} from "../../ports/event-log.js";
import type { Awaitable } from "../../ports/room-ref.js";
import { AtMost } from "./at-most.js";
import { barrierRecord, counts, eventRecords, readEventRecord } from "./event-record.js";
import type { PartitionLog, PartitionPage } from "./partition-log.js";
import { RecentRecords } from "./recent-records.js";
import { Retry } from "./retry.js";

export interface KafkaEventLogOptions {
  readonly partitions: PartitionLog;
  /** How many partitions there are. */
  readonly shards: number;
  /** Names the topic: see the port. */
  readonly era: string;
  /** See the port. */
  readonly maxBatchBytes: number;
  /** The node's name: barriers carry it, for whoever looks. */
  readonly node: string;
  /** The offset up to which (exclusive) the archive has everything of a shard. */
  readonly archived: (shard: number) => Awaitable<number>;
  readonly clock: Clock;
  /** Longest tail that an open reads, in bytes: no owner may accept so much before it is archived. Default 160 MiB. */
  readonly maxTailBytes?: number;
  /** What is kept of each shard's last appends, in bytes. Default 512 KiB. */
  readonly recentBytes?: number;
}

const DEFAULT_TAIL_BYTES = 160 * 1024 * 1024;
const DEFAULT_RECENT_BYTES = 512 * 1024;
/** How long an open tries to write its barrier, in milliseconds: a topic just made, or a leader that leaves, takes a second or two. */
const BARRIER_DEADLINE_MS = 5_000;
/** How long a read goes on without coming further, in milliseconds. */
const READ_DEADLINE_MS = 3_000;
/** What is asked of Kafka at once, in bytes: as much as so many records are likely to take, within bounds. */
const LEAST_PAGE_BYTES = 64 * 1024;
const MOST_PAGE_BYTES = 1024 * 1024;
const LIKELY_RECORD_BYTES = 512;
/** Reads at once, and tails at once: each holds about a MiB beside what it gives. */
const READS = 4;
/** How long an open waits for its turn to read, in milliseconds: a node that takes over many shards reads their tails in turn. */
const TAIL_TURN_DEADLINE_MS = 30_000;
const RETRY_AFTER_MS = 500;

/** What the node knows of a shard. */
interface Place {
  /** Where the next append goes; undefined: the shard must be opened first. */
  end: number | undefined;
  /** Everything before it was durable once: a leader that shows less does not show all yet. */
  durable: number;
  /** Rises with each open: what was begun before says nothing about the shard's end any more. */
  epoch: number;
  appending: boolean;
  readonly recent: RecentRecords;
}

export class KafkaEventLog implements EventLog {
  readonly shards: number;
  readonly archivesOnAppend = false;
  readonly era: string;
  readonly maxBatchBytes: number;
  readonly #options: KafkaEventLogOptions;
  readonly #partitions: PartitionLog;
  readonly #clock: Clock;
  readonly #places: readonly Place[];
  readonly #reads: AtMost;
  readonly #tails: AtMost;
  readonly #retry: Retry;

  constructor(options: KafkaEventLogOptions) {
    const { shards, maxBatchBytes, partitions, clock, recentBytes = DEFAULT_RECENT_BYTES } = options;
    this.shards = shards;
    this.era = options.era;
    this.maxBatchBytes = maxBatchBytes;
    this.#options = options;
    this.#partitions = partitions;
    this.#clock = clock;
    this.#reads = new AtMost({ places: READS, deadlineMs: READ_DEADLINE_MS, clock });
    this.#tails = new AtMost({ places: READS, deadlineMs: TAIL_TURN_DEADLINE_MS, clock });
    this.#retry = new Retry(clock);
    this.#places = Array.from({ length: shards }, () => {
      const recent = new RecentRecords(recentBytes);
      return { end: undefined, durable: 0, epoch: 0, appending: false, recent };
    });
  }

  /** A topic is restored by nobody: it is this one, or another. */
  async continues(era: string, offsets: readonly number[]): Promise<boolean> {
    if (era !== this.era || offsets.length !== this.shards) return false;
    const beyond = [...offsets.keys()].filter((shard) => (offsets[shard] ?? 0) > this.#place(shard).durable);
    if (beyond.length === 0) return true;
    const ends = await this.#endsOf(beyond);
    return beyond.every((shard, index) => (offsets[shard] ?? 0) <= (ends[index] ?? -1));
  }

  async open(shard: number, signal?: AbortSignal): Promise<OpenedShard> {
    const place = this.#place(shard);
    givenUp(signal);
    place.epoch += 1;
    place.end = undefined;
    const { epoch } = place;
    const sinceMs = this.#clock.monotonic();
    const barrier = await this.#barrier(shard, signal);
    const end = barrier + 1;
    place.durable = Math.max(place.durable, end);
    const tail = await this.#tail(shard, end, signal);
    if (place.epoch === epoch) {
      place.end = end;
      place.recent.reset(end, sinceMs);
    }
    return { end, tail };
  }

  async append(shard: number, at: number, { records }: AppendBatch): Promise<AppendOutcome> {
    const place = this.#place(shard);
    if (place.appending) throw new Error(`an append to shard ${shard} is under way`);
    // Nobody was told of any other offset: a batch that is built for one would only be void.
    if (place.end !== at) return { status: "displaced" };
    const bytes = records.reduce((sum, record) => sum + recordBytes(record), 0);
    if (bytes > this.maxBatchBytes) throw TrunklineError.tooLarge("the batch", this.maxBatchBytes);
    if (records.length === 0) return { status: "durable", end: at };
    const { epoch } = place;
    const sinceMs = this.#clock.monotonic();
    place.end = undefined;
    place.appending = true;
    try {
      const offset = await uncertain(this.#partitions.append(shard, eventRecords(records, at)));
      if (offset !== at) return { status: "displaced" };
      const end = at + records.length;
      place.durable = Math.max(place.durable, end);
      if (place.epoch === epoch) {
        place.end = end;
        place.recent.add(at, records, sinceMs);
      }
      return { status: "durable", end };
    } finally {
      place.appending = false;
    }
  }

  async read(shard: number, from: number, limit: number): Promise<readonly LogRecord[]> {
    const { recent } = this.#place(shard);
    if (limit <= 0) return [];
    const kept = recent.read(from, limit, this.#clock.monotonic());
    if (kept !== undefined) return kept;
    const records: LogRecord[] = [];
    const pageBytes = Math.min(Math.max(limit * LIKELY_RECORD_BYTES, LEAST_PAGE_BYTES), MOST_PAGE_BYTES);
    const take = (record: LogRecord): boolean => records.push(record) < limit;
    const began = await uncertain(this.#reads.run(() => this.#scan(shard, from, pageBytes, take)));
    if (began > from) throw new LogExpired(shard, from, began);
    return records;
  }

  /** Asks the shard's leader where its log ends. Rejects where it does not say. */
  async probe(shard: number): Promise<void> {
    await this.#partitions.ends([shard]);
  }

  async ends(): Promise<readonly number[]> {
    const ends = await this.#endsOf([...this.#places.keys()]);
    // A new leader does not show everything at once.
    return ends.map((end, shard) => Math.max(end, this.#place(shard).durable));
  }

  begins(): Promise<readonly number[]> {
    const shards = [...this.#places.keys()];
    return uncertain(this.#retry.run(READ_DEADLINE_MS, () => this.#partitions.begins(shards)));
  }

  /** Ends what waits. What is called afterwards rejects. */
  close(): void {
    this.#retry.close();
    this.#partitions.close();
  }

  async #endsOf(shards: readonly number[]): Promise<readonly number[]> {
    return await uncertain(this.#retry.run(READ_DEADLINE_MS, () => this.#partitions.ends(shards)));
  }

  async #barrier(shard: number, signal: AbortSignal | undefined): Promise<number> {
    const barrier = [barrierRecord(this.#options.node)];
    // One that was stored without an answer is only one more void record.
    const write = () => this.#partitions.append(shard, barrier);
    return await uncertain(this.#retry.run(BARRIER_DEADLINE_MS, write, signal));
  }

  /** What stands between the archive's watermark and `end`. */
  async #tail(shard: number, end: number, signal: AbortSignal | undefined): Promise<readonly LogRecord[]> {
    givenUp(signal);
    const archived = await this.#options.archived(shard);
    if (archived > end) {
      const what = `shard ${shard} was opened at ${end}, and the archive has it up to ${archived}`;
      throw unavailable(new Error(`${what}: another node has gone on, or the log is another one`));
    }
    // All but the barrier, which never counts: as it is where the last owner has handed the shard over.
    if (archived >= end - 1) return [];
    const { maxTailBytes = DEFAULT_TAIL_BYTES } = this.#options;
    const tail: LogRecord[] = [];
    let bytes = 0;
    const take = (record: LogRecord): boolean => {
      givenUp(signal);
      if (record.offset >= end) return false;
      tail.push(record);
      bytes += recordBytes(record);
      return bytes <= maxTailBytes;
    };
    const first = await uncertain(this.#tails.run(() => this.#scan(shard, archived, MOST_PAGE_BYTES, take)));
    if (first > archived) {
      const gone = `shard ${shard}: the archive has it up to ${archived}, the log keeps it from ${first} on`;
      throw unavailable(new Error(gone));
    }
    if (bytes > maxTailBytes) throw unavailable(new Error(`shard ${shard}: the archive is too far behind its log`));
    return tail;
  }

  /**
   * Hands over the records that count, from offset `from` on, until `take` has enough or there are no more. Resolves with where it began:
   * at `from`, or behind it where the log no longer goes back so far.
   */
  async #scan(shard: number, from: number, pageBytes: number, take: (record: LogRecord) => boolean): Promise<number> {
    let began = from;
    for (let at = from; ; ) {
      const page = await this.#page(shard, at, pageBytes);
      if (page.status === "out-of-range") {
        if (page.first <= at) return began;
        at = page.first;
        began = at;
        continue;
      }
      for (const record of page.records) if (counts(record) && !take(readEventRecord(record))) return began;
      at = page.next;
      // A leader that has just come to be one may show only some of what is durable.
      if (at >= page.end && at >= this.#place(shard).durable) return began;
    }
  }

  /** What stands at an offset. One that this node knows to be durable is waited for: a new leader does not show it at once. */
  #page(shard: number, at: number, bytes: number): Promise<PartitionPage> {
    const { durable } = this.#place(shard);
    return this.#retry.run(READ_DEADLINE_MS, async () => {
      const page = await this.#partitions.read(shard, at, bytes);
      const shown = page.status === "page" ? page.next : page.first;
      if (shown > at || at >= durable) return page;
      throw new Error(`the leader of shard ${shard} shows nothing at ${at}, which was durable up to ${durable}`);
    });
  }

  #place(shard: number): Place {
    const place = this.#places[shard];
    if (place === undefined) throw new RangeError(`no shard ${shard}`);
    return place;
  }
}

/** Throws where nobody waits for an open any more. */
function givenUp(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw unavailable(signal.reason);
}

/** Whatever it rejects with becomes UNAVAILABLE. */
async function uncertain<T>(outcome: Promise<T>): Promise<T> {
  try {
    return await outcome;
  } catch (cause) {
    throw unavailable(cause);
  }
}

function unavailable(cause: unknown): TrunklineError {
  if (cause instanceof TrunklineError) return cause;
  return new TrunklineError(ErrorCode.UNAVAILABLE, "the log is not available", { retryAfterMs: RETRY_AFTER_MS, cause });
}
