// An engine without a disk, for tests: EventLog, Archive and Fanout over plain maps, deterministic, with faults on request.

import type { Archive } from "../../src/ports/archive.js";
import type { AppendBatch, EventLog } from "../../src/ports/event-log.js";
import type { Fanout } from "../../src/ports/fanout.js";
import type { OutletStore } from "../../src/ports/outlet-store.js";
import { MemoryArchive } from "./memory-engine-archive.js";
import { MemoryFanout } from "./memory-engine-fanout.js";
import { MemoryLog } from "./memory-engine-log.js";
import { MemoryOutletStore } from "./memory-engine-outlets.js";
import { emptyState, type MemoryState } from "./memory-engine-state.js";

/** What goes wrong with one append. */
export type AppendFault =
  /** Nothing is stored; the append rejects with UNAVAILABLE. */
  | { readonly kind: "refuse" }
  /** The batch is stored; the append rejects with UNAVAILABLE all the same: the uncertain outcome. */
  | { readonly kind: "lose-answer" }
  /** Somebody else writes at that offset first: this batch, or a void record that only takes the offset. Answers `displaced`. */
  | { readonly kind: "displace"; readonly by?: AppendBatch }
  /** The batch is stored and answered once `until` has resolved; not before, and not at all after a crash or an `open`. */
  | { readonly kind: "hold"; readonly until: Promise<unknown> }
  /** The append rejects with UNAVAILABLE at once, and the batch arrives once `until` has resolved: stored only where nobody has opened the shard since. */
  | { readonly kind: "late"; readonly until: Promise<unknown> };

/** An append as it comes to the log. */
export interface Arrival {
  readonly shard: number;
  readonly stored: boolean;
  /** Whoever asked for it is dead, or was told that nobody knows what becomes of it. */
  readonly isGivenUp: boolean;
  /** The shard was opened since it was asked for. */
  readonly isOvertaken: boolean;
  /** Whoever has opened the shard last has stored nothing yet. */
  readonly isBeforeFirst: boolean;
}

export interface MemoryEngineOptions {
  /** Default 4. */
  readonly shards?: number;
  /** Default true. False: the test's owner writes the archive with `apply`, as in a cluster. */
  readonly archivesOnAppend?: boolean;
  /** Opening a shard takes an offset, and so do the records of a displaced append: they stand there, void. Default false. */
  readonly leavesVoids?: boolean;
  /** Archive reads answer through promises. Default false: at once. */
  readonly answersLater?: boolean;
  /** What its eras are called after: another engine's are called otherwise. Default "memory". */
  readonly name?: string;
  /** What one append takes at most. Default: anything. */
  readonly maxBatchBytes?: number;
}

/** The engine's durable state at one moment. Opaque. */
export interface MemorySnapshot {
  readonly state: MemoryState;
}

/** The process that an adapter is of. */
export interface Life {
  /** It has died: it asks for nothing more and gets no answer. */
  readonly dead: boolean;
  /** What it had under way is lost with it. */
  readonly lost: boolean;
}

/** A node's ports over the state that all nodes share. */
export interface MemoryNode {
  readonly log: EventLog;
  readonly archive: Archive;
  readonly outlets: OutletStore;
  /** The node dies: it does nothing more and is answered nothing, but what it had asked of the log may be stored still. */
  end(): void;
}

export class MemoryEngine {
  readonly name: string;
  readonly shards: number;
  readonly archivesOnAppend: boolean;
  readonly maxBatchBytes: number;
  readonly leavesVoids: boolean;
  /** Archive reads answer through promises, from now on. */
  answersLater: boolean;
  /** While true, archive reads and `apply` fail with UNAVAILABLE. */
  archiveDown = false;
  /** So many announcements are lost, from the next one on. */
  lostAnnouncements = 0;
  /** Asked for each append that has no fault of its own: a simulation decides here. */
  faultOf: (shard: number, at: number, batch: AppendBatch) => AppendFault | undefined = () => undefined;
  /** Asked for each `unpark`: true where it is refused, and arrives when `arrive` is called. */
  holdsUnpark: (arrive: () => void) => boolean = () => false;
  /** Told of each append that comes to the log, whatever becomes of it. */
  arrived: (arrival: Arrival) => void = () => {};

  /** What was made durable; adapters of all incarnations look here. */
  state: MemoryState;
  #faults: { readonly fault: AppendFault; readonly shard: number | undefined }[] = [];
  #incarnation = 0;
  #log: MemoryLog;
  #archive: MemoryArchive;
  #fanout: MemoryFanout;
  #outlets: MemoryOutletStore;

  constructor(options: MemoryEngineOptions = {}) {
    this.name = options.name ?? "memory";
    this.shards = options.shards ?? 4;
    this.archivesOnAppend = options.archivesOnAppend ?? true;
    this.maxBatchBytes = options.maxBatchBytes ?? Number.POSITIVE_INFINITY;
    this.answersLater = options.answersLater ?? false;
    this.leavesVoids = options.leavesVoids ?? false;
    this.state = emptyState(this.shards);
    this.#beginEra();
    const life = this.#life();
    this.#log = new MemoryLog(this, life);
    this.#archive = new MemoryArchive(this, life);
    this.#fanout = new MemoryFanout(this);
    this.#outlets = new MemoryOutletStore(this, life);
  }

  /** The ports of the current incarnation: those handed out before a crash never answer again. */
  get log(): EventLog {
    return this.#log;
  }

  /** The log as one more node has it. */
  nodeLog(): EventLog {
    return this.node().log;
  }

  /** One more node, beside whoever has `log` and all others; it ends with a crash of all as they do. */
  node(): MemoryNode {
    const all = this.#life();
    let ended = false;
    const life: Life = {
      get dead() {
        return ended || all.dead;
      },
      get lost() {
        return all.lost;
      },
    };
    return {
      log: new MemoryLog(this, life),
      archive: new MemoryArchive(this, life),
      outlets: new MemoryOutletStore(this, life),
      end: () => {
        ended = true;
      },
    };
  }

  get archive(): Archive {
    return this.#archive;
  }

  get fanout(): Fanout {
    return this.#fanout;
  }

  get outlets(): OutletStore {
    return this.#outlets;
  }

  /** The next append, of this shard if one is named, meets the fault. Faults are met in the order they were given. */
  faultNextAppend(fault: AppendFault, shard?: number): void {
    this.#faults.push({ fault, shard });
  }

  /** What stands in a shard's log before the offset is too old, and gone. Default: all of it. */
  expire(shard: number, before = this.state.shards[shard]?.end ?? 0): void {
    const state = this.state.shards[shard];
    if (state !== undefined) state.begins = Math.max(state.begins, before);
  }

  /** Takes the fault that an append meets. Called by the log. */
  takeFault(shard: number, at: number, batch: AppendBatch): AppendFault | undefined {
    const index = this.#faults.findIndex((each) => each.shard === undefined || each.shard === shard);
    if (index < 0) return this.faultOf(shard, at, batch);
    return this.#faults.splice(index, 1)[0]?.fault;
  }

  /** The process dies: appends under way are neither stored nor answered, listeners are gone, what was durable stays. */
  crash(): void {
    this.#restart();
  }

  /** The connections of the fan-out break and are made again: announcements may have been lost. */
  loseConnections(): void {
    this.#fanout.loseConnections();
  }

  /** A copy of everything durable. */
  snapshot(): MemorySnapshot {
    return { state: structuredClone(this.state) };
  }

  /** The process dies and comes back on the snapshot's state: a restored backup. A snapshot can be restored again. */
  restore(snapshot: MemorySnapshot): void {
    this.state = structuredClone(snapshot.state);
    this.#restart();
  }

  #beginEra(): void {
    const { eras, shards } = this.state;
    eras.push({ id: `${this.name}-${this.#incarnation}`, ends: shards.map(({ end }) => end) });
  }

  #restart(): void {
    this.#incarnation += 1;
    this.#beginEra();
    this.#faults = [];
    this.#fanout.end();
    const life = this.#life();
    this.#log = new MemoryLog(this, life);
    this.#archive = new MemoryArchive(this, life);
    this.#fanout = new MemoryFanout(this);
    this.#outlets = new MemoryOutletStore(this, life);
  }

  /** That of this incarnation. */
  #life(): Life {
    const incarnation = this.#incarnation;
    const isOver = () => this.#incarnation !== incarnation;
    return {
      get dead() {
        return isOver();
      },
      get lost() {
        return isOver();
      },
    };
  }
}
