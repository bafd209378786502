// What the owner remembers of a room's last changes, so that a repeat is recognised without asking the archive.
//
// All times are monotonic: a wall clock that is set makes nothing older or younger.

import type { Outcome } from "./command.js";

/** How long a caller may take to resend without `attempt` > 1: an id younger than this is either remembered or looked up. */
export const REMEMBER_MS = 10 * 60_000;
/** Bound per room, what is not durable yet aside: the archive does not know it. A busier room is looked up in the archive instead of remembered for the whole time. */
const MAX_REMEMBERED = 4_096;

interface Remembered {
  readonly outcome: Outcome;
  readonly atMs: number;
}

export class RecentChanges {
  readonly #changes = new Map<string, Remembered>();
  /** Everything accepted since then is remembered. */
  #completeSinceMs: number;

  constructor(monotonicMs: number) {
    this.#completeSinceMs = monotonicMs;
  }

  find(eventId: string): Outcome | undefined {
    return this.#changes.get(eventId)?.outcome;
  }

  /** Everything up to `durableSeq` can be looked up. */
  remember(outcome: Outcome, durableSeq: number, monotonicMs: number): void {
    this.#changes.set(outcome.eventId, { outcome, atMs: monotonicMs });
    // Maps iterate in order of insertion: the first is the oldest.
    for (const [eventId, oldest] of this.#changes) {
      if (this.#changes.size <= MAX_REMEMBERED || oldest.outcome.seq > durableSeq) return;
      this.#changes.delete(eventId);
      this.#completeSinceMs = Math.max(this.#completeSinceMs, oldest.atMs);
    }
  }

  /** Whether an id that is not found here cannot have happened within the last ten minutes. */
  isConclusive(monotonicMs: number): boolean {
    return monotonicMs - this.#completeSinceMs > REMEMBER_MS;
  }

  /** Drops what is too old to matter. */
  expire(monotonicMs: number): void {
    for (const [eventId, { atMs }] of this.#changes) {
      if (monotonicMs - atMs <= REMEMBER_MS) return;
      this.#changes.delete(eventId);
    }
  }
}
