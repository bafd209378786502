// Writes of one collection that take effect in the order in which they were asked for: what comes in one turn, or while a write is under way, goes
// together.

import type { AnyBulkWriteOperation, Collection, Document } from "mongodb";
import { asking } from "./mongo.js";
import { takenAt } from "./mongo-writes.js";

/** Writes that go together, at most. */
const AT_ONCE = 1_000;

interface Waiting<T extends Document> {
  readonly operation: AnyBulkWriteOperation<T>;
  resolve(written: boolean): void;
  reject(cause: unknown): void;
}

export class OrderedWrites<T extends Document> {
  readonly #collection: Collection<T>;
  #waiting: Waiting<T>[] = [];
  #writing = false;

  constructor(collection: Collection<T>) {
    this.#collection = collection;
  }

  /** Resolves once it is durable. Rejects with UNAVAILABLE: whether it was, or will be, written is open. */
  async write(operation: AnyBulkWriteOperation<T>): Promise<void> {
    if (await this.writeIf(operation)) return;
    await asking(() => Promise.reject(new Error("somebody else has made the document meanwhile")));
  }

  /**
   * The same of an upsert whose filter asks for more than its key. Resolves with false, and nothing was written, where the key is taken by a
   * document that is otherwise.
   */
  writeIf(operation: AnyBulkWriteOperation<T>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ operation, resolve, reject });
      if (!this.#writing) void this.#write();
    });
  }

  /** Never rejects. */
  async #write(): Promise<void> {
    this.#writing = true;
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.splice(0, AT_ONCE);
      try {
        const taken = await this.#writeUpTo(batch);
        for (const { resolve } of batch.slice(0, taken)) resolve(true);
        batch[taken]?.resolve(false);
        // What comes after it was not tried.
        this.#waiting.unshift(...batch.slice(taken + 1));
      } catch (cause) {
        for (const { reject } of batch) reject(cause);
      }
    }
    this.#writing = false;
  }

  /** How many were written before one whose key is taken. */
  #writeUpTo(batch: readonly Waiting<T>[]): Promise<number> {
    const operations = batch.map(({ operation }) => operation);
    return asking(async () => {
      try {
        await this.#collection.bulkWrite(operations, { ordered: true });
        return batch.length;
      } catch (cause) {
        const taken = takenAt(cause);
        if (taken === undefined) throw cause;
        return taken;
      }
    });
  }
}
