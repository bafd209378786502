// A shard at its owner: the actors of its rooms, one append to the log under way at a time.

import type { RoomDocument } from "../../gen/trunkline/store/v1/documents_pb.js";
import type { Permission } from "../../gen/trunkline/v1/message_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";
import type { AccessGate } from "../hook/access-gate.js";
import type { Proposal, PublishGate } from "../hook/publish-gate.js";
import { Buckets } from "../limit/buckets.js";
import { PAGE_BYTES } from "../limit/limits.js";
import type { Missing } from "../message/room-messages.js";
import { Batch, type Waiter } from "./batch.js";
import type { Blocks } from "./blocks.js";
import type { Caller } from "./calls.js";
import { type Command, messagesOf, type Outcome, pairOf, usersOf } from "./command.js";
import { withDirectUsers } from "./direct.js";
import { permissionOf } from "./permission-of.js";
import { permit } from "./permissions.js";
import { Room, type TurnContext } from "./room.js";
import { RoomState } from "./state.js";
import { rootOf } from "./sub-room.js";
import { turnRules } from "./turn-rules.js";

/** First wait before a shard whose log failed is opened again, in milliseconds; doubles up to the last. */
const REOPEN_FIRST_MS = 100;
const REOPEN_LAST_MS = 5_000;
/** Longest wait for what a turn needs, in milliseconds: far less than an id is remembered. */
const PREPARE_DEADLINE_MS = 30_000;
/**
 * An actor unused for so long is dropped, in milliseconds: as long as an id must be remembered. One of a room that does not exist has
 * nothing to remember, and whoever makes up ids makes many of them: the next sweep drops it.
 */
const IDLE_MS = 11 * 60_000;
/** Standings an actor keeps before it forgets those that are archived. */
const MAX_STANDINGS = 20_000;
/** Events read at once to announce what was stored without an answer. */
const UNTOLD_PAGE = 500;
/** Above every seq. */
const LAST_SEQ = 0xffff_ffff;

type Status =
  | { readonly is: "closed" }
  | { readonly is: "opening"; readonly done: Promise<void> }
  | { readonly is: "open" }
  /** The log failed; `timer` opens it again. */
  | { readonly is: "away"; readonly timer: Timer; readonly error: TrunklineError };

export interface Submission {
  /** Settles once the command's turn is over; undefined: it is over. Never rejects. What is submitted after it comes after it. */
  readonly turned: Promise<unknown> | undefined;
  /** The outcome, once all it was judged on is durable; rejects with the refusal. */
  readonly outcome: Promise<Outcome>;
}

/** Told of events that are durable and announced, the first of them at `from` in the shard's log. */
export type Appended = (shard: number, from: number, records: readonly NewRecord[]) => void;

export class Shard {
  readonly #index: number;
  readonly #deps: CoreDependencies;
  readonly #appended: Appended;
  readonly #blocks: Blocks;
  readonly #gates: Gates;
  readonly #context: () => TurnContext;
  #status: Status = { is: "closed" };
  #rooms = new Map<string, Room>();
  #loading = new Map<string, Promise<Room>>();
  #end = 0;
  #open: Batch;
  /** Closed batches that wait for the one under way, oldest first. */
  #full: Batch[] = [];
  #underWay: Batch | undefined;
  #flushAsked = false;
  #failures = 0;
  /** Rooms whose append failed, with the last seq announced: what stands behind it was stored and not answered. */
  readonly #untold = new Map<string, { readonly ref: RoomRef; readonly announced: number }>();
  /** Resolves when nothing is under way: for drain. */
  #idle: (() => void)[] = [];

  constructor(index: number, deps: CoreDependencies, blocks: Blocks, gates: Gates, appended: Appended) {
    this.#index = index;
    this.#appended = appended;
    this.#blocks = blocks;
    this.#gates = gates;
    this.#deps = deps;
    this.#open = new Batch(0);
    const eventId = (ref: RoomRef, userId: string, key: string): string =>
      deps.ids.digest(`${ref.key}/${userId}/${key}`);
    const rules = { ...turnRules(deps), maxSubRooms: deps.limits.maxSubRooms, eventId };
    this.#context = () => ({ nowMs: deps.clock.now(), monotonicMs: deps.clock.monotonic(), ...rules });
  }

  /** Opens the log. Rejects when it cannot be opened; the shard then keeps trying by itself. */
  open(): Promise<void> {
    if (this.#status.is === "opening") return this.#status.done;
    const done = this.#reopen();
    this.#status = { is: "opening", done };
    return done;
  }

  /** Ends the timers. Callers that wait are told UNAVAILABLE. */
  close(): void {
    if (this.#status.is === "away") this.#status.timer.cancel();
    this.#status = { is: "closed" };
    this.#abandon(unavailable("the node is stopping"));
  }

  /** Where the log ends. */
  get end(): number {
    return this.#end;
  }

  /** Resolves when every accepted command has been answered. */
  idle(): Promise<void> {
    if (this.#underWay === undefined && this.#full.length === 0 && this.#open.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** One command of a room of this shard. */
  submit(ref: RoomRef, caller: Caller, command: Command): Submission {
    const ready = this.#isAsked ? this.#ask(ref, caller, command) : this.#prepare(ref, caller, command);
    if (isPromise(ready)) {
      // The turn is one step, its outcome another: what comes after it in the room need not wait for the log.
      const sinceMs = this.#deps.clock.monotonic();
      const turn = Promise.resolve(ready).then((prepared) => {
        this.#requireInTime(sinceMs);
        return { outcome: this.#turn(prepared, caller) };
      });
      return { turned: turn.then(ignore, ignore), outcome: turn.then(({ outcome }) => outcome) };
    }
    try {
      return { turned: undefined, outcome: this.#turn(ready, caller) };
    } catch (error) {
      return { turned: undefined, outcome: Promise.reject(error) };
    }
  }

  /**
   * Reads a room's state, with the standings of `users` loaded. `read` is called synchronously; its answer, or what it throws, is
   * given once everything it saw is durable.
   */
  async view<T>(ref: RoomRef, users: readonly string[], read: (room: Room) => T): Promise<T> {
    const room = await this.#load(ref, users);
    this.#requireCurrent(room, users);
    return await this.#afterTentative(room, () => read(room));
  }

  /** Like `view`, for a caller who may do `permission` in the room. */
  async read<T>(ref: RoomRef, caller: Caller, permission: Permission, read: (room: Room) => T): Promise<T> {
    const users = [caller.identity.userId];
    const { access } = this.#gates;
    if (access !== undefined) await access.require((await this.#load(ref, users)).state, caller, permission);
    return await this.view(ref, users, (room) => {
      permit(room.state, caller, permission, this.#deps.clock.now());
      return read(room);
    });
  }

  /** Drops idle actors and old ids. Called now and then. */
  sweep(): void {
    const monotonicMs = this.#deps.clock.monotonic();
    for (const [key, room] of this.#rooms) {
      if (room.tentative) continue;
      const idleMs = room.state.own === undefined ? 0 : IDLE_MS;
      if (monotonicMs - room.usedAtMs > idleMs) this.#rooms.delete(key);
      else room.recent.expire(monotonicMs);
      if (room.state.loaded > MAX_STANDINGS) room.state.unload();
    }
    // The root of an actor that stays stays with it: only there is it known what its events would change.
    for (const { root } of this.#rooms.values()) if (root !== undefined) this.#rooms.set(root.ref.key, root);
  }

  // — the steps before a turn: whatever must wait —

  /** Prepares the command as the application lets it be, where it has a say. */
  #ask(ref: RoomRef, caller: Caller, command: Command): Awaitable<Prepared> {
    const ready = this.#prepare(ref, caller, command);
    return isPromise(ready)
      ? ready.then((prepared) => this.#askPrepared(prepared, caller))
      : this.#askPrepared(ready, caller);
  }

  get #isAsked(): boolean {
    return this.#gates.publish !== undefined || this.#gates.access !== undefined;
  }

  #askPrepared(prepared: Prepared, caller: Caller): Awaitable<Prepared> {
    const { room, command } = prepared;
    const id = this.#context().eventId(room.ref, caller.identity.userId, command.key);
    // A repeat is answered with what came of the first, whatever the application would say now.
    if (isRepeat(prepared, id)) return prepared;
    const permission = permissionOf(room.state, caller, command);
    const allowed = permission === undefined ? undefined : this.#gates.access?.require(room.state, caller, permission);
    if (allowed === undefined) return this.#askToPublish(prepared, caller, id);
    return allowed.then(
      async () => {
        const again = await this.#prepare(room.ref, caller, command);
        return isRepeat(again, id) ? again : this.#askToPublish(again, caller, id);
      },
      (refusal: unknown) => this.#refused(prepared, caller, id, refusal),
    );
  }

  #askToPublish(prepared: Prepared, caller: Caller, id: string): Awaitable<Prepared> {
    const { room, command } = prepared;
    const { publish } = this.#gates;
    let proposal: Proposal | undefined;
    try {
      proposal = publish?.proposal(room.state, caller, command);
    } catch (refusal) {
      // Kept for the turn: judged anew then, the command might be allowed that nobody was asked about.
      return { ...prepared, refusal: TrunklineError.from(refusal) };
    }
    if (publish === undefined || proposal === undefined) return prepared;
    // Anything may have happened in the room until the answer comes.
    return publish.approve(id, caller, proposal).then(
      (approved) => this.#prepare(room.ref, caller, approved),
      (refusal: unknown) => this.#refused(prepared, caller, id, refusal),
    );
  }

  /** Rejects with what the application says, unless the change was made meanwhile. */
  async #refused({ room, command }: Prepared, caller: Caller, id: string, refusal: unknown): Promise<Prepared> {
    const again = await this.#prepare(room.ref, caller, command);
    if (isRepeat(again, id)) return again;
    throw refusal;
  }

  #prepare(ref: RoomRef, caller: Caller, command: Command): Awaitable<Prepared> {
    try {
      const room = this.#load(ref, usersOf(caller, command));
      return isPromise(room)
        ? room.then((loaded) => this.#prepareLoaded(loaded, caller, command))
        : this.#prepareLoaded(room, caller, command);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #find(ref: RoomRef): Awaitable<Room> {
    return this.#rooms.get(ref.key) ?? this.#loading.get(ref.key) ?? this.#loadRoom(ref);
  }

  /** The actor, with the standings of `users` loaded. */
  #load(ref: RoomRef, users: readonly string[]): Awaitable<Room> {
    this.#requireOpen();
    const room = this.#find(ref);
    if (isPromise(room)) return Promise.resolve(room).then((loaded) => this.#loadStandings(loaded, users));
    return this.#loadStandings(room, users);
  }

  #loadRoom(ref: RoomRef): Awaitable<Room> {
    const rootRef = rootOf(ref);
    const root = rootRef && this.#find(rootRef);
    // The look-up may throw at once; the root's refusal is then nobody's.
    if (isPromise(root)) Promise.resolve(root).catch(ignore);
    const { archive } = this.#deps;
    const stored = archive.room(ref);
    const document = isPromise(stored)
      ? stored.then((found) => withDirectUsers(archive, ref, found))
      : withDirectUsers(archive, ref, stored);
    if (!isPromise(document) && !isPromise(root)) return this.#build(ref, document, root);
    const rooms = this.#rooms;
    const loading = Promise.all([document, root])
      .then(([found, loadedRoot]) => {
        // The shard was opened anew meanwhile: what was read may be older than what the new owner's view holds.
        if (rooms !== this.#rooms) throw unavailable("the room's owner has changed");
        return this.#build(ref, found, loadedRoot);
      })
      .finally(() => {
        if (this.#loading.get(ref.key) === loading) this.#loading.delete(ref.key);
      });
    this.#loading.set(ref.key, loading);
    return loading;
  }

  #build(ref: RoomRef, document: RoomDocument | undefined, root: Room | undefined): Room {
    // It may have been dropped while the other was read: two actors of one room would disagree.
    if (root !== undefined && this.#rooms.get(root.ref.key) !== root) throw unavailable("the room's root was dropped");
    const state = new RoomState(ref, document, root?.state);
    const buckets = new Buckets(this.#deps.tenants, ref.tenantId, "room");
    const room = new Room(state, buckets, this.#context(), root);
    this.#rooms.set(ref.key, room);
    return room;
  }

  #loadStandings(room: Room, users: readonly string[]): Awaitable<Room> {
    let waiting: Promise<void>[] | undefined;
    for (const { state, ref } of room.root === undefined ? [room] : [room, room.root]) {
      for (const userId of users) {
        if (state.knows(userId)) continue;
        const document = this.#deps.archive.member(ref, userId);
        if (!isPromise(document)) state.load(userId, document);
        else {
          const loaded = Promise.resolve(document).then((found) => state.load(userId, found));
          // The next look-up may throw at once; this one's refusal is then nobody's.
          loaded.catch(ignore);
          waiting ??= [];
          waiting.push(loaded);
        }
      }
    }
    return waiting === undefined ? room : Promise.all(waiting).then(() => room);
  }

  #prepareLoaded(room: Room, caller: Caller, command: Command): Awaitable<Prepared> {
    const loading = command.kind === "create" ? this.#loadSubRooms(room) : this.#loadMessages(room, command);
    if (loading === undefined) return this.#prepareBlocks(room, caller, command);
    return loading.then(() => this.#prepareBlocks(room, caller, command));
  }

  /** Loads which rooms are under the root that another is to be made under. Undefined: it is known. */
  #loadSubRooms({ root }: Room): PromiseLike<void> | undefined {
    if (root === undefined || root.state.subRooms.loaded) return undefined;
    const { subRooms } = root.state;
    const stored = this.#deps.archive.subRooms(root.ref, { after: "", limit: this.#deps.limits.maxSubRooms });
    if (isPromise(stored)) return stored.then((found) => subRooms.load(found));
    subRooms.load(stored);
    return undefined;
  }

  /** Asks whether the users of a direct room have blocked one another. */
  #prepareBlocks(room: Room, caller: Caller, command: Command): Awaitable<Prepared> {
    const [one, other] = pairOf(caller, command, room.state.directUsers);
    if (one === undefined || other === undefined) return this.#lookUp(room, caller, command);
    const blocked = this.#blocks.between(room.ref.tenantId, one, other);
    const known = (is: boolean): Awaitable<Prepared> => {
      room.state.blocked = is;
      return this.#lookUp(room, caller, command);
    };
    return isPromise(blocked) ? blocked.then(known) : known(blocked);
  }

  /** Loads the messages that a command names, and what they draw in. Undefined: they are there. */
  #loadMessages(room: Room, command: Command): PromiseLike<void> | undefined {
    const { archive } = this.#deps;
    const { messages } = room.state;
    for (;;) {
      const missing = missingOf(room, command);
      if (missing === undefined) return undefined;
      const waiting: PromiseLike<void>[] = [];
      for (const messageId of missing.messages) {
        const stored = archive.message(room.ref, messageId);
        if (isPromise(stored)) waiting.push(stored.then((found) => messages.load(messageId, found)));
        else messages.load(messageId, stored);
      }
      for (const seq of missing.bodies) {
        const events = archive.events(room.ref, { from: seq, to: seq, limit: 1, maxBytes: 1 });
        if (isPromise(events)) waiting.push(events.then(([found]) => messages.loadBody(seq, found?.event)));
        else messages.loadBody(seq, events[0]?.event);
      }
      if (waiting.length > 0) return Promise.all(waiting).then(() => this.#loadMessages(room, command));
    }
  }

  /** Asks the archive for a repeat where memory cannot tell. */
  #lookUp(room: Room, caller: Caller, command: Command): Awaitable<Prepared> {
    const { monotonicMs, eventId } = this.#context();
    if (command.attempt <= 1 && room.recent.isConclusive(monotonicMs)) return { room, command, found: undefined };
    const id = eventId(room.ref, caller.identity.userId, command.key);
    if (room.recent.find(id) !== undefined) return { room, command, found: undefined };
    const seq = this.#deps.archive.seqOf(room.ref, id);
    if (isPromise(seq)) return seq.then((found) => this.#fetch(room, command, found));
    return this.#fetch(room, command, seq);
  }

  #fetch(room: Room, command: Command, seq: number | undefined): Awaitable<Prepared> {
    if (seq === undefined) return { room, command, found: undefined };
    const events = this.#deps.archive.events(room.ref, { from: seq, to: seq, limit: 1, maxBytes: 1 });
    if (isPromise(events)) return events.then(([found]) => ({ room, command, found }));
    return { room, command, found: events[0] };
  }

  // — the turn —

  #turn({ room, found, command, refusal }: Prepared, caller: Caller): Promise<Outcome> {
    this.#requireCurrent(room, usersOf(caller, command));
    if (missingOf(room, command) !== undefined) throw unavailable("the message has changed meanwhile");
    if (this.#pendingBytes > this.#deps.limits.shardPendingBytes) {
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "the room's log is behind", { retryAfterMs: 1_000 });
    }
    if (found !== undefined) return this.#afterTentative(room, () => room.repeatArchived(found.event, caller, command));
    return this.#afterTentative(room, () => {
      if (refusal !== undefined) throw refusal;
      const { outcome, events } = room.turn(caller, command, this.#context());
      if (events.length > 0) this.#accept(room, events);
      return outcome;
    });
  }

  /** Asked anew after each wait: `close` may have come between. */
  get #isClosed(): boolean {
    return this.#status.is === "closed";
  }

  get #pendingBytes(): number {
    return this.#full.reduce((sum, { bytes }) => sum + bytes, this.#open.bytes + (this.#underWay?.bytes ?? 0));
  }

  #accept(room: Room, events: Parameters<Batch["add"]>[1]): void {
    if (this.#open.size === 0) this.#open = new Batch(this.#deps.clock.monotonic());
    this.#open.add(room, events);
    // A batch that the log would not take is never made: what one turn adds is far less than the other half.
    if (this.#open.logBytes > this.#deps.log.maxBatchBytes / 2) this.#closeBatch();
    this.#askFlush();
  }

  /** Documents go with the events they follow from: they are taken before the next turn. */
  #closeBatch(): void {
    this.#open.seal();
    this.#full.push(this.#open);
    this.#open = new Batch(this.#deps.clock.monotonic());
  }

  /** Judges now, answers when all it was judged on is durable: refusals too, since they may rest on tentative events. */
  #afterTentative<T>(room: Room, judge: () => T): Promise<T> {
    let result: { readonly value: T } | { readonly refusal: unknown };
    try {
      result = { value: judge() };
    } catch (refusal) {
      result = { refusal };
    }
    const settled = result;
    if (!room.judgedOnTentative)
      return "value" in settled ? Promise.resolve(settled.value) : Promise.reject(settled.refusal);
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        done: () => ("value" in settled ? resolve(settled.value) : reject(settled.refusal)),
        failed: reject,
      };
      // The newest tentative event of the room, or of its root, is in no later batch than the newest that holds any.
      (this.#open.size > 0 ? this.#open : (this.#full.at(-1) ?? this.#underWay ?? this.#open)).wait(waiter);
    });
  }

  // — the log —

  #askFlush(): void {
    if (this.#flushAsked || this.#underWay !== undefined) return;
    this.#flushAsked = true;
    this.#deps.clock.soon(() => this.#flush());
  }

  #flush(): void {
    this.#flushAsked = false;
    if (this.#status.is !== "open" || this.#underWay !== undefined) return;
    if (this.#full.length === 0 && this.#open.size > 0) this.#closeBatch();
    const batch = this.#full.shift();
    if (batch === undefined) return;
    this.#underWay = batch;
    this.#deps.log.append(this.#index, this.#end, batch.seal()).then(
      (outcome) => {
        if (this.#underWay !== batch) return;
        if (outcome.status === "durable") this.#durable(batch, outcome.end);
        else
          this.#failed(
            new TrunklineError(ErrorCode.UNAVAILABLE, "the room's owner has changed", {
              retryAfterMs: REOPEN_FIRST_MS,
            }),
          );
      },
      (cause: unknown) => {
        if (this.#underWay === batch)
          this.#failed(unavailable("the log did not answer; retry with the same key", cause));
      },
    );
  }

  #durable(batch: Batch, end: number): void {
    const from = this.#end;
    this.#end = end;
    this.#failures = 0;
    this.#underWay = undefined;
    batch.settle(({ ref }, events) => this.#announce(ref, events));
    this.#deps.telemetry.emit("log.appended", {
      shard: this.#index,
      events: batch.size,
      bytes: batch.bytes,
      waitMs: this.#deps.clock.monotonic() - batch.openedAtMs,
    });
    this.#appended(this.#index, from, batch.records);
    this.#flush();
    if (this.#underWay === undefined) this.#tellIdle();
  }

  #announce(ref: RoomRef, events: readonly EncodedEvent[]): void {
    this.#deps.fanout.announce(ref, events);
  }

  /** Nobody has seen anything of what is tentative: the actors are dropped, the log says what happened. */
  #failed(error: TrunklineError): void {
    this.#deps.telemetry.emit("log.failed", { shard: this.#index, cause: error });
    for (const { ref, durableSeq } of this.#underWay?.rooms ?? [])
      this.#untold.set(ref.key, { ref, announced: durableSeq });
    const delayMs = Math.min(REOPEN_FIRST_MS * 2 ** this.#failures++, REOPEN_LAST_MS);
    const timer = this.#deps.clock.after(delayMs, () => void this.open().catch(ignore));
    this.#status = { is: "away", timer, error };
    this.#abandon(error);
  }

  #abandon(error: TrunklineError): void {
    const batches = [this.#underWay, ...this.#full, this.#open];
    this.#underWay = undefined;
    this.#full = [];
    this.#open = new Batch(0);
    this.#rooms = new Map();
    this.#loading = new Map();
    for (const batch of batches) batch?.fail(error);
    this.#tellIdle();
  }

  async #reopen(): Promise<void> {
    try {
      const { end, tail } = await this.#deps.log.open(this.#index);
      if (this.#isClosed) return;
      // An engine whose archive lags behind its log brings a tail; folding it is that engine's owner's work.
      if (tail.length > 0) throw new Error("the log holds events that the archive lacks");
      await this.#tellUntold();
      if (this.#isClosed) return;
      this.#end = end;
      this.#status = { is: "open" };
      // What was stored without an answer is followed too.
      this.#appended(this.#index, end, []);
    } catch (cause) {
      if (!this.#isClosed) this.#failed(unavailable("the log cannot be opened", cause));
      throw cause;
    }
  }

  /** Announces what was stored without an answer: nobody else will, and whoever resends it is only told where it stands. */
  async #tellUntold(): Promise<void> {
    for (const [key, { ref, announced }] of this.#untold) {
      let from = announced + 1;
      for (;;) {
        const range = { from, to: LAST_SEQ, limit: UNTOLD_PAGE, maxBytes: PAGE_BYTES };
        const events = await this.#deps.archive.events(ref, range);
        const last = events.at(-1);
        if (last === undefined || this.#isClosed) break;
        this.#announce(ref, events);
        this.#blocks.appended(events.map((event) => ({ room: ref, event })));
        from = last.seq + 1;
      }
      this.#untold.delete(key);
    }
  }

  /** What was prepared still holds: waiting may have taken longer than the actor lived. */
  #requireCurrent(room: Room, users: readonly string[]): void {
    this.#requireOpen();
    for (const actor of room.root === undefined ? [room] : [room, room.root]) {
      if (this.#rooms.get(actor.ref.key) !== actor || !users.every((userId) => actor.state.knows(userId))) {
        throw unavailable("the room's owner has changed");
      }
    }
    room.use(this.#deps.clock.monotonic());
  }

  /** A first try that waited for long may have been overtaken by a repeat that nobody remembers any more. */
  #requireInTime(sinceMs: number): void {
    if (this.#deps.clock.monotonic() - sinceMs <= PREPARE_DEADLINE_MS) return;
    throw new TrunklineError(ErrorCode.UNAVAILABLE, "the archive did not answer in time", {
      retryAfterMs: REOPEN_FIRST_MS,
    });
  }

  #requireOpen(): void {
    switch (this.#status.is) {
      case "open":
        return;
      case "away":
        throw this.#status.error;
      case "opening":
        throw unavailable("the room's owner is starting");
      case "closed":
        throw unavailable("the node is stopping");
    }
  }

  #tellIdle(): void {
    const told = this.#idle;
    this.#idle = [];
    for (const resolve of told) resolve();
  }
}

/** What of the messages that a command names must be read first. */
function missingOf(room: Room, command: Command): Missing | undefined {
  const messageIds = messagesOf(command);
  if (messageIds.length === 0) return undefined;
  const missing = room.state.messages.missing(messageIds, command.kind === "deleteMessage");
  return missing.messages.length + missing.bodies.length === 0 ? undefined : missing;
}

/** Where the application has a say. */
interface Gates {
  readonly publish: PublishGate | undefined;
  readonly access: AccessGate | undefined;
}

interface Prepared {
  readonly room: Room;
  readonly command: Command;
  /** The event that this key made before. */
  readonly found: EncodedEvent | undefined;
  /** What the room says to it. */
  readonly refusal?: TrunklineError;
}

/** Whether the change of this id has been made. */
function isRepeat({ room, found }: Prepared, id: string): boolean {
  return found !== undefined || room.recent.find(id) !== undefined;
}

function unavailable(message: string, cause?: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: REOPEN_FIRST_MS, cause });
}

function ignore(): void {}
