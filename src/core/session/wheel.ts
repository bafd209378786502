// One coarse timer for all sessions: heartbeats, deadlines and token ends need no timer of their own.

import type { Clock, Timer } from "../../ports/clock.js";

const SLOT_MS = 500;
const SLOTS = 64;

/** What the wheel calls. */
export interface Timed {
  /** Returns in how many milliseconds to be called again; 0: never. */
  tick(monotonicMs: number): number;
  /** Set by the wheel: the slot it is in, -1: none. */
  slot: number;
}

export class TimerWheel {
  readonly #clock: Clock;
  readonly #slots: Set<Timed>[] = Array.from({ length: SLOTS }, () => new Set());
  #at = 0;
  /** When the next slot's time has come. */
  #nextMs: number;
  #timer: Timer | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#nextMs = clock.monotonic() + SLOT_MS;
  }

  start(): void {
    this.#nextMs = this.#clock.monotonic() + SLOT_MS;
    this.#arm();
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /**
   * Calls `timed.tick` in `delayMs` or up to half a second later, in 31 s at the latest; replaces an earlier request. After a
   * standstill of the process of many seconds it may be called early.
   */
  schedule(timed: Timed, delayMs: number): void {
    this.remove(timed);
    // Counted from the slot that was last, not from now: between two slots, or when they are late, that lies in the past.
    const sinceSlotMs = this.#clock.monotonic() - (this.#nextMs - SLOT_MS);
    const slots = Math.min(Math.max(Math.ceil((sinceSlotMs + delayMs) / SLOT_MS), 1), SLOTS - 1);
    timed.slot = (this.#at + slots) % SLOTS;
    this.#slots[timed.slot]?.add(timed);
  }

  remove(timed: Timed): void {
    if (timed.slot < 0) return;
    this.#slots[timed.slot]?.delete(timed);
    timed.slot = -1;
  }

  #arm(): void {
    this.#timer = this.#clock.after(Math.max(this.#nextMs - this.#clock.monotonic(), 1), () => this.#turn());
  }

  #turn(): void {
    const nowMs = this.#clock.monotonic();
    // A process that was stopped for long passes every slot once; more would change nothing.
    this.#nextMs = Math.max(this.#nextMs, nowMs - (SLOTS - 1) * SLOT_MS);
    while (this.#nextMs <= nowMs) {
      this.#nextMs += SLOT_MS;
      this.#at = (this.#at + 1) % SLOTS;
      for (const timed of [...(this.#slots[this.#at] ?? [])]) {
        // Removed or moved by one that was called before it.
        if (timed.slot !== this.#at) continue;
        this.remove(timed);
        const againMs = timed.tick(nowMs);
        if (againMs > 0) this.schedule(timed, againMs);
      }
    }
    this.#arm();
  }
}
