// What becomes of the members of a room, for those who read the rooms under it: nothing that came after is told before it is applied.
//
// Announcements of two rooms have no order between them, and may be lost. An event of a room under another says how far its root had come;
// it is told once the root's events up to there have been applied here, from announcements or from the archive.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { Fanout, FanoutSubscription } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { PAGE_BYTES } from "../limit/limits.js";
import type { Listening } from "./doubts.js";
import type { UnannouncedEvents } from "./unannounced-events.js";

/** Above every seq. */
const LAST_SEQ = 0xffff_ffff;

/** A room under the root, as this node's sessions read it. */
export interface RootReader {
  /** An event of the root: what it takes away is taken away here. */
  applyRoot(event: EncodedEvent): void;
  /** Events of the root up to this one are no longer kept: nobody knows who may still read. */
  loseRoot(seq: number): void;
}

export interface RootWatchDependencies extends UnannouncedEvents {
  readonly fanout: Fanout;
  /** The root's last event that is stored. */
  readonly stored: (root: RoomRef) => Promise<number>;
  /** Announcements may have been lost, nobody knows how many: `hear` is called with how far the root has come. */
  readonly doubt: (root: RootWatch) => void;
}

export class RootWatch implements Listening {
  readonly ref: RoomRef;
  readonly #deps: RootWatchDependencies;
  readonly #readers = new Set<RootReader>();
  /** Everything up to here has been applied; undefined: not listening yet. */
  #applied: number | undefined;
  /** The last event that was announced before. */
  #heard = 0;
  /** The last event that was asked for. */
  #wanted = 0;
  #listening: Promise<void> | undefined;
  #subscription: FanoutSubscription | undefined;
  #reading: Promise<void> | undefined;
  #closed = false;

  constructor(ref: RoomRef, deps: RootWatchDependencies) {
    this.ref = ref;
    this.#deps = deps;
  }

  get unread(): boolean {
    return this.#readers.size === 0;
  }

  join(reader: RootReader): void {
    this.#readers.add(reader);
  }

  leave(reader: RootReader): void {
    this.#readers.delete(reader);
  }

  close(): void {
    this.#closed = true;
    this.#subscription?.close();
  }

  /** Resolves once every event of the root that is stored from then on will be applied. Who may read is asked after that. */
  listen(): Promise<void> {
    this.#listening ??= this.#listen().catch((error: unknown) => {
      this.#listening = undefined;
      throw error;
    });
    return this.#listening;
  }

  /** Whether everything up to this event of the root has been applied. */
  has(seq: number): boolean {
    return seq <= (this.#applied ?? 0);
  }

  /** Applies everything up to this event, which is stored. Rejects while the archive is away. */
  async reach(seq: number): Promise<void> {
    this.#wanted = Math.max(this.#wanted, seq);
    while (!this.has(seq)) {
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined;
      });
      await this.#reading;
    }
  }

  async #listen(): Promise<void> {
    if (this.#subscription === undefined) {
      const subscription = await this.#deps.fanout.subscribe(
        this.ref,
        (events) => this.#receive(events),
        undefined,
        (top) => (top === undefined ? this.#deps.doubt(this) : this.#repair(top)),
      );
      if (this.#closed) subscription.close();
      this.#subscription = subscription;
    }
    this.#applied = await this.#deps.stored(this.ref);
    this.#repair(this.#heard);
  }

  #receive(events: readonly EncodedEvent[]): void {
    const last = events.at(-1)?.seq ?? 0;
    if (this.#applied !== undefined) this.#apply(events);
    this.#repair(last);
  }

  /** The root has come so far: what was not announced is read. Rejects while the archive is away. */
  async hear(seq: number): Promise<void> {
    if (this.#applied === undefined) this.#heard = Math.max(this.#heard, seq);
    else if (!this.has(seq) && !this.#closed) await this.reach(seq);
  }

  /** The same. While that fails, whatever is told next asks for it again. */
  #repair(seq: number): void {
    if (this.#applied === undefined || !this.has(seq)) this.hear(seq).catch(ignore);
  }

  async #read(): Promise<void> {
    const from = (this.#applied ?? 0) + 1;
    const { read, recoveryPage } = this.#deps;
    const events = await read(this.ref, from, LAST_SEQ, recoveryPage, PAGE_BYTES);
    const first = events[0]?.seq ?? this.#wanted + 1;
    // Announcements may have come meanwhile. What is neither announced nor kept is not known to anybody.
    if (first > (this.#applied ?? 0) + 1) this.#lose(first - 1);
    this.#apply(events);
  }

  /** Applies those that join on. */
  #apply(events: readonly EncodedEvent[]): void {
    for (const event of events) {
      if (event.seq !== (this.#applied ?? 0) + 1) continue;
      for (const reader of [...this.#readers]) reader.applyRoot(event);
      this.#applied = event.seq;
    }
  }

  #lose(seq: number): void {
    for (const reader of [...this.#readers]) reader.loseRoot(seq);
    this.#applied = seq;
  }
}

function ignore(): void {}
