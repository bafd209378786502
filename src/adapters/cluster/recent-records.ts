// What a node has appended to a shard lately: those who follow the log there need not read it back.

import { EncodedEvent } from "../../ports/encoded-event.js";
import { type LogRecord, type NewRecord, recordBytes } from "../../ports/event-log.js";

/** For so long after an append was begun that turned out durable, nobody else is expected behind it, in milliseconds. */
const FRESH_MS = 1_000;

export class RecentRecords {
  readonly #maxBytes: number;
  /** Without holes, up to `end`. */
  #records: LogRecord[] = [];
  #bytes = 0;
  #end: number | undefined;
  #provedMs = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The shard was opened: it ends at `end`, and its writer is this node, as of a moment not before `provedMs` of the monotonic clock. */
  reset(end: number, provedMs: number): void {
    this.#records = [];
    this.#bytes = 0;
    this.#end = end;
    this.#provedMs = provedMs;
  }

  /** Records were stored from `at` on, by an append that was begun at `provedMs`. */
  add(at: number, records: readonly NewRecord[], provedMs: number): void {
    if (at !== this.#end) return;
    for (const [index, { room, event }] of records.entries()) {
      const kept = { offset: at + index, room, event: copyOf(event) };
      this.#records.push(kept);
      this.#bytes += recordBytes(kept);
    }
    this.#end = at + records.length;
    this.#provedMs = provedMs;
    this.#forget();
  }

  /** As the port's `read`. Undefined: only Kafka knows. */
  read(from: number, limit: number, nowMs: number): readonly LogRecord[] | undefined {
    if (this.#end === undefined || from > this.#end) return undefined;
    const first = this.#records[0]?.offset ?? this.#end;
    if (from < first) return undefined;
    if (from + limit > this.#end && nowMs - this.#provedMs > FRESH_MS) return undefined;
    const start = from - first;
    return this.#records
      .slice(start, start + limit)
      .map(({ offset, room, event }) => ({ offset, room, event: copyOf(event) }));
  }

  #forget(): void {
    let gone = 0;
    while (this.#bytes > this.#maxBytes) {
      const oldest = this.#records[gone];
      if (oldest === undefined) break;
      this.#bytes -= recordBytes(oldest);
      gone += 1;
    }
    if (gone > 0) this.#records.splice(0, gone);
  }
}

function copyOf({ seq, tag, bytes }: EncodedEvent): EncodedEvent {
  return new EncodedEvent(seq, tag, new Uint8Array(bytes));
}
