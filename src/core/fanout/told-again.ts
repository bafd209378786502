// Says again, where announcements can be lost, how far rooms have come that were spoken in lately: a lost last event leaves no hole behind
// it, and nobody would look for it.

import type { Timer } from "../../ports/clock.js";
import type { NewRecord } from "../../ports/event-log.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";

const INTERVAL_MS = 2_000;
/** How often a room's top is on its way after its last event: each may be lost. */
const TIMES = 3;

interface Told {
  readonly ref: RoomRef;
  seq: number;
  times: number;
}

export class ToldAgain {
  readonly #deps: Pick<CoreDependencies, "fanout" | "clock">;
  readonly #rooms = new Map<string, Told>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: Pick<CoreDependencies, "fanout" | "clock">) {
    this.#deps = deps;
  }

  /** Events have been announced by this node, as their rooms' owner. */
  appended(records: readonly NewRecord[]): void {
    if (!this.#deps.fanout.lossy || this.#stopped) return;
    for (const { room, event } of records) this.#note(room, event.seq);
    this.#arm();
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#rooms.clear();
  }

  #note(ref: RoomRef, seq: number): void {
    const told = this.#rooms.get(ref.key);
    if (told === undefined) this.#rooms.set(ref.key, { ref, seq, times: 0 });
    else {
      told.seq = Math.max(told.seq, seq);
      told.times = 0;
    }
  }

  #arm(): void {
    if (this.#rooms.size === 0) return;
    this.#timer ??= this.#deps.clock.after(INTERVAL_MS, () => {
      this.#timer = undefined;
      for (const told of this.#rooms.values()) {
        const taken = this.#deps.fanout.top(told.ref, told.seq);
        if (isPromise(taken)) void taken.then((was) => this.#told(told, was));
        else this.#told(told, taken);
      }
      this.#arm();
    });
  }

  /** What could not be said is said until it can: nobody is told of a gap where only the speaker is cut off. */
  #told(told: Told, taken: boolean): void {
    if (taken && ++told.times >= TIMES && this.#rooms.get(told.ref.key) === told) this.#rooms.delete(told.ref.key);
  }
}
