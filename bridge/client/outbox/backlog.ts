// What waits to be sent, by room and in order, in memory and where it survives a reload; and how much of it there may be.

import { GivenUpError, RefusedError } from "../error.js";
import type { Error as WireError } from "../gen/types.js";
import type { Platform } from "../platform.js";
import type { Sending } from "./sending.js";
import type { OutboxStorage, StoredChange } from "./storage.js";

/** A change, and what only the outbox knows of it. */
export interface Entry {
  readonly sending: Sending;
  readonly id: string;
  readonly bytes: number;
  /** Undefined: not known yet. */
  owner: string | undefined;
  order: number;
  /** How often it was sent. */
  attempts: number;
  /** In milliseconds since 1970. */
  expiresAtMs: number;
  /** Of a client before this one, or of another tab: it may have been answered there. */
  readonly inherited: boolean;
}

/** What waits for a room, in order, with the messages that have failed. */
export interface Lane {
  readonly roomId: string;
  readonly entries: Entry[];
  /** The one under way. */
  current: Entry | undefined;
  /** By the monotonic clock. */
  notBeforeMs: number;
  /** Refusals in a row that did not say when to try again. */
  failures: number;
}

export interface Bounds {
  readonly maxCount: number;
  readonly maxBytes: number;
}

/** What the storage may take to answer. */
export const STORAGE_DEADLINE_MS = 5_000;

export class Backlog {
  readonly #platform: Pick<Platform, "after">;
  readonly #bounds: Bounds;
  readonly #storage: OutboxStorage | undefined;
  readonly #storageFailed: (error: unknown) => void;
  readonly #lanes = new Map<string, Lane>();
  #count = 0;
  #bytes = 0;
  #order = 0;

  constructor(
    platform: Pick<Platform, "after">,
    bounds: Bounds,
    storage: OutboxStorage | undefined,
    storageFailed: (error: unknown) => void,
  ) {
    this.#platform = platform;
    this.#bounds = bounds;
    this.#storage = storage;
    this.#storageFailed = storageFailed;
  }

  /** Those whose turn was the longest ago first. May be changed meanwhile. */
  get lanes(): readonly Lane[] {
    return [...this.#lanes.values()];
  }

  lane(roomId: string): Lane | undefined {
    return this.#lanes.get(roomId);
  }

  /** The other rooms come first now. */
  rotate(lane: Lane): void {
    this.#lanes.delete(lane.roomId);
    this.#lanes.set(lane.roomId, lane);
  }

  entryOf(sending: Sending): Entry | undefined {
    return this.#lanes.get(sending.roomId)?.entries.find((entry) => entry.sending === sending);
  }

  has(entry: Entry): boolean {
    return this.entryOf(entry.sending) === entry;
  }

  /** Whether there is place for it. Of the messages that have failed the oldest give way. */
  makePlace(bytes: number): boolean {
    const fits = (): boolean => this.#count < this.#bounds.maxCount && this.#bytes + bytes <= this.#bounds.maxBytes;
    while (!fits()) {
      const all = this.lanes.flatMap(({ entries }) => entries);
      const [oldest] = all.filter(({ sending }) => sending.state === "failed").sort(byOrder);
      if (oldest === undefined) return false;
      this.remove(oldest);
    }
    return true;
  }

  /** Adds it behind all else of the room. */
  append(entry: Entry, nowMs: number): void {
    // Rises, here and mostly over all tabs.
    this.#order = Math.max(this.#order + 1, nowMs);
    entry.order = this.#order;
    this.#insert(entry, this.#laneOf(entry.sending.roomId).entries.length);
    this.keep(entry);
  }

  /** Takes it out; it is not kept any more. */
  remove(entry: Entry): void {
    const { owner, id, sending } = entry;
    const lane = this.#lanes.get(sending.roomId);
    const at = lane?.entries.indexOf(entry) ?? -1;
    if (lane === undefined || at < 0) return;
    lane.entries.splice(at, 1);
    this.#count--;
    this.#bytes -= entry.bytes;
    this.leave(lane);
    if (owner !== undefined) this.#storage?.remove(owner, id).catch(this.#storageFailed);
  }

  /** Forgets the lane where nothing is in it. */
  leave({ roomId, entries, current }: Lane): void {
    if (entries.length === 0 && current === undefined) this.#lanes.delete(roomId);
  }

  /** Keeps it as it is now. */
  keep(entry: Entry, failure?: WireError): void {
    const { owner, id, order, expiresAtMs, attempts, sending } = entry;
    if (owner === undefined || this.#storage === undefined) return;
    const { roomId, key, frame, createdAtMs } = sending;
    const change = { owner, id, order, roomId, key, frame, attempts, createdAtMs, expiresAtMs };
    this.#storage.put(failure ? { ...change, failure } : change).catch(this.#storageFailed);
  }

  /** What nobody was known to have asked for is this owner's. */
  adopt(owner: string): void {
    for (const entry of this.lanes.flatMap(({ entries }) => entries)) {
      if (entry.owner !== undefined) continue;
      entry.owner = owner;
      this.keep(entry);
    }
  }

  /** Takes in what was kept of the owner. Rejects where that cannot be read. */
  async load(owner: string, make: (change: StoredChange) => Pick<Entry, "sending" | "bytes">): Promise<void> {
    const changes = (await this.#storage?.load(owner)) ?? [];
    for (const change of [...changes].sort(byOrder)) {
      const { id, roomId, order, expiresAtMs, failure } = change;
      const { entries } = this.#laneOf(roomId);
      if (entries.some((entry) => entry.id === id && entry.owner === owner)) continue;
      const attempts = Math.max(change.attempts, 1);
      const entry = { ...make(change), id, owner, order, attempts, expiresAtMs, inherited: true };
      if (failure !== undefined) entry.sending.failed(new RefusedError(failure));
      this.#order = Math.max(this.#order, order);
      // Before what was asked for since, even where the clock was set back.
      const at = entries.findIndex(({ inherited }) => !inherited);
      this.#insert(entry, at < 0 ? entries.length : at);
    }
  }

  /** Whether an inherited one is still to be sent: another tab may have seen to it. It is where the storage cannot say. */
  async isOpen(entry: Entry): Promise<boolean> {
    const { owner, id, inherited, sending } = entry;
    if (!inherited || owner === undefined || this.#storage === undefined) return true;
    try {
      const change = await this.#inTime(this.#storage.get(owner, id));
      if (change?.failure === undefined && change !== undefined) return true;
      sending.failed(change?.failure ? new RefusedError(change.failure) : new GivenUpError("discarded", true));
      return false;
    } catch {
      return true;
    }
  }

  #inTime<T>(asked: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const late = this.#platform.after(STORAGE_DEADLINE_MS, reject);
      asked.then(resolve, reject).finally(() => late.cancel());
    });
  }

  #laneOf(roomId: string): Lane {
    let lane = this.#lanes.get(roomId);
    if (lane === undefined) {
      lane = { roomId, entries: [], current: undefined, notBeforeMs: 0, failures: 0 };
      this.#lanes.set(roomId, lane);
    }
    return lane;
  }

  #insert(entry: Entry, at: number): void {
    this.#laneOf(entry.sending.roomId).entries.splice(at, 0, entry);
    this.#count++;
    this.#bytes += entry.bytes;
  }
}

function byOrder(a: { readonly order: number }, b: { readonly order: number }): number {
  return a.order - b.order;
}
