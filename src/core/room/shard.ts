// A shard at its owner: opened, and opened again when its log fails, until it is handed over or lost. Commands of its rooms take their turns here.

import type { Permission } from "../../gen/trunkline/v1/message_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { TrunklineError } from "../../ports/error.js";
import { NewerEvents } from "../../ports/event-level.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { Archiver } from "../archive/archiver.js";
import { OwnedReading } from "../archive/owned-reading.js";
import type { RoomReading } from "../archive/room-reading.js";
import type { CoreDependencies } from "../core.js";
import type { TenantRooms } from "../limit/tenant-rooms.js";
import { Actors } from "./actors.js";
import { Asking, type Gates } from "./asking.js";
import type { Blocks } from "./blocks.js";
import type { Caller } from "./calls.js";
import type { Command } from "./command.js";
import { LogWriter } from "./log-writer.js";
import { Preparation } from "./preparation.js";
import type { SeenRoom, TurnContext } from "./room.js";
import { NO_LAG, type ShardStatus } from "./shard-status.js";
import { type TakeOverParts, takeOver } from "./take-over.js";
import { turnRules } from "./turn-rules.js";
import { type Submission, Turns } from "./turns.js";
import { notTheOwner, ownerChanged, RETRY_MS, unavailable } from "./unavailable.js";
import { Untold, type UntoldParts } from "./untold.js";

/** First wait before a shard whose log failed is opened again, in milliseconds; doubles up to the last. */
const REOPEN_FIRST_MS = RETRY_MS;
const REOPEN_LAST_MS = 5_000;
/** Longest wait for what is to be archived before the shard is handed over, in milliseconds: until then its rooms can be written to. */
const ARCHIVE_FIRST_MS = 500;
/** Longest wait for what is under way then, in milliseconds: meanwhile nobody can write to its rooms. */
const HAND_OVER_DEADLINE_MS = 1_000;

type Status =
  | { readonly is: "closed" }
  /** `over` is aborted when it concerns nobody any more. */
  | { readonly is: "opening"; readonly done: Promise<void>; readonly over: AbortController }
  | { readonly is: "open" }
  /** The log failed; `timer` opens it again. */
  | { readonly is: "away"; readonly timer: Timer; readonly error: TrunklineError };

/**
 * Told of events that are durable and announced, the first of them at `from` in the shard's log. None: the log was opened there, and what was
 * appended without an answer stands before it or nowhere.
 */
export type Appended = (shard: number, from: number, records: readonly NewRecord[]) => void;

/** Who is told what becomes of a shard. */
export interface ShardListener {
  /** Its log ends at `end`, and nothing is appended before this has resolved. A rejection: it could not be opened. */
  opening(shard: number, end: number): Promise<void>;
  readonly appended: Appended;
  /** As Untold says. */
  readonly late: UntoldParts["late"];
}

export class Shard {
  readonly #index: number;
  readonly #deps: CoreDependencies;
  readonly #listener: ShardListener;
  readonly #actors: Actors;
  readonly #writer: LogWriter;
  /** Undefined: the log writes the archive itself. */
  readonly #archiver: Archiver | undefined;
  /** What is stored of the shard's rooms, archived or not; refused while the shard is not open. */
  readonly reading: RoomReading;
  readonly #takeOver: TakeOverParts;
  readonly #turns: Turns;
  /** Whether this node is one of several and its lease on the shard holds; undefined: it is alone. */
  readonly #holds: (() => boolean) | undefined;
  #status: Status = { is: "closed" };
  /** Counts `close`: what was begun before concerns nobody any more. */
  #life = 0;
  /** It takes no more commands. */
  #yielding = false;
  #failures = 0;
  readonly #untold: Untold;

  constructor(
    index: number,
    deps: CoreDependencies,
    blocks: Blocks,
    tenantRooms: TenantRooms,
    gates: Gates,
    listener: ShardListener,
  ) {
    this.#index = index;
    this.#listener = listener;
    this.#deps = deps;
    const { cluster } = deps;
    this.#holds = cluster && (() => cluster.placement.holds(index));
    const eventId = (ref: RoomRef, userId: string, key: string): string =>
      deps.ids.digest(`${ref.key}/${userId}/${key}`);
    const rules: Omit<TurnContext, "nowMs" | "monotonicMs"> = {
      ...turnRules(deps),
      maxSubRooms: deps.limits.maxSubRooms,
      level: cluster && (() => cluster.placement.level),
      full: (ref) => tenantRooms.refusal(ref),
      accepted: (ref, kinds) => tenantRooms.accepted(index, ref, kinds),
      eventId,
    };
    this.#archiver = deps.log.archivesOnAppend ? undefined : new Archiver(index, deps);
    // For whoever opens it: what is refused otherwise while the shard is not open.
    const stored = this.#archiver === undefined ? deps.archive : new OwnedReading(deps.archive, this.#archiver);
    this.reading =
      this.#archiver === undefined
        ? deps.archive
        : new OwnedReading(deps.archive, this.#archiver, () => this.#requireHeld());
    this.#untold = new Untold({ stored, fanout: deps.fanout, late: listener.late });
    const own = { ...deps, archive: stored };
    this.#actors = new Actors(own);
    this.#takeOver = {
      log: deps.log,
      clock: deps.clock,
      opening: listener.opening,
      actors: this.#actors,
      stored,
      archiver: this.#archiver,
      untold: this.#untold,
    };
    this.#writer = new LogWriter(index, deps, {
      stored: (batch) => {
        this.#failures = 0;
        this.#archiver?.push(this.#writer.end, batch.seal().changes, batch.logBytes, () => batch.archived());
      },
      told: (batch, from) => this.#listener.appended(index, from, batch.records),
      failed: (error, batch) => {
        this.#untold.note(batch.rooms);
        this.#failed(error);
      },
    });
    this.#turns = new Turns({
      deps,
      standing: {
        requireOpen: () => this.#requireOpen(),
        requireTaking: () => this.#requireTaking(),
        requireHeld: () => this.#requireHeld(),
      },
      actors: this.#actors,
      asking: new Asking(new Preparation(own, this.#actors, blocks, tenantRooms, eventId), gates, eventId),
      gates,
      writer: this.#writer,
      archiver: this.#archiver,
      context: () => ({ nowMs: deps.clock.now(), monotonicMs: deps.clock.monotonic(), ...rules }),
    });
  }

  /** Opens the log. Rejects when it cannot be opened; the shard then keeps trying by itself. */
  open(): Promise<void> {
    if (this.#status.is === "opening") return this.#status.done;
    if (this.#status.is === "open") return Promise.resolve();
    const over = new AbortController();
    const done = this.#reopen(over.signal);
    this.#status = { is: "opening", done, over };
    return done;
  }

  /** Gives the shard up at once; it can be opened again. Callers that wait are told UNAVAILABLE. False: it was closed. */
  close(error = unavailable("the node is stopping")): boolean {
    if (this.#status.is === "closed") return false;
    if (this.#status.is === "away") this.#status.timer.cancel();
    // What it still writes to the log would displace whoever has the shard by then.
    if (this.#status.is === "opening") this.#status.over.abort();
    this.#status = { is: "closed" };
    this.#life++;
    this.#yielding = false;
    this.#failures = 0;
    // Whoever opens it next finds what nobody was told of.
    this.#untold.clear();
    this.#abandon(error);
    return true;
  }

  /**
   * Archives what there is, then takes no more commands, and resolves once those it took are done and archived, or after HAND_OVER_DEADLINE_MS, and
   * `still`, asked when they are done, has resolved. Reads go on until it is closed. False: it is, or was closed meanwhile and may have been opened
   * again.
   */
  async handOver(still: () => Promise<unknown>): Promise<boolean> {
    if (this.#status.is === "closed") return false;
    const life = this.#life;
    const drained = async (): Promise<void> => {
      if (this.#life === life) await this.#archiver?.drained()?.catch(ignore);
    };
    // What comes meanwhile is little, and all that its rooms then wait for.
    await this.#within(ARCHIVE_FIRST_MS, drained());
    if (this.#life !== life) return false;
    this.#yielding = true;
    const done = this.#finish();
    await Promise.all([
      this.#within(HAND_OVER_DEADLINE_MS, done.then(drained)),
      this.#within(HAND_OVER_DEADLINE_MS, done).then(still),
    ]);
    return this.#life === life;
  }

  async #finish(): Promise<void> {
    await this.#turns.taken();
    // What took its turn last waits for the log.
    await this.#writer.idle();
  }

  async #within(deadlineMs: number, done: Promise<void>): Promise<void> {
    const late = Promise.withResolvers<void>();
    const timer = this.#deps.clock.after(deadlineMs, late.resolve);
    await Promise.race([done, late.promise]);
    timer.cancel();
  }

  /** Settles when the log was opened, or could not be; undefined: that is not under way. */
  get opening(): Promise<void> | undefined {
    return this.#status.is === "opening" ? this.#status.done : undefined;
  }

  /** Whether it takes commands now, or refuses them because its log failed. */
  get isOpen(): boolean {
    const { is } = this.#status;
    return (is === "open" || is === "away") && !this.#yielding;
  }

  /** Where the log ends. */
  get end(): number {
    return this.#writer.end;
  }

  /** As WatchedShard says. */
  get quietEnd(): number | undefined {
    return this.#status.is === "open" && this.#writer.isIdle ? this.#writer.end : undefined;
  }

  /** As WatchedShard says. */
  overtaken(): void {
    this.#failed(ownerChanged());
  }

  get status(): ShardStatus {
    return { shard: this.#index, is: this.#status.is, lag: this.#archiver?.lag ?? NO_LAG };
  }

  /** Resolves when every accepted command has been answered. */
  idle(): Promise<void> {
    return this.#writer.idle();
  }

  /** Drops idle actors and old ids. Called now and then. */
  sweep(): void {
    this.#actors.sweep();
  }

  /** Resolves once what is durable of the room is archived; undefined: it is. Rejects with UNAVAILABLE after a while. */
  settled(room: RoomRef): Promise<void> | undefined {
    return this.#archiver?.settled(room);
  }

  /** Resolves once all that is durable is archived; undefined: it is. As `settled`. */
  drained(): Promise<void> | undefined {
    return this.#archiver?.drained();
  }

  /** One command of a room of this shard. */
  submit(ref: RoomRef, caller: Caller, command: Command): Submission {
    const { turned, outcome } = this.#turns.submit(ref, caller, command);
    if (this.#archiver === undefined || !changesMembers(command)) return { turned, outcome };
    // Lists of rooms are the archive's: whoever has joined is to find the room there. What is durable stands all the same.
    return {
      turned,
      outcome: outcome.then(
        async (came) =>
          this.settled(ref)?.then(
            () => came,
            () => came,
          ) ?? came,
      ),
    };
  }

  /** As Turns says. */
  view<T>(ref: RoomRef, users: readonly string[], read: (room: SeenRoom) => T): Promise<T> {
    return this.#turns.view(ref, users, read);
  }

  /** As Turns says. */
  read<T>(ref: RoomRef, caller: Caller, permission: Permission, read: (room: SeenRoom) => T): Promise<T> {
    return this.#turns.read(ref, caller, permission, read);
  }

  // — the log —

  /** Nobody has seen anything of what is tentative: the actors are dropped, the log says what happened. */
  #failed(error: TrunklineError): void {
    this.#deps.telemetry.emit("log.failed", { shard: this.#index, cause: error });
    const delayMs = Math.min(REOPEN_FIRST_MS * 2 ** this.#failures++, REOPEN_LAST_MS);
    const timer = this.#deps.clock.after(delayMs, () => void this.open().catch(ignore));
    this.#status = { is: "away", timer, error };
    this.#abandon(error);
  }

  /** To fold past what is not known would be to own another shard than the others. */
  #decline(cause: NewerEvents): void {
    this.#deps.telemetry.emit("shard.newer", { shard: this.#index, cause });
    this.#deps.cluster?.placement.decline(this.#index);
  }

  #abandon(error: TrunklineError): void {
    this.#actors.clear();
    this.#archiver?.clear();
    this.#writer.abandon(error);
  }

  async #reopen(over: AbortSignal): Promise<void> {
    try {
      const opened = await takeOver(this.#index, this.#takeOver, over);
      if (opened === undefined) return;
      this.#writer.begin(opened.end);
      this.#status = { is: "open" };
      if (this.#holds !== undefined) this.#untold.tellTops(opened.tail);
      // What was stored without an answer is followed too.
      this.#listener.appended(this.#index, opened.end, []);
    } catch (cause) {
      if (!over.aborted) this.#failed(unavailable("the log cannot be opened", cause));
      if (!over.aborted && cause instanceof NewerEvents) this.#decline(cause);
      throw cause;
    }
  }

  #requireOpen(): void {
    switch (this.#status.is) {
      case "open":
        return;
      case "away":
        throw this.#status.error;
      case "opening":
        throw this.#holds === undefined ? unavailable("the room's owner is starting") : notTheOwner();
      case "closed":
        throw this.#holds === undefined ? unavailable("the node is stopping") : notTheOwner();
    }
  }

  #requireTaking(): void {
    this.#requireOpen();
    if (this.#yielding) throw notTheOwner();
  }

  /** For answers that are not written: another node may have written what this one does not know. */
  #requireHeld(): void {
    this.#requireOpen();
    if (this.#holds?.() === false) throw notTheOwner();
  }
}

/** Whether it may change who is in the room. */
function changesMembers({ kind }: Command): boolean {
  return MEMBERS_CHANGED.has(kind);
}

const MEMBERS_CHANGED: ReadonlySet<Command["kind"]> = new Set([
  "create",
  "join",
  "admit",
  "leave",
  "expel",
  "add",
  "remove",
  "openInbox",
]);

function ignore(): void {}
