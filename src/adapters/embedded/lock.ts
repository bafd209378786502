// One process per data directory: a lock that the kernel takes back when its holder dies, however it dies.
//
// LMDB keeps a table of readers, each backed by an fcntl lock that tells a live one from a dead one, whatever became of its
// process id since. A small environment of its own, in which nothing is ever written, holds one reader for as long as the
// directory is used; whether there is one is looked up within a write transaction, which one process at a time can have.

import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";

export class DirectoryLock {
  readonly #environment: RootDatabase;
  readonly #reader: { done(): void };

  private constructor(environment: RootDatabase, reader: { done(): void }) {
    this.#environment = environment;
    this.#reader = reader;
  }

  /** Throws an error that names the directory and the holder's process id if it is held, also by this process. */
  static async acquire(directory: string): Promise<DirectoryLock> {
    const environment = open({
      path: join(directory, "owner.mdb"),
      noSubdir: true,
      overlappingSync: false,
      eventTurnBatching: false,
    });
    const reader = environment.transactionSync(() => {
      environment.readerCheck();
      const holder = holderIn(environment.readerList());
      return holder ?? environment.useReadTransaction();
    });
    if (typeof reader !== "number") return new DirectoryLock(environment, reader);
    await environment.close();
    throw new Error(
      `the data directory ${directory} is in use by process ${reader}: stop it, or choose another directory`,
    );
  }

  /** Call once. */
  async release(): Promise<void> {
    this.#reader.done();
    await this.#environment.close();
  }
}

/** The first process id in LMDB's list, a table with one line per reader: process id, thread, transaction. */
function holderIn(readers: string): number | undefined {
  const line = /^\s*(\d+)\s/m.exec(readers);
  return line === null ? undefined : Number(line[1]);
}
