// One tail: a tenant's events as they become durable, read from the log at the pace of whoever takes them.

import { create } from "@bufbuild/protobuf";
import { type TailResponse, TailResponseSchema } from "../../gen/trunkline/v1/delivery_pb.js";
import type { RoomEvent } from "../../gen/trunkline/v1/message_pb.js";
import type { Clock } from "../../ports/clock.js";
import type { TrunklineError } from "../../ports/error.js";
import { type EventLog, LogExpired, type LogRecord } from "../../ports/event-log.js";
import type { Identity } from "../../ports/token-verifier.js";
import { PAGE_BYTES } from "../limit/limits.js";
import { refusedCursor, writeCursor } from "./cursor.js";

/** Events read at once, of one shard: all that a stream holds in memory. */
const READ = 128;
/** A cursor that has moved on without events to tell of is told after so long, in milliseconds: left behind, it would be too old one day. */
const CURSOR_MS = 60_000;

export interface TailParts {
  readonly log: Pick<EventLog, "era" | "read">;
  readonly clock: Clock;
  /** The tail has gone on in the shard. */
  reached(shard: number): void;
}

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
  readonly #parts: TailParts;
  readonly #offsets: number[];
  /** Shards that may hold something new, in the order in which they are read. */
  readonly #behind = new Set<number>();
  /** By shard: where everything that can be read ends, and more: records that hold nothing for anybody. */
  readonly #settled = new Map<number, number>();
  /** Whether it has gone on from the cursor that was told last, and when that was, monotonic. */
  #moved = false;
  #toldAtMs = 0;
  #wake: (() => void) | undefined;
  /** How it was ended; an error is what the reader is told. */
  #end: { readonly error: TrunklineError | undefined } | undefined;

  /** `offsets`: where it begins in each shard. */
  constructor(parts: TailParts, scope: TailScope, offsets: readonly number[]) {
    this.#parts = parts;
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

  /** The shard's log ends at `end`, and whoever reads from now on and is shown no more has come there. */
  settled(shard: number, end: number): void {
    if (this.scope.shards?.has(shard) === false || end <= (this.#offsets[shard] ?? end)) return;
    this.#settled.set(shard, end);
    this.appended(shard);
  }

  async *responses(): AsyncGenerator<TailResponse, void, undefined> {
    yield this.#tell({});
    while (this.#end === undefined) {
      const [shard] = this.#behind;
      if (shard === undefined) await this.#more();
      else yield* this.#read(shard);
      if (this.#end === undefined && this.#cursorInMs <= 0) yield this.#tell({});
    }
    if (this.#end.error !== undefined) throw this.#end.error;
  }

  #tell(what: { readonly roomId?: string; readonly events?: RoomEvent[] }): TailResponse {
    this.#moved = false;
    this.#toldAtMs = this.#parts.clock.monotonic();
    const cursor = writeCursor({ era: this.#parts.log.era, offsets: this.#offsets });
    return create(TailResponseSchema, { ...what, cursor });
  }

  /** When the cursor is to be told, in milliseconds from now; infinite: there is no other. */
  get #cursorInMs(): number {
    return this.#moved ? this.#toldAtMs + CURSOR_MS - this.#parts.clock.monotonic() : Number.POSITIVE_INFINITY;
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      const inMs = this.#cursorInMs;
      const timer = inMs < Number.POSITIVE_INFINITY ? this.#parts.clock.after(inMs, () => this.#wake?.()) : undefined;
      this.#wake = () => {
        this.#wake = undefined;
        timer?.cancel();
        resolve();
      };
    });
  }

  async *#read(shard: number): AsyncGenerator<TailResponse, void, undefined> {
    // Before the read: what is appended meanwhile is read after it. A full page goes to the end of the line.
    this.#behind.delete(shard);
    const settled = this.#settled.get(shard) ?? 0;
    const records = await this.#page(shard);
    if (records.length === READ) this.#behind.add(shard);
    for (const run of this.#runs(records)) {
      if (this.#end !== undefined) return;
      this.#offsets[shard] = run.last + 1;
      yield this.#tell({ roomId: run.roomId, events: run.events });
    }
    const last = records.at(-1);
    const next = Math.max(last === undefined ? 0 : last.offset + 1, records.length < READ ? settled : 0);
    if (next > (this.#offsets[shard] ?? next)) {
      this.#offsets[shard] = next;
      this.#moved = true;
    }
    if (next > 0) this.#parts.reached(shard);
  }

  async #page(shard: number): Promise<readonly LogRecord[]> {
    try {
      return await this.#parts.log.read(shard, this.#offsets[shard] ?? 0, READ);
    } catch (cause) {
      // Who reads too slowly is not led to believe that there was nothing.
      throw cause instanceof LogExpired ? refusedCursor("EXPIRED") : cause;
    }
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
