// Where changes wait over a reload of the page. See indexed-db.ts for the one of browsers.

import type { ClientFrame, Error as WireError } from "../gen/types.js";

/** A change that the server has not answered yet, as it is kept. Plain data: it survives `structuredClone` and JSON. */
export interface StoredChange {
  /** Whose it is: tenant and user. It is never sent for anybody else. */
  readonly owner: string;
  /** Unique for the owner. */
  readonly id: string;
  /** Its place in the order of what was asked: rising, not dense. */
  readonly order: number;
  readonly roomId: string;
  /** The key that it is sent under each time. */
  readonly key: string;
  /** What is sent, without `attempt`. */
  readonly frame: ClientFrame;
  /** How often it may have been sent. */
  readonly attempts: number;
  /** In milliseconds since 1970. */
  readonly createdAtMs: number;
  /** Until when it is tried, in milliseconds since 1970. */
  readonly expiresAtMs: number;
  /** Why the server will not have it. Absent: it is to be sent. */
  readonly failure?: WireError;
}

/**
 * Keeps changes. Whatever rejects is told as `storageFailed`, and the client goes on with what it has in memory. Several clients, as of several
 * tabs, may use one at a time.
 */
export interface OutboxStorage {
  /** Everything of the owner, in any order. */
  load(owner: string): Promise<readonly StoredChange[]>;
  /** Adds it, or replaces the one of the same owner and id. */
  put(change: StoredChange): Promise<void>;
  /** Resolves where there is none, too. */
  remove(owner: string, id: string): Promise<void>;
  get(owner: string, id: string): Promise<StoredChange | undefined>;
}

/** Keeps changes for as long as it lives: for clients that are made anew in one process, and for tests. */
export class MemoryStorage implements OutboxStorage {
  readonly #changes = new Map<string, StoredChange>();

  async load(owner: string): Promise<readonly StoredChange[]> {
    return structuredClone([...this.#changes.values()].filter((change) => change.owner === owner));
  }

  async put(change: StoredChange): Promise<void> {
    this.#changes.set(nameOf(change.owner, change.id), structuredClone(change));
  }

  async remove(owner: string, id: string): Promise<void> {
    this.#changes.delete(nameOf(owner, id));
  }

  async get(owner: string, id: string): Promise<StoredChange | undefined> {
    return structuredClone(this.#changes.get(nameOf(owner, id)));
  }
}

function nameOf(owner: string, id: string): string {
  return JSON.stringify([owner, id]);
}
