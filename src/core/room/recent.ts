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
  readonly #sinceMs: number;
  /** Everything accepted since then is remembered. */
  #completeSinceMs: number;
  /** When the last of those that were forgotten was accepted: it was too much to remember. */
  #forgottenMs = Number.NEGATIVE_INFINITY;
  /** Ids of before, which the archive tells more of. */
  #stored: ReadonlySet<string> = NOTHING;
  #learned = false;
  /** Settles once the ids of before have been asked for. */
  learning: Promise<void> | undefined;

  constructor(monotonicMs: number) {
    this.#sinceMs = monotonicMs;
    this.#completeSinceMs = monotonicMs;
  }

  /** Whether the ids of before have been asked for: nobody need ask again. */
  get learned(): boolean {
    return this.#learned;
  }

  /** The ids of all changes from before that are young enough to matter; undefined: they are too many. */
  learn(stored: ReadonlySet<string> | undefined): void {
    this.#learned = true;
    if (stored === undefined) return;
    // Unless what was accepted since has been too much to remember.
    if (this.#completeSinceMs !== this.#sinceMs) return;
    this.#stored = stored;
    this.#completeSinceMs = Number.NEGATIVE_INFINITY;
  }

  /** Whether a change of before has this id, as far as is known. */
  isStored(eventId: string): boolean {
    return this.#stored.has(eventId);
  }

  /** Whether the id of a change tells whether it was made before. */
  get knowsStored(): boolean {
    return this.#stored.size > 0;
  }

  /** What came of it, without the room and the members as they were. */
  find(eventId: string): Outcome | undefined {
    return this.#changes.get(eventId)?.outcome;
  }

  /** Everything up to `durableSeq` can be looked up. */
  remember(outcome: Outcome, durableSeq: number, monotonicMs: number): void {
    // What the room was then is not told again.
    const kept = outcome.room === undefined ? outcome : { ...outcome, room: undefined, members: NOBODY };
    this.#changes.set(outcome.eventId, { outcome: kept, atMs: monotonicMs });
    // Maps iterate in order of insertion: the first is the oldest.
    for (const [eventId, oldest] of this.#changes) {
      if (this.#changes.size <= MAX_REMEMBERED || oldest.outcome.seq > durableSeq) return;
      this.#changes.delete(eventId);
      this.#completeSinceMs = Math.max(this.#completeSinceMs, oldest.atMs);
      this.#forgottenMs = oldest.atMs;
    }
  }

  /** Whether an id that is not found here cannot have happened within the last ten minutes. */
  isConclusive(monotonicMs: number): boolean {
    return monotonicMs - this.#completeSinceMs > REMEMBER_MS;
  }

  /** Whether something that was accepted since then has been forgotten: what was looked up then does not tell of it. */
  hasForgotten(sinceMs: number): boolean {
    return this.#forgottenMs >= sinceMs;
  }

  /** Drops what is too old to matter. */
  expire(monotonicMs: number): void {
    if (monotonicMs - this.#sinceMs > REMEMBER_MS) this.#stored = NOTHING;
    for (const [eventId, { atMs }] of this.#changes) {
      if (monotonicMs - atMs <= REMEMBER_MS) return;
      this.#changes.delete(eventId);
    }
  }
}

const NOTHING: ReadonlySet<string> = new Set();
const NOBODY: Outcome["members"] = [];
