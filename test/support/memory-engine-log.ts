// The memory engine's event log, with the faults the engine is told to make.

import { EncodedEvent } from "../../src/ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import {
  type AppendBatch,
  type AppendOutcome,
  type EventLog,
  LogExpired,
  type LogRecord,
  type OpenedShard,
  recordBytes,
} from "../../src/ports/event-log.js";
import { roomRef } from "../../src/ports/room-ref.js";
import type { AppendFault, Life, MemoryEngine } from "./memory-engine.js";
import { applyChanges, type LogEntry, type ShardState } from "./memory-engine-state.js";

/** What a dead process answers. */
export function never<T>(): Promise<T> {
  return new Promise(() => {});
}

/** One append under way. */
interface Append {
  readonly shard: number;
  /** The opening that it follows. */
  readonly epoch: number;
  readonly at: number;
  readonly batch: AppendBatch;
  readonly fault: AppendFault | undefined;
}

export class MemoryLog implements EventLog {
  readonly shards: number;
  readonly archivesOnAppend: boolean;
  readonly era: string;
  readonly maxBatchBytes: number;
  readonly #engine: MemoryEngine;
  readonly #life: Life;
  /** Epochs of the appends under way, by shard. */
  readonly #pending = new Map<number, number>();
  /** The epoch that this node's last opening of a shard has begun. */
  readonly #opened = new Map<number, number>();

  constructor(engine: MemoryEngine, life: Life) {
    this.#engine = engine;
    this.#life = life;
    this.shards = engine.shards;
    this.era = engine.state.eras.at(-1)?.id ?? "";
    this.archivesOnAppend = engine.archivesOnAppend;
    this.maxBatchBytes = engine.maxBatchBytes;
  }

  get #dead(): boolean {
    return this.#life.dead;
  }

  continues(era: string, offsets: readonly number[]): boolean {
    const { eras, shards } = this.#engine.state;
    const index = eras.findIndex(({ id }) => id === era);
    const ends = eras[index + 1]?.ends ?? shards.map(({ end }) => end);
    return (
      index >= 0 && offsets.length === ends.length && offsets.every((offset, shard) => offset <= (ends[shard] ?? -1))
    );
  }

  async open(shard: number, signal?: AbortSignal): Promise<OpenedShard> {
    await Promise.resolve();
    if (this.#dead) return never();
    if (signal?.aborted === true) throw unavailable("the opening was given up");
    const state = this.#shard(shard);
    state.epoch += 1;
    this.#opened.set(shard, state.epoch);
    this.#pending.delete(shard);
    if (this.#engine.leavesVoids) this.#storeVoid(state);
    state.openedAt = state.end;
    return { end: state.end, tail: recordsFrom(state, state.archived, Number.POSITIVE_INFINITY) };
  }

  async append(shard: number, at: number, batch: AppendBatch): Promise<AppendOutcome> {
    if (this.#dead) return never();
    const epoch = this.#opened.get(shard) ?? this.#shard(shard).epoch;
    if (this.#pending.has(shard)) throw new Error(`two appends to shard ${shard} at a time`);
    if (this.archivesOnAppend) assertPaired(batch);
    const bytes = batch.records.reduce((sum, record) => sum + recordBytes(record), 0);
    if (bytes > this.maxBatchBytes) throw TrunklineError.tooLarge("the batch", this.maxBatchBytes);
    this.#pending.set(shard, epoch);
    // The fault is chosen at the call, so that a simulation's order does not hang on microtasks.
    const fault = this.#engine.takeFault(shard, at, batch);
    if (fault?.kind === "late") {
      this.#pending.delete(shard);
      void fault.until.then(() => {
        if (!this.#life.lost) this.#arrive({ shard, epoch, at, batch, fault });
      });
      throw unavailable("the answer was not waited for");
    }
    await (fault?.kind === "hold" ? fault.until : Promise.resolve());
    if (this.#life.lost) return never();
    if (this.#pending.get(shard) === epoch) this.#pending.delete(shard);
    const outcome = this.#arrive({ shard, epoch, at, batch, fault });
    // What has arrived after the death of its node is stored all the same.
    if (this.#dead) return never();
    if (fault?.kind === "refuse") throw unavailable("the append was refused");
    if (outcome.status === "durable" && fault?.kind === "lose-answer") throw unavailable("the answer was lost");
    return outcome;
  }

  #arrive({ shard, epoch, at, batch, fault }: Append): AppendOutcome {
    const state = this.#shard(shard);
    if (fault?.kind === "refuse") return { status: "displaced" };
    if (fault?.kind === "displace") {
      if (fault.by === undefined) this.#storeVoid(state);
      else this.#store(state, fault.by);
    }
    const isOvertaken = state.epoch !== epoch;
    const isBeforeFirst = state.end === state.openedAt;
    const stored = !isOvertaken && state.end === at;
    if (stored) this.#store(state, batch);
    else if (this.#engine.leavesVoids) for (const _ of batch.records) this.#storeVoid(state);
    const isGivenUp = this.#dead || fault?.kind === "late";
    this.#engine.arrived({ shard, stored, isGivenUp, isOvertaken, isBeforeFirst });
    return stored ? { status: "durable", end: state.end } : { status: "displaced" };
  }

  async ends(): Promise<readonly number[]> {
    await Promise.resolve();
    if (this.#dead) return never();
    return this.#engine.state.shards.map(({ end }) => end);
  }

  async begins(): Promise<readonly number[]> {
    await Promise.resolve();
    if (this.#dead) return never();
    return this.#engine.state.shards.map(({ begins }) => begins);
  }

  async read(shard: number, from: number, limit: number): Promise<readonly LogRecord[]> {
    await Promise.resolve();
    if (this.#dead) return never();
    const { begins } = this.#shard(shard);
    if (from < begins) throw new LogExpired(shard, from, begins);
    return recordsFrom(this.#shard(shard), from, limit);
  }

  #shard(shard: number): ShardState {
    const state = this.#engine.state.shards[shard];
    if (state === undefined) throw new RangeError(`no shard ${shard}`);
    return state;
  }

  #store(state: ShardState, batch: AppendBatch): void {
    for (const { room, event } of batch.records) {
      state.entries.push({
        offset: state.end,
        tenantId: room.tenantId,
        roomId: room.roomId,
        event: { seq: event.seq, tag: event.tag, bytes: event.bytes.slice() },
      });
      state.end += 1;
    }
    if (!this.archivesOnAppend) return;
    applyChanges(this.#engine.state, batch.changes);
    state.archived = state.end;
  }

  #storeVoid(state: ShardState): void {
    state.entries.push({ offset: state.end, tenantId: "", roomId: "", event: undefined });
    state.end += 1;
    if (this.archivesOnAppend) state.archived = state.end;
  }
}

/** The embedded engine stores an event once, from both lists together: they must say the same. */
function assertPaired({ records, changes }: AppendBatch): void {
  const paired =
    records.length === changes.events.length &&
    records.every(({ room, event }, index) => {
      const change = changes.events[index];
      return change?.room.key === room.key && change.event.seq === event.seq;
    });
  if (!paired) throw new Error("changes.events must be the records, in the same order");
}

function recordsFrom(state: ShardState, from: number, limit: number): readonly LogRecord[] {
  const records: LogRecord[] = [];
  // Offsets are dense from 0: each entry stands at its own.
  for (let at = Math.max(from, 0); at < state.entries.length && records.length < limit; at++) {
    const entry = state.entries[at];
    const record = entry && recordOf(entry);
    if (record !== undefined) records.push(record);
  }
  return records;
}

function recordOf({ offset, tenantId, roomId, event, purged }: LogEntry): LogRecord | undefined {
  if (event === undefined || purged === true) return undefined;
  return {
    offset,
    room: roomRef(tenantId, roomId),
    event: new EncodedEvent(event.seq, event.tag, event.bytes.slice()),
  };
}

function unavailable(reason: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, "the log is not available", { cause: new Error(reason) });
}
