// The log: the truth about what happened, one partition per shard.

import type { ArchiveChanges } from "./archive.js";
import type { EncodedEvent } from "./encoded-event.js";
import type { Awaitable, RoomRef } from "./room-ref.js";

/** An event on its way into the log. */
export interface NewRecord {
  readonly room: RoomRef;
  readonly event: EncodedEvent;
}

/** An event in the log. */
export interface LogRecord extends NewRecord {
  /** Its place in the shard: dense from 0 in the embedded engine, rising in others. */
  readonly offset: number;
}

/** Events that are stored together or not at all, and what follows from them. */
export interface AppendBatch {
  readonly records: readonly NewRecord[];
  /** The documents as they are after the records. Written with them where `archivesOnAppend`, else ignored. */
  readonly changes: ArchiveChanges;
}

/** What a log may need beside a record's event and key, in bytes. */
const RECORD_OVERHEAD_BYTES = 64;

/** What a record counts towards `maxBatchBytes`, in bytes. */
export function recordBytes({ room, event }: NewRecord): number {
  return event.bytes.length + room.key.length + RECORD_OVERHEAD_BYTES;
}

export type AppendOutcome =
  /** On stable storage. The next append goes to `end`. */
  | { readonly status: "durable"; readonly end: number }
  /** Somebody else has written at that offset: nothing of the batch is or will be in the log. */
  | { readonly status: "displaced" };

export interface OpenedShard {
  /** Where the next append goes. */
  readonly end: number;
  /** Events the archive does not have yet, oldest first. */
  readonly tail: readonly LogRecord[];
}

/** What `read` rejects with where the log has let go of records at the offset that was asked for, or behind it. */
export class LogExpired extends Error {
  override readonly name = "LogExpired";
  readonly shard: number;
  /** The offset that was asked for. */
  readonly from: number;
  /** Where the shard's log begins now: of what stood from `from` to here nothing is left, and nobody can say how much of it was events. */
  readonly begins: number;

  constructor(shard: number, from: number, begins: number) {
    super(`shard ${shard} was to be read from ${from}, and its log begins at ${begins}`);
    this.shard = shard;
    this.from = from;
    this.begins = begins;
  }
}

export interface EventLog {
  /** How many shards the store was created with. Never changes. */
  readonly shards: number;

  /** Whether `append` writes `changes` to the archive in the same transaction. */
  readonly archivesOnAppend: boolean;

  /** Names this log since it was last opened or restored: 1 to 32 characters of [A-Za-z0-9_-]. No other log ever has the same. */
  readonly era: string;

  /**
   * Whether this log holds all that who came to `offsets`, by shard and exclusive, in `era` has read of it, what was purged or is past its
   * retention aside. False where the era is another store's, where it is of what came after the copy that this log was restored from, and
   * where an offset is beyond the log's end.
   */
  continues(era: string, offsets: readonly number[]): Awaitable<boolean>;

  /** How much one append takes: the sum of its records' `recordBytes`. Never changes while the log is open. */
  readonly maxBatchBytes: number;

  /**
   * Makes the caller the shard's writer, as far as the engine can tell: what was appended before is seen in the answer, and an
   * append that was under way from elsewhere is displaced. What the archive has is what it says it has when asked: where the engine
   * does not write it itself, the caller brings it up to `end`, also when the tail is empty. Rejects with UNAVAILABLE, also where
   * the log no longer has what the archive lacks. Once `signal` is aborted nothing more is begun, so that who has the shard by then is not
   * displaced by what nobody waits for; it rejects then, and what was sent before may arrive still. Aborted beforehand, it changes nothing.
   */
  open(shard: number, signal?: AbortSignal): Promise<OpenedShard>;

  /**
   * Stores a batch at offset `at`, or nothing of it. Resolves after it is on stable storage: what is resolved `durable`
   * survives the death of the process at any moment. One append per shard at a time. Rejects with UNAVAILABLE when the
   * outcome is uncertain: the caller opens the shard again and reads what is there. Rejects with TOO_LARGE, and stores nothing, beyond
   * `maxBatchBytes`.
   */
  append(shard: number, at: number, batch: AppendBatch): Promise<AppendOutcome>;

  /** Where each shard's log ends: behind everything that was durable before the call, whoever has appended it. Rejects with UNAVAILABLE. */
  ends(): Promise<readonly number[]>;

  /**
   * Where each shard's log begins: what stood before it was let go of because of its age. 0: of nothing. What was purged stands for nothing
   * here. Rejects with UNAVAILABLE.
   */
  begins(): Promise<readonly number[]>;

  /**
   * Records from offset `from` on, in order, at most `limit`; only durable ones, and of those that were purged none where the log is the
   * archive's own. Fewer than `limit`: there are no more yet, as far as this node knows; what another node has appended is seen after a
   * second at the latest. Never passes over what is no longer kept: rejects with LogExpired where the log begins behind `from`, or does so
   * before the read has come so far. Rejects with UNAVAILABLE.
   */
  read(shard: number, from: number, limit: number): Promise<readonly LogRecord[]>;
}
