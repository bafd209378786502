// What leaves the server by itself: for each target a reader of the log of its own, so that none is in another's way.

import type { CoreDependencies } from "../core.js";
import type { LogReader } from "../follow/shard-reader.js";
import { type PageReader, ShardPages } from "./shard-pages.js";
import { Starting } from "./starting.js";

/** A day: longer than a target is away, shorter than what is said stays worth telling. */
export const GIVE_UP_AFTER_MS = 86_400_000;

/** What is kept of a shard is kept in a term. */
export interface Holding {
  readonly shard: number;
  /** Its number. */
  readonly term: number;
  /** To be told, once it has begun and until it is released, that a later one has: it is released then. */
  overtaken(): void;
}

/** What an outlet makes of the log: events for a sink, or notifications. */
export interface OutletWork extends PageReader {
  /**
   * Takes up what was kept of a shard before; the result begins with it, before the shard's first page is taken. Rejects with TermOver where
   * it was overtaken.
   */
  load(holding: Holding): Promise<() => void>;
  /** Begins with what needs no log. Absent: there is nothing. */
  start?(): void;
  /** The shard is another node's: nothing more is kept of it. */
  released(shard: number): void;
  /** What is being handed over is not waited for. */
  stop(): void;
}

/** One outlet at work. */
export class Outlet {
  readonly #work: OutletWork;
  readonly #pages: ShardPages;
  readonly #starting: Starting;

  constructor(deps: CoreDependencies, work: OutletWork) {
    this.#work = work;
    this.#pages = new ShardPages(deps, work, (shard) => this.#again(shard));
    this.#starting = new Starting(deps, {
      outlet: work.name,
      load: (shard, end) => this.#load(shard, end),
    });
  }

  async #load(shard: number, end: number): Promise<(end: number) => void> {
    // The place first: what the last owner keeps of an event from then on is behind it, and that event is read again. The other way round the
    // place could be beyond an event whose keeping was not seen.
    const { at, term } = await this.#pages.begun(shard, end);
    const begin = await this.#work.load({ shard, term, overtaken: () => this.#again(shard) });
    return (endNow) => {
      begin();
      this.#pages.opened(shard, endNow, { at, term });
    };
  }

  /** Somebody else has taken the shard up, and this node still believes it to be its own: it stops there, and begins anew. */
  #again(shard: number): void {
    const end = this.#pages.endOf(shard);
    if (end === undefined) return;
    this.released(shard);
    this.#starting.again(shard, end);
  }

  /** What reads the log for it. */
  get reader(): LogReader {
    return this.#pages;
  }

  /** Begins with the shards that are this node's, and with others as they come. */
  start(): void {
    this.#starting.start();
    this.#pages.start();
    this.#work.start?.();
  }

  /**
   * The shard is about to be this node's, and its log ends at `end`: one that has never run begins there, and that is remembered before more
   * is appended, so that whoever has the shard next begins there too. Rejects where the archive is away.
   */
  opening(shard: number, end: number): Promise<void> {
    return this.#pages.opening(shard, end);
  }

  /** The shard is this node's, its log ends at `end`: takes up where the shard was left. One that has never run begins there. */
  opened(shard: number, end: number): void {
    if (this.#pages.has(shard)) this.#pages.opened(shard, end);
    else this.#starting.opened(shard, end);
  }

  /** The shard is to be another node's: remembers where it is. Never rejects. */
  yielding(shard: number): Promise<void> {
    return this.#pages.yielding(shard);
  }

  /** The shard is another node's: nothing more is kept of it. */
  released(shard: number): void {
    this.#starting.released(shard);
    this.#pages.released(shard);
    this.#work.released(shard);
  }

  /** A shard's log has grown. */
  appended(shard: number): void {
    this.#pages.appended(shard);
  }

  /** Remembers where it is. What is being handed over is not waited for. */
  async stop(): Promise<void> {
    this.#starting.stop();
    this.#work.stop();
    await this.#pages.stop();
  }
}
