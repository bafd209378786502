// The embedded event log: a table of pointers, written in the same transaction as all that follows from the events.

import {
  type AppendBatch,
  type AppendOutcome,
  type EventLog,
  LogExpired,
  type LogRecord,
  type OpenedShard,
} from "../../ports/event-log.js";
import { pushDocuments, pushEvent, pushHidden, pushIdleLooks, pushScrubs } from "./changes.js";
import { continuesEra } from "./eras.js";
import { type GroupCommit, reading, unavailable, type Write } from "./group-commit.js";
import { after, logKey, numberedKey, offsetOf, roomKey, shardKey } from "./keys.js";
import { readEncodedEvent, readOffset, readPointer, readShard, writePointer, writeShard } from "./records.js";
import type { Tables } from "./tables.js";

export class EmbeddedEventLog implements EventLog {
  readonly shards: number;
  readonly archivesOnAppend = true;
  readonly era: string;
  readonly maxBatchBytes = Number.POSITIVE_INFINITY;
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  readonly #appending = new Map<number, Promise<void>>();

  constructor(tables: Tables, commit: GroupCommit) {
    this.shards = tables.shardCount;
    this.era = tables.era;
    this.#tables = tables;
    this.#commit = commit;
  }

  continues(era: string, offsets: readonly number[]): boolean {
    return reading(() => continuesEra(this.#tables, era, offsets));
  }

  /** Waits for an append that is under way: its outcome is in the answer. */
  async open(shard: number, signal?: AbortSignal): Promise<OpenedShard> {
    this.#assertShard(shard);
    await this.#appending.get(shard)?.catch(() => {});
    if (signal?.aborted === true) throw unavailable(signal.reason);
    return { end: this.#end(shard), tail: [] };
  }

  async append(shard: number, at: number, batch: AppendBatch): Promise<AppendOutcome> {
    this.#assertShard(shard);
    if (this.#appending.has(shard)) throw new Error(`an append to shard ${shard} is under way`);
    if (at !== this.#end(shard)) return { status: "displaced" };
    const end = at + batch.records.length;
    const committed = this.#commit.commit(this.#writes(shard, at, end, batch));
    this.#appending.set(shard, committed);
    try {
      await committed;
    } finally {
      this.#appending.delete(shard);
    }
    return { status: "durable", end };
  }

  async ends(): Promise<readonly number[]> {
    return Array.from({ length: this.shards }, (_, shard) => this.#end(shard));
  }

  async begins(): Promise<readonly number[]> {
    return reading(() => Array.from({ length: this.shards }, (_, shard) => this.#begins(shard)));
  }

  async read(shard: number, from: number, limit: number): Promise<readonly LogRecord[]> {
    this.#assertShard(shard);
    try {
      const records = this.#read(shard, from, limit);
      // Afterwards: what was removed meanwhile is not passed over.
      const begins = this.#begins(shard);
      if (begins > from) throw new LogExpired(shard, from, begins);
      return records;
    } catch (error) {
      if (error instanceof LogExpired) throw error;
      throw unavailable(error);
    }
  }

  #read(shard: number, from: number, limit: number): readonly LogRecord[] {
    const records: LogRecord[] = [];
    const range = { start: logKey(shard, from), end: after(shardKey(shard)) };
    for (const { key, value } of limit > 0 ? this.#tables.log.getRange(range) : []) {
      const { room, seq } = readPointer(value);
      const stored = this.#tables.events.getBinary(numberedKey(roomKey(room), seq));
      if (stored === undefined) continue;
      records.push({ offset: offsetOf(key), room, event: readEncodedEvent(seq, stored) });
      if (records.length >= limit) break;
    }
    return records;
  }

  #writes(shard: number, at: number, end: number, { records, changes }: AppendBatch): readonly Write[] {
    if (records.length !== changes.events.length) throw new Error("changes.events must be the records");
    const writes: Write[] = [];
    for (const [index, change] of changes.events.entries()) {
      const record = records[index];
      if (record?.room.key !== change.room.key || record.event.seq !== change.event.seq) {
        throw new Error("changes.events must be the records, in the same order");
      }
      const { room, event, createdAtMs } = change;
      const offset = at + index;
      const value = writePointer({ room, seq: event.seq, createdAtMs });
      writes.push({ table: this.#tables.log, key: logKey(shard, offset), value });
      pushEvent(writes, this.#tables, change, { shard, offset });
    }
    pushScrubs(writes, this.#tables, changes.scrubs);
    pushHidden(writes, this.#tables, changes.hidden);
    pushIdleLooks(writes, this.#tables, [], changes.idleLooks);
    pushDocuments(writes, this.#tables, changes);
    writes.push({ table: this.#tables.shards, key: shardKey(shard), value: writeShard({ end, archived: end }) });
    return writes;
  }

  #end(shard: number): number {
    try {
      return readShard(this.#tables.shards.getBinary(shardKey(shard))).end;
    } catch (error) {
      throw unavailable(error);
    }
  }

  #begins(shard: number): number {
    const stored = this.#tables.expired.getBinary(shardKey(shard));
    return stored === undefined ? 0 : readOffset(stored);
  }

  #assertShard(shard: number): void {
    if (!(shard >= 0 && shard < this.shards)) throw new RangeError(`no shard ${shard}`);
  }
}
