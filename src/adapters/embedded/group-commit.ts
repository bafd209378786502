// Writes of many callers in one transaction: one flush for all that was asked in a turn of the event loop.

import type { RootDatabase } from "lmdb";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Table } from "./table.js";

export interface Write {
  readonly table: Table;
  readonly key: string;
  /** Undefined: the entry is removed, if there is one. Must not be changed afterwards. */
  readonly value: Uint8Array | undefined;
}

interface Waiting {
  readonly writes: readonly Write[];
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  readonly #root: RootDatabase<Uint8Array, string>;
  #waiting: Waiting[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #closed = false;

  constructor(root: RootDatabase<Uint8Array, string>) {
    this.#root = root;
  }

  /** All of the writes or none of them. Resolves once they are on stable storage. Rejects with UNAVAILABLE. */
  commit(writes: readonly Write[]): Promise<void> {
    if (this.#closed) return Promise.reject(unavailable(new Error("the store is closed")));
    if (this.#waiting.length === 0) setImmediate(() => this.#flush());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ writes, resolve, reject });
    });
  }

  /** Takes no more writes, and resolves when those taken have been answered. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#flush();
    await Promise.all(this.#underWay);
  }

  #flush(): void {
    const group = this.#waiting;
    if (group.length === 0) return;
    this.#waiting = [];
    const done = this.#write(group).then(() => {
      this.#underWay.delete(done);
    });
    this.#underWay.add(done);
  }

  async #write(group: readonly Waiting[]): Promise<void> {
    try {
      // What throws in here would leave half a group behind: keys and values are complete before they come here.
      await this.#root.batch(() => {
        for (const { writes } of group) {
          for (const { table, key, value } of writes) {
            if (value === undefined) table.remove(key);
            else table.put(key, value);
          }
        }
      });
      for (const { resolve } of group) resolve();
    } catch (error) {
      const cause = await causeOf(error);
      for (const { reject } of group) reject(unavailable(cause));
    }
  }
}

export function unavailable(cause: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, "the store is not available", { cause });
}

/** Whatever goes wrong while reading is the store's fault, but for an id that cannot be one. */
export function reading<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof RangeError ? error : unavailable(error);
  }
}

/** lmdb rejects with a general error that holds a promise, which rejects with the reason right after. */
async function causeOf(error: unknown): Promise<unknown> {
  if (!(error instanceof Error && "commitError" in error && error.commitError instanceof Promise)) return error;
  const reason = error.commitError.then(
    () => error,
    (cause: unknown) => cause,
  );
  // Not waited for beyond this turn: an answer must not hang on it.
  return Promise.race([reason, new Promise((resolve) => setImmediate(() => resolve(error)))]);
}
