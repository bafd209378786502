// Writers that all believe to own a shard, what each was told, and what the shard's history must then be.

import { expect } from "vitest";
import type { StoredRecord } from "../../../src/adapters/cluster/kafka/record-batch.js";
import type { EventLog, LogRecord } from "../../../src/ports/event-log.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { batchOf, eventChange } from "../../contract/samples.js";

/** One batch, as its writer saw it. */
interface Attempt {
  /** The events it was built on, from the first of the shard. */
  readonly after: readonly string[];
  readonly events: readonly string[];
  told: "durable" | "displaced" | "nothing";
}

/** An owner of a shard, or somebody who believes to be. */
export class Writer {
  readonly attempts: Attempt[] = [];
  readonly #log: EventLog;
  readonly #shard: number;
  readonly #name: string;
  #view: string[] = [];
  #end = -1;
  #events = 0;

  constructor(name: string, log: EventLog, shard: number) {
    this.#name = name;
    this.#log = log;
    this.#shard = shard;
  }

  /** Opens the shard, and knows all that is in it, unless that fails. Expects an archive that has nothing. */
  async open(): Promise<void> {
    this.#end = -1;
    try {
      const { end, tail } = await this.#log.open(this.#shard);
      this.#view = tail.map(nameOf);
      this.#end = end;
    } catch {
      // An owner tries again later.
    }
  }

  /** Appends so many events to what it knows; opens first where it has to, as an owner does. */
  async append(count: number): Promise<void> {
    if (this.#end < 0) await this.open();
    if (this.#end < 0) return;
    const room = roomRef("acme", this.#name);
    const seqs = Array.from({ length: count }, () => ++this.#events);
    const batch = batchOf({ events: seqs.map((seq) => eventChange(room, seq)) });
    const attempt: Attempt = { after: this.#view, events: batch.records.map(nameOf), told: "nothing" };
    this.attempts.push(attempt);
    const at = this.#end;
    this.#end = -1;
    try {
      const outcome = await this.#log.append(this.#shard, at, batch);
      attempt.told = outcome.status;
      if (outcome.status !== "durable") return;
      this.#end = outcome.end;
      this.#view = [...attempt.after, ...attempt.events];
    } catch {
      // It may be stored or not: opening tells.
    }
  }
}

function nameOf({ room, event }: Pick<LogRecord, "room" | "event">): string {
  return `${room.roomId}:${event.seq}`;
}

/** The shard as the log shows it, in pages of a few records. */
export async function historyOf(log: EventLog, shard: number, limit = 2): Promise<readonly string[]> {
  const names: string[] = [];
  for (let from = 0; ; ) {
    const records = await log.read(shard, from, limit);
    names.push(...records.map(nameOf));
    const last = records.at(-1);
    if (last === undefined || records.length < limit) return names;
    from = last.offset + 1;
  }
}

/** The events that count, by the rule that docs/cluster.md gives to readers. */
export function countedIn(stored: readonly StoredRecord[]): readonly string[] {
  return stored.flatMap(({ offset, key, headers }) => {
    const header = (wanted: string): number => Number(headers.find(({ name }) => name === wanted)?.value ?? Number.NaN);
    return header("at") + header("index") === offset ? [key ?? ""] : [];
  });
}

/** Each durable batch is in the history once, where its writer believed; no displaced one is; an unanswered one is whole or not at all. */
export function expectOneHistory(history: readonly string[], writers: readonly Writer[]): void {
  expect(new Set(history).size).toBe(history.length);
  const explained: string[] = [];
  for (const { after, events, told } of writers.flatMap(({ attempts }) => attempts)) {
    const stored = history.includes(events[0] ?? "");
    if (told !== "nothing") expect({ events, stored }).toEqual({ events, stored: told === "durable" });
    if (!stored) {
      expect(events.filter((event) => history.includes(event))).toEqual([]);
      continue;
    }
    expect(history.slice(0, after.length + events.length)).toEqual([...after, ...events]);
    explained.push(...events);
  }
  expect(explained.toSorted()).toEqual(history.toSorted());
}
