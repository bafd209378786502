// Changes on their way: each is kept until the server has answered it, over cuts, restarts and reloads. A room's are sent one after the other, so
// that they are stored in the order they were asked for; a refused one is passed over.

import { ClosedError, DisconnectedError, GivenUpError, isFinal, RefusedError } from "../error.js";
import type { ClientFrame, RoomEvent, ServerFrame, Welcome } from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";
import { backoffMs } from "../session/verdict.js";
import { Backlog, type Entry, type Lane, STORAGE_DEADLINE_MS } from "./backlog.js";
import { answerOf, attemptOf, faultOf } from "./frame.js";
import { Sending } from "./sending.js";
import type { OutboxStorage } from "./storage.js";

export interface Owner {
  readonly tenantId?: string;
  readonly userId?: string;
}

export interface OutboxOptions {
  /**
   * Where changes are kept over a reload, from a moment after they were asked for until they are answered, discarded or, other than messages, have
   * failed. Default: IndexedDB where there is one, for whoever has the machine to read. Null: nowhere.
   */
  readonly storage?: OutboxStorage | null;
  /**
   * Whose changes these are, where the application knows before the first connection: then what is asked for until it is there survives a
   * reload, too. Otherwise that is kept only once there is a connection, which says who it is. One of somebody else sends nothing of it.
   */
  readonly owner?: Owner;
  /** How long a change is tried, in milliseconds. Default a day. Then it fails with `GivenUpError`, `expired`. */
  readonly expireAfterMs?: number;
  /** Changes that wait, at most, over all rooms. Default 1,000. Beyond they fail with `GivenUpError`, `full`. */
  readonly maxCount?: number;
  /** What they may take, in bytes. Default 4 MiB. Beyond they fail with `GivenUpError`, `full`. */
  readonly maxBytes?: number;
}

export interface OutboxContext {
  readonly platform: Pick<Platform, "now" | "monotonic" | "after" | "random">;
  readonly request: (frame: ClientFrame) => Promise<ServerFrame>;
  /** Of the live connection. Undefined: there is none. */
  readonly welcome: () => Welcome | undefined;
  /** How many bytes a frame takes. Throws where it cannot be encoded. */
  readonly measure: (frame: ClientFrame) => number;
  /** What waits for a room has changed. */
  readonly changed: (roomId: string) => void;
  /** A change will not be stored. */
  readonly failed: (sending: Sending) => void;
  readonly storageFailed: (error: unknown) => void;
}

/** Rooms that something is under way for at once. */
const MAX_ROOMS = 8;
/** Between two rooms after a reconnect, in the mean. */
const PACE_MS = 20;
/** What is between two changes of a client that was told to slow down, and how that ends. */
const SLOWED = { leastMs: 10, mostMs: 1_000, times: 1.5, easing: 0.95, overMs: 1 };
/** A change may be called the first attempt for so long. The server remembers for longer what it has stored. */
const FIRST_FOR_MS = 10_000;
const DAY_MS = 86_400_000;
const MIB = 1_024 * 1_024;

export class Outbox {
  readonly #context: OutboxContext;
  readonly #backlog: Backlog;
  readonly #expireAfterMs: number;
  #owner: string | undefined;
  /** What was kept of the owner is there. */
  #loaded = false;
  #active = 0;
  /** Nothing is sent before, by the monotonic clock. */
  #notBeforeMs = 0;
  /** What is left between two changes, of whatever rooms. */
  #gapMs = 0;
  #timer: Timer | undefined;
  #woken = false;
  #resting = false;

  constructor(options: OutboxOptions, context: OutboxContext) {
    const { storage, owner, expireAfterMs = DAY_MS, maxCount = 1_000, maxBytes = 4 * MIB } = options;
    this.#context = context;
    const bounds = { maxCount, maxBytes };
    this.#backlog = new Backlog(context.platform, bounds, storage ?? undefined, context.storageFailed);
    this.#expireAfterMs = expireAfterMs;
    if (owner !== undefined) this.#become(nameOf(owner));
  }

  /** What waits for the room, and messages that have failed, in order. */
  pending(roomId: string): readonly Sending[] {
    const entries = this.#backlog.lane(roomId)?.entries ?? [];
    return entries.filter((entry) => this.#isOwn(entry)).map(({ sending }) => sending);
  }

  /**
   * Of two under the same key the one that waits is returned.
   * @param given The key is the application's, which may have used it before.
   */
  add<T>(roomId: string, key: string, frame: ClientFrame, given: boolean): Sending<T> {
    const { platform, measure, welcome } = this.#context;
    const id = `${roomId} ${key}`;
    const same = this.#backlog.lane(roomId)?.entries.find((entry) => entry.id === id && this.#isOwn(entry));
    if (same !== undefined) {
      if (same.sending.state !== "failed") return same.sending as Sending<T>;
      this.#backlog.remove(same);
    }
    const createdAtMs = platform.now();
    const sending = new Sending<T>({ roomId, key, frame, createdAtMs }, this);
    const { bytes, fault } = faultOf(frame, measure, welcome()?.limits?.maxFrameBytes);
    if (fault !== undefined) sending.failed(fault);
    else if (!this.#backlog.makePlace(bytes)) sending.failed(new GivenUpError("full", false));
    else {
      const expiresAtMs = createdAtMs + this.#expireAfterMs;
      const attempts = given || same !== undefined ? 1 : 0;
      const entry = { sending, id, bytes, owner: this.#owner, order: 0, attempts, expiresAtMs, inherited: false };
      this.#backlog.append(entry, createdAtMs);
      this.#changed(entry);
      return sending;
    }
    // It is not among those that wait: whoever does not await it hears of it here.
    this.#context.failed(sending);
    return sending;
  }

  /** Connected as this user. */
  welcomed(owner: Owner): void {
    const { platform } = this.#context;
    const name = nameOf(owner);
    if (this.#owner !== name) this.#become(name);
    const { lanes } = this.#backlog;
    // Many rooms one after the other, and many clients not at the same moment.
    if (lanes.length > 1) this.#gapMs = Math.max(this.#gapMs, PACE_MS);
    this.#notBeforeMs = platform.monotonic() + platform.random() * lanes.length * PACE_MS;
    for (const lane of lanes) {
      // Of its own accord it waits for this connection no longer.
      if (lane.failures > 0) lane.notBeforeMs = 0;
      lane.failures = 0;
    }
    this.#wake();
  }

  /** An event says that a message is stored, which its answer may never do. */
  seen(roomId: string, { messageCreated, eventId, position, createdAt, actor }: RoomEvent): void {
    const lane = this.#backlog.lane(roomId);
    if (lane === undefined || messageCreated === undefined) return;
    if (actor?.userId !== this.#context.welcome()?.userId) return;
    const { clientMessageId, messageIndex } = messageCreated;
    const entry = lane.entries.find(({ sending: { key, frame } }) => frame.publish && key === clientMessageId);
    if (entry !== undefined && this.#isOwn(entry))
      this.#stored(entry, { messageId: eventId, position, createdAt, messageIndex });
  }

  /** The client is closed: nothing is sent, and nothing expires, until it is not any more. */
  rest(resting: boolean): void {
    this.#resting = resting;
    this.#wake();
  }

  retry(sending: Sending): void {
    const entry = this.#backlog.entryOf(sending);
    if (entry === undefined || sending.state !== "failed") return;
    const nowMs = this.#context.platform.now();
    this.#backlog.remove(entry);
    sending.become("waiting");
    // What another tab has made of it before does not matter now.
    const attempts = Math.max(entry.attempts, 1);
    const again = { ...entry, attempts, expiresAtMs: nowMs + this.#expireAfterMs, inherited: false };
    this.#backlog.append(again, nowMs);
    this.#changed(again);
  }

  discard(sending: Sending): void {
    const entry = this.#backlog.entryOf(sending);
    if (entry === undefined) return;
    if (sending.state !== "failed") sending.failed(new GivenUpError("discarded", entry.attempts > 0));
    this.#backlog.remove(entry);
    this.#changed(entry);
  }

  // — whose —

  #isOwn({ owner }: Entry): boolean {
    return owner === this.#owner;
  }

  #become(owner: string): void {
    const { platform, measure, changed, storageFailed } = this.#context;
    this.#owner = owner;
    this.#loaded = false;
    this.#backlog.adopt(owner);
    const ready = (error?: unknown): void => {
      late.cancel();
      if (error !== undefined) storageFailed(error);
      if (this.#owner !== owner) return;
      this.#loaded = true;
      for (const { roomId } of this.#backlog.lanes) changed(roomId);
      this.#wake();
    };
    const late = platform.after(STORAGE_DEADLINE_MS, () => ready(new Error("no answer in time")));
    const loading = this.#backlog.load(owner, (change) => ({
      sending: new Sending(change, this),
      bytes: faultOf(change.frame, measure).bytes,
    }));
    loading.then(() => ready(), ready);
  }

  // — how it ends —

  #stored(entry: Entry, answer: unknown): void {
    if (!this.#backlog.has(entry)) return;
    entry.sending.stored(answer);
    this.#backlog.remove(entry);
    this.#changed(entry);
  }

  /** Messages stay until the user has seen to them. Of other changes whoever has asked is told, and they are gone. */
  #failed(entry: Entry, error: Error): void {
    const { sending } = entry;
    if (!this.#backlog.has(entry)) return;
    sending.failed(error);
    if (sending.frame.publish === undefined) this.#backlog.remove(entry);
    else if (error instanceof RefusedError) {
      const { code, message, field, details } = error;
      this.#backlog.keep(entry, { code, message, details, ...(field !== undefined && { field }) });
    }
    this.#changed(entry);
    this.#context.failed(sending);
  }

  #changed({ sending }: Entry): void {
    this.#context.changed(sending.roomId);
    this.#wake();
  }

  // — sending —

  /** Looks soon at what can be sent. */
  #wake(): void {
    if (this.#woken) return;
    this.#woken = true;
    queueMicrotask(() => {
      this.#woken = false;
      this.#look();
    });
  }

  #look(): void {
    const { platform, welcome } = this.#context;
    this.#timer?.cancel();
    if (this.#resting) return;
    let waitMs = this.#expire();
    const nowMs = platform.monotonic();
    for (const lane of this.#loaded && welcome() !== undefined ? this.#backlog.lanes : []) {
      const next = lane.entries.find((entry) => entry.sending.state === "waiting" && this.#isOwn(entry));
      if (next === undefined || lane.current !== undefined || this.#active >= MAX_ROOMS) continue;
      const inMs = Math.max(lane.notBeforeMs, this.#notBeforeMs) - nowMs;
      if (inMs > 0) waitMs = Math.min(waitMs, inMs);
      else {
        this.#notBeforeMs = nowMs + this.#gapMs * (0.5 + platform.random());
        this.#backlog.rotate(lane);
        void this.#send(lane, next);
      }
    }
    if (waitMs === Number.POSITIVE_INFINITY) return;
    this.#timer = platform.after(waitMs, () => this.#look());
  }

  /** Gives up what has waited for too long, and says how long the next has. */
  #expire(): number {
    const nowMs = this.#context.platform.now();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const entry of this.#backlog.lanes.flatMap(({ entries }) => entries)) {
      // One under way is answered first.
      if (entry.sending.state !== "waiting" || !this.#isOwn(entry)) continue;
      if (entry.expiresAtMs <= nowMs) this.#failed(entry, new GivenUpError("expired", entry.attempts > 0));
      else nextMs = Math.min(nextMs, entry.expiresAtMs - nowMs);
    }
    return nextMs;
  }

  /** Never rejects. */
  async #send(lane: Lane, entry: Entry): Promise<void> {
    const { request } = this.#context;
    const { sending } = entry;
    this.#active++;
    lane.current = entry;
    sending.become("sending");
    this.#changed(entry);
    try {
      if (await this.#mayGo(entry)) {
        const answer = await request(attemptOf(sending.frame, entry.attempts));
        lane.failures = 0;
        this.#gapMs = this.#gapMs < SLOWED.overMs ? 0 : this.#gapMs * SLOWED.easing;
        this.#stored(entry, answerOf(answer));
      }
    } catch (error) {
      this.#refused(lane, entry, error);
    } finally {
      this.#active--;
      lane.current = undefined;
      if (sending.state === "sending") sending.become("waiting");
      this.#backlog.leave(lane);
      this.#changed(entry);
    }
  }

  async #mayGo(entry: Entry): Promise<boolean> {
    const { platform, measure, welcome } = this.#context;
    const { sending, inherited } = entry;
    if (inherited && !(await this.#backlog.isOpen(entry))) {
      if (sending.error instanceof GivenUpError) this.#backlog.remove(entry);
      return false;
    }
    const { fault } = faultOf(sending.frame, measure, welcome()?.limits?.maxFrameBytes);
    if (fault !== undefined) throw fault;
    const late = platform.now() - sending.createdAtMs > FIRST_FOR_MS;
    entry.attempts = Math.max(entry.attempts + 1, late ? 2 : 1);
    if (entry.attempts > 2) this.#backlog.keep(entry);
    return true;
  }

  #refused(lane: Lane, entry: Entry, error: unknown): void {
    const { platform, welcome } = this.#context;
    if (isFinal(error)) {
      lane.failures = 0;
      this.#failed(entry, error);
      return;
    }
    // What was lost with the connection is sent on the next one.
    if (error instanceof ClosedError || (error instanceof DisconnectedError && welcome() === undefined)) return;
    const refusal = error instanceof RefusedError ? error : undefined;
    const delayMs = refusal?.retryAfterMs ?? backoffMs(++lane.failures, platform);
    lane.notBeforeMs = platform.monotonic() + delayMs;
    // Where it is not of the room that too much was asked, the others wait, too.
    if (refusal?.code !== "ERROR_CODE_RATE_LIMITED" || refusal.details.bucket?.startsWith("room.")) return;
    this.#notBeforeMs = lane.notBeforeMs;
    this.#gapMs = Math.min(Math.max(this.#gapMs * SLOWED.times, SLOWED.leastMs), SLOWED.mostMs);
  }
}

function nameOf({ tenantId = "", userId = "" }: Owner): string {
  return `${tenantId} ${userId}`;
}
