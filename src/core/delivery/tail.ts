// One tail: a tenant's events as they become durable, read from the log at the pace of whoever takes them.

import { create } from "@bufbuild/protobuf";
import { type TailResponse, TailResponseSchema } from "../../gen/trunkline/v1/delivery_pb.js";
import type { RoomEvent } from "../../gen/trunkline/v1/message_pb.js";
import type { TrunklineError } from "../../ports/error.js";
import type { EventLog, LogRecord } from "../../ports/event-log.js";
import type { Identity } from "../../ports/token-verifier.js";
import { PAGE_BYTES } from "../limit/limits.js";
import { writeCursor } from "./cursor.js";

/** Events read at once, of one shard: all that a stream holds in memory. */
const READ = 128;

export interface TailScope {
  readonly identity: Identity;
  /** When its token was verified, wall clock. */
  readonly verifiedAtMs: number;
  /** Undefined: all of the tenant. */
  readonly roomIds: ReadonlySet<string> | undefined;
  /** The shards these rooms are in. Undefined: all. */
  readonly shards: ReadonlySet<number> | undefined;
}

export class Tail {
  readonly scope: TailScope;
  readonly #log: Pick<EventLog, "era" | "read">;
  readonly #offsets: number[];
  readonly #onReached: (shard: number) => void;
  /** Shards that may hold something new, in the order in which they are read. */
  readonly #behind = new Set<number>();
  #wake: (() => void) | undefined;
  /** How it was ended; an error is what the reader is told. */
  #end: { readonly error: TrunklineError | undefined } | undefined;

  /** `offsets`: where it begins in each shard. `reached` is called when it has gone on in one. */
  constructor(
    log: Pick<EventLog, "era" | "read">,
    scope: TailScope,
    offsets: readonly number[],
    reached: (shard: number) => void,
  ) {
    this.#log = log;
    this.#onReached = reached;
    this.scope = scope;
    this.#offsets = [...offsets];
    for (const shard of offsets.keys()) this.appended(shard);
  }

  /** How far it has read a shard; infinite: it does not. */
  reached(shard: number): number {
    return this.scope.shards?.has(shard) === false
      ? Number.POSITIVE_INFINITY
      : (this.#offsets[shard] ?? Number.POSITIVE_INFINITY);
  }

  /** The shard's log may have grown. */
  appended(shard: number): void {
    if (this.scope.shards?.has(shard) === false) return;
    this.#behind.add(shard);
    this.#wake?.();
  }

  /** Ends it, with what its reader is told; without, nobody reads any more. Idempotent. */
  end(error: TrunklineError | undefined): void {
    this.#end ??= { error };
    this.#wake?.();
  }

  async *responses(): AsyncGenerator<TailResponse, void, undefined> {
    yield create(TailResponseSchema, { cursor: this.#cursor });
    while (this.#end === undefined) {
      const [shard] = this.#behind;
      if (shard === undefined) await this.#more();
      else yield* this.#read(shard);
    }
    if (this.#end.error !== undefined) throw this.#end.error;
  }

  get #cursor(): string {
    return writeCursor({ era: this.#log.era, offsets: this.#offsets });
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = () => {
        this.#wake = undefined;
        resolve();
      };
    });
  }

  async *#read(shard: number): AsyncGenerator<TailResponse, void, undefined> {
    // Before the read: what is appended meanwhile is read after it. A full page goes to the end of the line.
    this.#behind.delete(shard);
    const records = await this.#log.read(shard, this.#offsets[shard] ?? 0, READ);
    if (records.length === READ) this.#behind.add(shard);
    for (const run of this.#runs(records)) {
      if (this.#end !== undefined) return;
      this.#offsets[shard] = run.last + 1;
      yield create(TailResponseSchema, { roomId: run.roomId, events: run.events, cursor: this.#cursor });
    }
    const last = records.at(-1);
    if (last === undefined) return;
    this.#offsets[shard] = last.offset + 1;
    this.#onReached(shard);
  }

  /** Records that follow each other in one room, as far as they are asked for. */
  *#runs(records: readonly LogRecord[]): Generator<Run> {
    let run: Run | undefined;
    let bytes = 0;
    for (const { offset, room, event } of records) {
      const { tenantId, roomId } = room;
      if (tenantId !== this.scope.identity.tenantId || this.scope.roomIds?.has(roomId) === false) continue;
      if (run !== undefined && (run.roomId !== roomId || bytes >= PAGE_BYTES)) {
        yield run;
        run = undefined;
      }
      if (run === undefined) {
        run = { roomId, events: [], last: offset };
        bytes = 0;
      }
      run.events.push(event.event);
      run.last = offset;
      bytes += event.bytes.length;
    }
    if (run !== undefined) yield run;
  }
}

interface Run {
  readonly roomId: string;
  readonly events: RoomEvent[];
  /** The offset of its last event. */
  last: number;
}
