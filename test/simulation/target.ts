// A target outside that takes every event: or does not, or takes it and its answer is lost. Knows what it has had, whatever the core does.

import type { EventBatch, EventSink } from "../../src/ports/event-sink.js";
import type { LogEntry } from "../support/memory-engine-state.js";
import { away, type Conditions } from "./ports.js";
import { Violation } from "./violation.js";

/** What of a room came. */
interface Had {
  /** By seq. */
  readonly tags: Map<number, number>;
  /** The last seq. */
  top: number;
  /** The last seq before a backup was restored: what came until then comes again in any order. */
  readonly before: number;
}

export class SimulatedTarget {
  readonly #conditions: Conditions;
  #rooms = new Map<string, Had>();
  /** Counts restored backups: who hands over from before one is dead, and what it sends is of no log any more. */
  #restored = 0;

  constructor(conditions: Conditions) {
    this.#conditions = conditions;
  }

  /** For a process that begins. */
  sink(): EventSink {
    const since = this.#restored;
    return { deliver: (batch) => this.#deliver(batch, since) };
  }

  async #deliver({ rooms }: EventBatch, since: number): Promise<void> {
    const { chance, weather, gates, coverage } = this.#conditions;
    if (chance.of(weather.readHeld)) await gates.hold();
    if (this.#restored !== since) throw away("the target");
    if (chance.of(weather.targetFails)) {
      coverage.count("batches not taken");
      throw away("the target");
    }
    for (const { room, events } of rooms) for (const { seq, tag } of events) this.#take(room.key, seq, tag);
    if (chance.of(weather.targetFails)) {
      coverage.count("batches taken without an answer");
      throw away("the target");
    }
  }

  #take(roomKey: string, seq: number, tag: number): void {
    const had = this.#rooms.get(roomKey) ?? { tags: new Map<number, number>(), top: 0, before: 0 };
    this.#rooms.set(roomKey, had);
    const known = had.tags.get(seq);
    if (known !== undefined && known !== tag) {
      throw new Violation("different", `${roomKey}: the target had ${seq} as ${known} and gets it as ${tag}`);
    }
    if (known === undefined && seq < had.top && seq > had.before) {
      throw new Violation("reordered", `${roomKey}: the target gets ${seq} first after ${had.top}`);
    }
    had.tags.set(seq, tag);
    had.top = Math.max(had.top, seq);
  }

  /** The log is that of an older backup: what came since may come otherwise. */
  restored(): void {
    this.#restored++;
    const forgotten = [...this.#rooms].map(([key, { top, before }]): [string, Had] => {
      return [key, { tags: new Map(), top: 0, before: Math.max(top, before) }];
    });
    this.#rooms = new Map(forgotten);
  }

  /** Everything is mended: it has had all of this. */
  requireAll(entries: readonly LogEntry[]): void {
    for (const { tenantId, roomId, event, purged } of entries) {
      if (event === undefined || purged === true) continue;
      const had = this.#rooms.get(`${tenantId}/${roomId}`)?.tags.get(event.seq);
      if (had !== event.tag) {
        throw new Violation("not healed", `${tenantId}/${roomId}: the target never got ${event.seq}`);
      }
    }
  }
}
