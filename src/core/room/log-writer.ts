// A shard's events on their way into the log: batches, one append under way at a time.

import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { CoreDependencies } from "../core.js";
import { Batch, type Waiter } from "./batch.js";
import type { Room } from "./room.js";
import { ownerChanged, unavailable } from "./unavailable.js";

export interface LogWriterListener {
  /** The batch stands in the log, its first event at `from`. Called before anybody is told of it. */
  stored(batch: Batch, from: number): void;
  /** Everybody was told. */
  told(batch: Batch, from: number): void;
  /** The outcome is not known, or it was displaced: nothing is written any more until `begin`. */
  failed(error: TrunklineError, batch: Batch): void;
}

export class LogWriter {
  readonly #shard: number;
  readonly #deps: Pick<CoreDependencies, "log" | "fanout" | "clock" | "telemetry">;
  readonly #listener: LogWriterListener;
  #end = 0;
  #writing = false;
  #open = new Batch(0);
  /** Closed batches that wait for the one under way, oldest first. */
  #full: Batch[] = [];
  #underWay: Batch | undefined;
  #flushAsked = false;
  /** Told when nothing is under way: for drain. */
  #idle: (() => void)[] = [];

  constructor(
    shard: number,
    deps: Pick<CoreDependencies, "log" | "fanout" | "clock" | "telemetry">,
    listener: LogWriterListener,
  ) {
    this.#shard = shard;
    this.#deps = deps;
    this.#listener = listener;
  }

  /** Where the log ends. */
  get end(): number {
    return this.#end;
  }

  /** Bytes of events that are not durable yet. */
  get pendingBytes(): number {
    return this.#full.reduce((sum, { bytes }) => sum + bytes, this.#open.bytes + (this.#underWay?.bytes ?? 0));
  }

  /** The log was opened, and ends here. */
  begin(end: number): void {
    this.#end = end;
    this.#writing = true;
  }

  /** Whether every accepted event is stored or given up. */
  get isIdle(): boolean {
    return this.#underWay === undefined && this.#full.length === 0 && this.#open.size === 0;
  }

  /** Resolves when every accepted event is stored or given up. */
  idle(): Promise<void> {
    if (this.isIdle) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Events that have taken their turn. */
  accept(room: Room, events: Parameters<Batch["add"]>[1]): void {
    if (this.#open.size === 0) this.#open = new Batch(this.#deps.clock.monotonic());
    this.#open.add(room, events);
    // A batch that the log would not take is never made: what one turn adds is far less than the other half.
    if (this.#open.logBytes > this.#deps.log.maxBatchBytes / 2) this.#closeBatch();
    this.#askFlush();
  }

  /** Waits for everything accepted until now. */
  wait(waiter: Waiter): void {
    // The newest tentative event of the room, or of its root, is in no later batch than the newest that holds any.
    (this.#open.size > 0 ? this.#open : (this.#full.at(-1) ?? this.#underWay ?? this.#open)).wait(waiter);
  }

  /** Writes nothing more; whoever waits is told. */
  abandon(error: TrunklineError): void {
    const batches = [this.#underWay, ...this.#full, this.#open];
    this.#writing = false;
    this.#underWay = undefined;
    this.#full = [];
    this.#open = new Batch(0);
    for (const batch of batches) batch?.fail(error);
    this.#tellIdle();
  }

  /** Documents go with the events they follow from: they are taken before the next turn. */
  #closeBatch(): void {
    this.#open.seal();
    this.#full.push(this.#open);
    this.#open = new Batch(this.#deps.clock.monotonic());
  }

  #askFlush(): void {
    if (this.#flushAsked || this.#underWay !== undefined) return;
    this.#flushAsked = true;
    this.#deps.clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#flushAsked = false;
    if (!this.#writing || this.#underWay !== undefined) return;
    if (this.#full.length === 0 && this.#open.size > 0) this.#closeBatch();
    const batch = this.#full.shift();
    if (batch === undefined) return;
    this.#underWay = batch;
    this.#deps.log.append(this.#shard, this.#end, batch.seal()).then(
      (outcome) => {
        if (this.#underWay !== batch) return;
        if (outcome.status === "durable") this.#durable(batch, outcome.end);
        else this.#failed(batch, ownerChanged());
      },
      (cause: unknown) => {
        if (this.#underWay !== batch) return;
        this.#failed(batch, unavailable("the log did not answer; retry with the same key", cause));
      },
    );
  }

  #durable(batch: Batch, end: number): void {
    const from = this.#end;
    this.#end = end;
    this.#underWay = undefined;
    this.#listener.stored(batch, from);
    batch.settle(({ ref }, events) => this.#deps.fanout.announce(ref, events));
    if (this.#deps.log.archivesOnAppend) batch.archived();
    this.#deps.telemetry.emit("log.appended", {
      shard: this.#shard,
      events: batch.size,
      bytes: batch.bytes,
      waitMs: this.#deps.clock.monotonic() - batch.openedAtMs,
    });
    this.#listener.told(batch, from);
    this.#flush();
    if (this.#underWay === undefined) this.#tellIdle();
  }

  #failed(batch: Batch, error: TrunklineError): void {
    this.#listener.failed(error, batch);
  }

  #tellIdle(): void {
    const told = this.#idle;
    this.#idle = [];
    for (const resolve of told) resolve();
  }
}

/** Refuses what would wait behind too much. */
export function requireNotBehind(pendingBytes: number, limitBytes: number, message: string): void {
  if (pendingBytes <= limitBytes) return;
  throw new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: 1_000 });
}
