// What waits to be written to one session: bounded in bytes, in order.

import type { Limits } from "../limit/limits.js";
import type { Flusher } from "./flusher.js";
import type { SessionSink } from "./port.js";

/** Handed to the sink at once, in bytes at most (one frame may be longer): enough to fill a socket, not to hide behind it. */
const WRITE_BYTES = 64 * 1024;

export interface OutboxOwner {
  /** Little waits: a session that lags may be fed again. */
  onReady(): void;
}

export class Outbox {
  readonly #sink: SessionSink;
  readonly #flusher: Flusher;
  readonly #limits: Limits;
  readonly #owner: OutboxOwner;
  #queue: Uint8Array[] = [];
  /** What overtakes the queue: there only while the sink takes no more. */
  #urgent: Uint8Array[] | undefined;
  #urgentBytes = 0;
  #bytes = 0;
  /** Since when the sink takes no more, monotonic; undefined: it takes more. */
  #blockedSinceMs: number | undefined;
  #closed = false;
  /** Set by the flusher: whether it is in its list. */
  marked = false;

  constructor(sink: SessionSink, flusher: Flusher, limits: Limits, owner: OutboxOwner) {
    this.#sink = sink;
    this.#flusher = flusher;
    this.#limits = limits;
    this.#owner = owner;
  }

  /** Bytes that wait here; what the sink has taken is not counted. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether so much waits that live pushes must stop. */
  get full(): boolean {
    return this.#bytes > this.#limits.outboxBytes;
  }

  /** Whether a session that catches up may be fed. */
  get ready(): boolean {
    // An outbox that is full below one write's bytes takes nothing either.
    return this.#blockedSinceMs === undefined && this.#bytes < WRITE_BYTES && !this.full;
  }

  /** Since when nothing has been taken, monotonic. */
  get blockedSinceMs(): number | undefined {
    return this.#blockedSinceMs;
  }

  /** A reply or a durable push: in order, never dropped. Whoever pushes what can be fetched again asks `full` first. */
  push(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#queue.push(bytes);
    this.#bytes += bytes.length;
    this.flushSoon();
  }

  /** Writes what waits at the end of the turn, and tells the owner that it is ready, if it is. */
  flushSoon(): void {
    if (!this.marked && this.#blockedSinceMs === undefined) this.#flusher.mark(this);
  }

  /** Ephemeral: dropped when much waits. Returns whether it was taken. */
  offer(bytes: Uint8Array): boolean {
    if (this.#bytes > this.#limits.ephemeralBytes) return false;
    this.push(bytes);
    return true;
  }

  /**
   * Ping, Error: overtakes what waits, in order among its like. Returns false, and takes nothing, when more of them would wait than
   * live pushes may: whoever goes on asking without reading could else fill the memory with refusals.
   */
  pushFirst(bytes: Uint8Array): boolean {
    if (this.#closed) return true;
    if (this.#blockedSinceMs === undefined) {
      this.push(bytes);
      return true;
    }
    if (this.#urgentBytes + bytes.length > this.#limits.outboxBytes) return false;
    this.#urgent ??= [];
    this.#urgent.push(bytes);
    this.#urgentBytes += bytes.length;
    this.#bytes += bytes.length;
    return true;
  }

  /** Writes what waits, as far as the sink takes it. Called by the flusher at the end of a turn. */
  flush(): void {
    while (this.#blockedSinceMs === undefined && this.#queue.length > 0) this.#write();
    if (this.ready) this.#owner.onReady();
  }

  /** The sink takes more. */
  drained(): void {
    if (this.#blockedSinceMs === undefined) return;
    this.#blockedSinceMs = undefined;
    if (this.#urgent !== undefined) {
      this.#queue = this.#urgent.concat(this.#queue);
      this.#urgent = undefined;
      this.#urgentBytes = 0;
    }
    this.flush();
  }

  /** The last frame. Overtakes what waits; of that, only what overtakes too is written if the sink takes no more. */
  close(last: Uint8Array): void {
    if (this.#closed) return;
    while (this.#blockedSinceMs === undefined && this.#queue.length > 0) this.#write();
    this.#sink.write([...(this.#urgent ?? []), last]);
    this.discard();
  }

  /** Nothing will be written any more. */
  discard(): void {
    this.#closed = true;
    this.#queue = [];
    this.#urgent = undefined;
    this.#urgentBytes = 0;
    this.#bytes = 0;
  }

  #write(): void {
    const queue = this.#queue;
    let taken = queue;
    if (this.#bytes > WRITE_BYTES && queue.length > 1) {
      let bytes = 0;
      let count = 0;
      for (const frame of queue) {
        if (count > 0 && bytes + frame.length > WRITE_BYTES) break;
        bytes += frame.length;
        count++;
      }
      taken = queue.splice(0, count);
      this.#bytes -= bytes;
    } else {
      this.#bytes = 0;
    }
    if (!this.#sink.write(taken)) this.#blockedSinceMs = this.#flusher.nowMs();
    if (taken === queue) queue.length = 0;
  }
}
