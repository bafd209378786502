// Looks, again and again, how far the archive is behind: by what the nodes say of themselves, and by the watermarks in MongoDB.

import { setTimeout as pause } from "node:timers/promises";
import { MongoClient } from "mongodb";
import { metricIn, metricsOf } from "../process/metrics.js";
import { cpuMicros } from "../process/proc.js";
import type { TrunklineTarget } from "../target.js";

export interface Look {
  /** Of the epoch, in milliseconds. */
  readonly at: number;
  /** For how long the oldest event that is not archived has waited. */
  readonly lagMs: number;
  readonly pendingEvents: number;
  readonly pendingBytes: number;
  /** By shard, up to where its log is archived. */
  readonly watermarks: ReadonlyMap<number, number>;
  /** CPU so far, in microseconds. */
  readonly nodesCpu: number;
  /** NaN: MongoDB's process is not known. */
  readonly mongoCpu: number;
}

export interface WatchOptions {
  readonly nodes: readonly TrunklineTarget[];
  /** Past whatever is between the nodes and MongoDB. */
  readonly mongoUrl: string;
  readonly mongoPid: number | undefined;
  readonly database: string;
}

const EVERY_MS = 200;
/** Most looks that are kept: ten minutes. */
const MOST = 3_000;

export class ArchiveWatch {
  readonly #options: WatchOptions;
  readonly #client: MongoClient;
  readonly #looks: Look[] = [];
  #stopped = false;
  #running: Promise<void> | undefined;
  #failure: unknown;

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#client = new MongoClient(options.mongoUrl);
  }

  get looks(): readonly Look[] {
    return this.#looks;
  }

  start(): void {
    this.#running = this.#run().catch((cause: unknown) => {
      this.#failure = cause;
    });
  }

  /** The first look from now on for which that is so. Rejects where there is none in time. */
  async until(what: string, deadlineMs: number, holds: (look: Look) => boolean): Promise<Look> {
    const from = this.#looks.length;
    const deadline = performance.now() + deadlineMs;
    for (;;) {
      const found = this.#looks.slice(from).find(holds);
      if (found !== undefined) return found;
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#stopped) throw new Error(`${what}: nobody looks any more`);
      if (performance.now() > deadline) throw new Error(`${what}: not within ${deadlineMs} ms`);
      await pause(EVERY_MS / 4);
    }
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
    await this.#client.close();
  }

  async #run(): Promise<void> {
    while (!this.#stopped && this.#looks.length < MOST) {
      const startedAt = performance.now();
      this.#looks.push(await this.#look());
      await pause(Math.max(0, EVERY_MS - (performance.now() - startedAt)));
    }
  }

  async #look(): Promise<Look> {
    const { nodes, mongoPid, database } = this.#options;
    const shards = this.#client.db(database).collection<{ readonly _id: number; readonly archived: number }>("shards");
    const [texts, rows] = await Promise.all([
      Promise.all(nodes.map(({ metricsPort }) => metricsOf(metricsPort))),
      shards.find().toArray(),
    ]);
    const each = (name: string) => texts.map((text) => metricIn(text, name));
    const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
    return {
      at: Date.now(),
      lagMs: Math.max(...each("trunkline_archive_lag_seconds")) * 1_000,
      pendingEvents: sum(each("trunkline_archive_pending_events")),
      pendingBytes: sum(each("trunkline_archive_pending_bytes")),
      watermarks: new Map(rows.map(({ _id, archived }) => [_id, archived])),
      nodesCpu: sum(nodes.map(({ pid }) => cpuMicros(pid))),
      mongoCpu: mongoPid === undefined ? Number.NaN : cpuMicros(mongoPid),
    };
  }
}

/** Records of the log that were archived between two looks. */
export function archivedBetween(from: Look, to: Look): number {
  let count = 0;
  for (const [shard, mark] of to.watermarks) count += mark - (from.watermarks.get(shard) ?? 0);
  return count;
}
