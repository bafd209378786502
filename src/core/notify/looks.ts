// Looks at users that are due later: in memory alone, because what they are about is read again after a restart.

import type { Clock, Timer } from "../../ports/clock.js";
import type { RoomRef } from "../../ports/room-ref.js";

/** Looks that wait, at most: with so many, `full` asks whoever adds to wait. Up to 300 bytes each. */
const MOST = 100_000;
/** Looks that are due within so many milliseconds are made together. */
const TICK_MS = 500;
/** Looks that are made at once: what they write goes to the store together. */
const AT_ONCE = 100;

/** Somebody may have to be told of messages of a room. */
export interface Look {
  readonly room: RoomRef;
  readonly userId: string;
  /** The first message that they may have to be told of. */
  readonly seq: number;
  readonly messageIndex: number;
  /** The last one. */
  lastSeq: number;
  /** When that one was accepted, in milliseconds since 1970. */
  lastAtMs: number;
}

export class Looks {
  readonly #clock: Clock;
  readonly #look: (look: Look) => Promise<void>;
  readonly #waiting = new Map<string, Look>();
  /** By tick, rising but for what is added late. */
  readonly #ticks = new Map<number, Look[]>();
  #timer: Timer | undefined;
  #timerTick = 0;
  #looking = false;
  #stopped = false;

  /** `look` must not reject. It may add the look again. */
  constructor(clock: Clock, look: (look: Look) => Promise<void>) {
    this.#clock = clock;
    this.#look = look;
  }

  get full(): boolean {
    return this.#waiting.size >= MOST;
  }

  /** Whether there is place for those that can do without. */
  get crowded(): boolean {
    return this.#waiting.size >= MOST / 2;
  }

  /** After so many milliseconds. What waits for the same user and room already covers both then. */
  add(look: Look, waitMs: number): void {
    if (this.#stopped) return;
    const key = `${look.userId}/${look.room.key}`;
    const known = this.#waiting.get(key);
    if (known !== undefined) {
      known.lastSeq = Math.max(known.lastSeq, look.lastSeq);
      known.lastAtMs = Math.max(known.lastAtMs, look.lastAtMs);
      return;
    }
    this.#waiting.set(key, look);
    const tick = Math.ceil((this.#clock.monotonic() + waitMs) / TICK_MS);
    const due = this.#ticks.get(tick);
    if (due === undefined) this.#ticks.set(tick, [look]);
    else due.push(look);
    this.#arm();
  }

  /** Forgets those of rooms that are another node's now. */
  forget(isGone: (room: RoomRef) => boolean): void {
    for (const [key, { room }] of this.#waiting) if (isGone(room)) this.#waiting.delete(key);
    for (const [tick, due] of this.#ticks) {
      const left = due.filter(({ room }) => !isGone(room));
      if (left.length === 0) this.#ticks.delete(tick);
      else this.#ticks.set(tick, left);
    }
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#waiting.clear();
    this.#ticks.clear();
  }

  #arm(): void {
    if (this.#looking || this.#stopped || this.#ticks.size === 0) return;
    const next = Math.min(...this.#ticks.keys());
    if (this.#timer !== undefined && this.#timerTick <= next) return;
    this.#timer?.cancel();
    this.#timerTick = next;
    this.#timer = this.#clock.after(Math.max(next * TICK_MS - this.#clock.monotonic(), 0), () => {
      this.#timer = undefined;
      this.#looking = true;
      this.#lookAll().finally(() => {
        this.#looking = false;
        this.#arm();
      });
    });
  }

  async #lookAll(): Promise<void> {
    const now = this.#clock.monotonic() / TICK_MS;
    for (const tick of [...this.#ticks.keys()].filter((each) => each <= now)) {
      const due = this.#ticks.get(tick) ?? [];
      this.#ticks.delete(tick);
      for (let from = 0; from < due.length && !this.#stopped; from += AT_ONCE) {
        const some = due.slice(from, from + AT_ONCE);
        for (const { userId, room } of some) this.#waiting.delete(`${userId}/${room.key}`);
        await Promise.all(some.map((look) => this.#look(look)));
      }
    }
  }
}
