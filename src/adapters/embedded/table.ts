// One table of an LMDB environment, with what of lmdb the store uses.
//
// lmdb lets a read begin while its environment is being closed, and throws by a timer of its own then, where nobody can catch it:
// who reads late is refused here instead.

import type { Database, RangeOptions } from "lmdb";

export interface Entry {
  readonly key: string;
  readonly value: Uint8Array;
}

export class Table {
  readonly #database: Database<Uint8Array, string>;
  #shut = false;

  constructor(database: Database<Uint8Array, string>) {
    this.#database = database;
  }

  /** From now on reads throw. */
  shut(): void {
    this.#shut = true;
  }

  /** Bytes of the caller's own. */
  getBinary(key: string): Buffer | undefined {
    return this.#open().getBinary(key);
  }

  doesExist(key: string): boolean {
    return this.#open().doesExist(key);
  }

  /** To be read within the turn of the event loop; the values' bytes are valid until the next one. */
  getRange(options: RangeOptions): Iterable<Entry> {
    return this.#open().getRange(options);
  }

  getKeys(options: RangeOptions): Iterable<string> {
    return this.#open().getKeys(options);
  }

  /** Within a transaction. */
  put(key: string, value: Uint8Array): void {
    this.#database.put(key, value);
  }

  /** Within a transaction. */
  remove(key: string): void {
    this.#database.remove(key);
  }

  #open(): Database<Uint8Array, string> {
    if (this.#shut) throw new Error("the store is closed");
    return this.#database;
  }
}
