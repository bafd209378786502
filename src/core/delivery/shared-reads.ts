// Reads of the log that several tails ask for at the same time are made once: those that are not behind ask for the same.

import type { EventLog, LogRecord } from "../../ports/event-log.js";

export class SharedReads implements Pick<EventLog, "era" | "read"> {
  readonly #log: EventLog;
  /** Those under way. */
  readonly #reads = new Map<string, Promise<readonly LogRecord[]>>();

  constructor(log: EventLog) {
    this.#log = log;
  }

  get era(): string {
    return this.#log.era;
  }

  /** As the log's; the records are others' too, and not to be changed. */
  read(shard: number, from: number, limit: number): Promise<readonly LogRecord[]> {
    const key = `${shard} ${from} ${limit}`;
    const known = this.#reads.get(key);
    if (known !== undefined) return known;
    const read = this.#log.read(shard, from, limit).finally(() => this.#reads.delete(key));
    this.#reads.set(key, read);
    return read;
  }
}
