// The turns of a shard's commands: one after the other, each answered once all it was judged on is durable; and what is read of its rooms, which is
// answered no earlier.

import type { Permission } from "../../gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import type { Archiver } from "../archive/archiver.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";
import type { Actors } from "./actors.js";
import type { Asking, Gates } from "./asking.js";
import type { Caller } from "./calls.js";
import { type Command, type Outcome, usersOf } from "./command.js";
import { type LogWriter, requireNotBehind } from "./log-writer.js";
import { permit } from "./permissions.js";
import { lacksMessages, type Prepared } from "./preparation.js";
import type { Room, SeenRoom, TurnContext } from "./room.js";
import { ownerChanged, RETRY_MS, unavailable } from "./unavailable.js";

/** Longest wait for what a turn needs, in milliseconds: far less than an id is remembered. */
const PREPARE_DEADLINE_MS = 30_000;

export interface Submission {
  /** Settles once the command's turn is over; undefined: it is over. Never rejects. What is submitted after it comes after it. */
  readonly turned: Promise<unknown> | undefined;
  /** The outcome, once all it was judged on is durable; rejects with the refusal. */
  readonly outcome: Promise<Outcome>;
}

/** What the shard allows. Each returns, or throws what the caller is told. */
export interface ShardStanding {
  /** It can be read. */
  requireOpen(): void;
  /** It takes commands. */
  requireTaking(): void;
  /** No other node can have written what this one does not know. */
  requireHeld(): void;
}

export interface TurnParts {
  readonly deps: Pick<CoreDependencies, "clock" | "limits">;
  readonly standing: ShardStanding;
  readonly actors: Actors;
  readonly asking: Asking;
  readonly gates: Gates;
  readonly writer: LogWriter;
  /** Undefined: the log writes the archive itself. */
  readonly archiver: Archiver | undefined;
  readonly context: () => TurnContext;
}

export class Turns {
  readonly #parts: TurnParts;
  /** Commands that wait for their turn, and who is told when there are none. */
  #preparing = 0;
  #prepared: (() => void)[] = [];

  constructor(parts: TurnParts) {
    this.#parts = parts;
  }

  /** One command of a room of this shard. */
  submit(ref: RoomRef, caller: Caller, command: Command): Submission {
    const ready = this.#prepare(ref, caller, command);
    if (isPromise(ready)) {
      // The turn is one step, its outcome another: what comes after it in the room need not wait for the log.
      const sinceMs = this.#parts.deps.clock.monotonic();
      this.#preparing++;
      const turn = Promise.resolve(ready)
        .then((prepared) => {
          this.#requireInTime(prepared, sinceMs);
          return { outcome: this.#turn(prepared, caller) };
        })
        .finally(() => this.#isPrepared());
      return { turned: turn.then(ignore, ignore), outcome: turn.then(({ outcome }) => outcome) };
    }
    try {
      return { turned: undefined, outcome: this.#turn(ready, caller) };
    } catch (error) {
      return { turned: undefined, outcome: Promise.reject(error) };
    }
  }

  /** Resolves once no command waits for its turn; what took its turn may wait for the log. */
  async taken(): Promise<void> {
    if (this.#preparing > 0) await new Promise<void>((resolve) => this.#prepared.push(resolve));
  }

  /**
   * Reads a room's state, with the standings of `users` loaded. `read` is called synchronously; its answer, or what it throws, is
   * given once everything it saw is durable.
   */
  async view<T>(ref: RoomRef, users: readonly string[], read: (room: SeenRoom) => T): Promise<T> {
    const room = await this.#load(ref, users);
    this.#requireCurrent(room, users);
    return await this.#afterTentative(room, () => read(room));
  }

  /** Like `view`, for a caller who may do `permission` in the room. */
  async read<T>(ref: RoomRef, caller: Caller, permission: Permission, read: (room: SeenRoom) => T): Promise<T> {
    const { gates, deps } = this.#parts;
    const users = [caller.identity.userId];
    if (gates.access !== undefined) {
      await gates.access.require((await this.#load(ref, users)).state, caller, permission);
    }
    return await this.view(ref, users, (room) => {
      permit(room.state, caller, permission, deps.clock.now());
      return read(room);
    });
  }

  #prepare(ref: RoomRef, caller: Caller, command: Command): Awaitable<Prepared> {
    try {
      this.#parts.standing.requireTaking();
      return this.#parts.asking.prepare(ref, caller, command);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #isPrepared(): void {
    this.#preparing--;
    if (this.#preparing > 0) return;
    const told = this.#prepared;
    this.#prepared = [];
    for (const resolve of told) resolve();
  }

  #load(ref: RoomRef, users: readonly string[]): Awaitable<Room> {
    this.#parts.standing.requireOpen();
    return this.#parts.actors.load(ref, users);
  }

  #turn({ room, found, command, refusal }: Prepared, caller: Caller): Promise<Outcome> {
    this.#requireCurrent(room, usersOf(caller, command));
    if (lacksMessages(room, command)) throw unavailable("the message has changed meanwhile");
    const { deps, writer, archiver, context } = this.#parts;
    requireNotBehind(writer.pendingBytes, deps.limits.shardPendingBytes, "the room's log is behind");
    requireNotBehind(archiver?.pendingBytes ?? 0, deps.limits.archivePendingBytes, "the archive is behind");
    if (found !== undefined) return this.#afterTentative(room, () => room.repeatArchived(found.event, caller, command));
    return this.#afterTentative(room, () => {
      if (refusal !== undefined) throw refusal;
      const { outcome, events } = room.turn(caller, command, context());
      if (events.length > 0) writer.accept(room, events);
      return outcome;
    });
  }

  /**
   * Judges now, answers when all it was judged on is durable: refusals too, since they may rest on tentative events. What rests on none is
   * said only while no other node can have written something newer.
   */
  #afterTentative<T>(room: Room, judge: () => T): Promise<T> {
    let result: { readonly value: T } | { readonly refusal: unknown };
    try {
      result = { value: judge() };
    } catch (refusal) {
      result = { refusal };
    }
    const settled = result;
    if (!room.judgedOnTentative) {
      try {
        this.#parts.standing.requireHeld();
      } catch (error) {
        return Promise.reject(error);
      }
      return "value" in settled ? Promise.resolve(settled.value) : Promise.reject(settled.refusal);
    }
    return new Promise((resolve, reject) => {
      this.#parts.writer.wait({
        done: () => ("value" in settled ? resolve(settled.value) : reject(settled.refusal)),
        failed: reject,
      });
    });
  }

  /** What was prepared still holds: waiting may have taken longer than the actor lived. */
  #requireCurrent(room: Room, users: readonly string[]): void {
    const { standing, actors, deps } = this.#parts;
    standing.requireOpen();
    if (!actors.isCurrent(room, users)) throw ownerChanged();
    room.use(deps.clock.monotonic());
  }

  /** What waited for long, or while much was said, may have been overtaken by a repeat that nobody remembers any more. */
  #requireInTime({ room }: Prepared, sinceMs: number): void {
    const isInTime = this.#parts.deps.clock.monotonic() - sinceMs <= PREPARE_DEADLINE_MS;
    if (isInTime && !room.recent.hasForgotten(sinceMs)) return;
    throw new TrunklineError(ErrorCode.UNAVAILABLE, "the archive did not answer in time", { retryAfterMs: RETRY_MS });
  }
}

function ignore(): void {}
