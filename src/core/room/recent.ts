// What the owner remembers of a room's last changes, so that a repeat is recognised without asking the archive.

import type { Outcome } from "./command.js";

/** How long a caller may take to resend without `attempt` > 1: an id younger than this is either remembered or looked up. */
export const REMEMBER_MS = 10 * 60_000;
/** Bound per room, what is not durable yet aside: the archive does not know it. A busier room is looked up in the archive instead of remembered for the whole time. */
const MAX_REMEMBERED = 4_096;

export class RecentChanges {
  readonly #outcomes = new Map<string, Outcome>();
  /** Everything accepted since then is remembered. */
  #completeSinceMs: number;

  constructor(nowMs: number) {
    this.#completeSinceMs = nowMs;
  }

  find(eventId: string): Outcome | undefined {
    return this.#outcomes.get(eventId);
  }

  /** Everything up to `durableSeq` can be looked up. */
  remember(outcome: Outcome, durableSeq: number): void {
    this.#outcomes.set(outcome.eventId, outcome);
    // Maps iterate in order of insertion: the first is the oldest.
    for (const [eventId, oldest] of this.#outcomes) {
      if (this.#outcomes.size <= MAX_REMEMBERED || oldest.seq > durableSeq) return;
      this.#outcomes.delete(eventId);
      this.#completeSinceMs = Math.max(this.#completeSinceMs, oldest.createdAtMs);
    }
  }

  /** Whether an id that is not found here cannot have happened within the last ten minutes. */
  isConclusive(nowMs: number): boolean {
    return nowMs - this.#completeSinceMs > REMEMBER_MS;
  }

  /** Drops what is too old to matter. */
  expire(nowMs: number): void {
    for (const [eventId, { createdAtMs }] of this.#outcomes) {
      if (nowMs - createdAtMs <= REMEMBER_MS) return;
      this.#outcomes.delete(eventId);
    }
  }
}
