// Writes of one collection that take effect in the order in which they were asked for: what comes in one turn, or while a write is under way, goes
// together.

import type { AnyBulkWriteOperation, Collection, Document } from "mongodb";
import { asking } from "./mongo.js";

/** Writes that go together, at most. */
const AT_ONCE = 1_000;

interface Waiting<T extends Document> {
  readonly operation: AnyBulkWriteOperation<T>;
  resolve(): void;
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
  write(operation: AnyBulkWriteOperation<T>): Promise<void> {
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
      const operations = batch.map(({ operation }) => operation);
      try {
        await asking(() => this.#collection.bulkWrite(operations, { ordered: true }));
        for (const { resolve } of batch) resolve();
      } catch (cause) {
        for (const { reject } of batch) reject(cause);
      }
    }
    this.#writing = false;
  }
}
