// The embedded store: log, archive and fan-out of a backbone that runs alone, in one LMDB environment.

import { resolve } from "node:path";
import type { Archive } from "../../ports/archive.js";
import type { Clock } from "../../ports/clock.js";
import type { EventLog } from "../../ports/event-log.js";
import type { Fanout } from "../../ports/fanout.js";
import type { Notifier } from "../../ports/notifier.js";
import type { OutletStore } from "../../ports/outlet-store.js";
import { makeDirectory } from "../directory.js";
import { EmbeddedArchive } from "./archive.js";
import { backup, flush } from "./backup.js";
import { EmbeddedEventLog } from "./event-log.js";
import { EmbeddedFanout } from "./fanout.js";
import { GroupCommit } from "./group-commit.js";
import { DirectoryLock } from "./lock.js";
import { NotificationLog } from "./notification-log.js";
import { EmbeddedOutletStore } from "./outlet-store.js";
import { Retention } from "./retention.js";
import { closeTables, openTables, type Tables } from "./tables.js";

// Enough for a cluster to grow into, and a look at each costs nothing.
const DEFAULT_SHARDS = 64;

export interface EmbeddedStoreOptions {
  /** Where the data is, or will be: it is created if it is not there. One process at a time. */
  readonly directory: string;
  /** Default 64. Counts when the store is created, and is read back from then on. */
  readonly shards?: number;
  /** How long events and messages are kept, in milliseconds. Default: for ever. Rooms and members are always kept. */
  readonly retentionMs?: number;
  readonly clock: Clock;
  /** Told when something fails that nobody waits for. */
  readonly onFault?: (cause: unknown) => void;
}

export class EmbeddedStore {
  /** Absolute. */
  readonly directory: string;
  readonly log: EventLog;
  readonly archive: Archive;
  readonly fanout: Fanout;
  readonly outlets: OutletStore;
  /** Takes notifications by writing them down. */
  readonly notifications: Notifier;
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  readonly #retention: Retention | undefined;
  readonly #lock: DirectoryLock;
  readonly #backups = new Set<Promise<void>>();
  #closing: Promise<void> | undefined;

  private constructor(directory: string, lock: DirectoryLock, tables: Tables, options: EmbeddedStoreOptions) {
    const { retentionMs, clock, onFault = () => {} } = options;
    this.directory = directory;
    this.#lock = lock;
    this.#tables = tables;
    this.#commit = new GroupCommit(tables.root);
    this.log = new EmbeddedEventLog(tables, this.#commit);
    this.archive = new EmbeddedArchive(tables, this.#commit);
    this.fanout = new EmbeddedFanout();
    this.outlets = new EmbeddedOutletStore(tables, this.#commit);
    this.notifications = new NotificationLog(tables, this.#commit, clock);
    this.#retention =
      retentionMs === undefined ? undefined : new Retention(tables, this.#commit, { retentionMs, clock, onFault });
  }

  /**
   * Rejects with an error that says what to do when another process holds the directory, or a newer version has written
   * the data.
   */
  static async open(options: EmbeddedStoreOptions): Promise<EmbeddedStore> {
    const directory = resolve(options.directory);
    await makeDirectory(directory);
    const lock = await DirectoryLock.acquire(directory);
    try {
      const tables = await openTables(directory, options.shards ?? DEFAULT_SHARDS);
      await flush(directory);
      return new EmbeddedStore(directory, lock, tables, options);
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /**
   * Copies the store as of one moment to `directory`, while it is used; what was durable before the call is in it. Open the
   * copy to restore it. Rejects where `directory` holds a store already.
   */
  async backup(directory: string): Promise<void> {
    if (this.#closing !== undefined) throw new Error("the store is closed");
    const copied = backup(this.#tables, resolve(directory)).finally(() => this.#backups.delete(copied));
    this.#backups.add(copied);
    return copied;
  }

  /** Takes no more appends, waits for those under way, lets go of the directory. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#retention?.close();
    await this.#commit.close();
    await Promise.allSettled(this.#backups);
    await closeTables(this.#tables);
    await this.#lock.release();
  }
}
