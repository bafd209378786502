// Lets connections in: so many a second, and so many that have no session yet. Those beyond are held for a moment, because a browser
// cannot read what a refused handshake says: it only knows that it failed, and stays away for longer than its turn would have taken.

import type { Clock, Timer } from "../../ports/clock.js";
import type { Limits } from "../limit/limits.js";
import { TokenBucket } from "../limit/token-bucket.js";
import type { Admission } from "./port.js";

/**
 * How long a connection is held at most, in milliseconds. Clients look for another way where a WebSocket is not open after 5 s, and give
 * up where they are not welcome after 10 s: the verification of the token may still take its time.
 */
const LONGEST_WAIT_MS = 3_000;
/** How many are held at most. One costs a socket and next to nothing else. */
const MAX_HELD = 10_000;
/** When a connection that was not admitted may try again at the earliest, where the rate of new ones does not tell, in milliseconds. */
const RETRY_MS = 1_000;

const ADMITTED: Admission = { admitted: true };

interface Held {
  readonly untilMs: number;
  readonly answer: (admission: Admission) => void;
}

export class Entrance {
  readonly #clock: Clock;
  readonly #rate: TokenBucket;
  /** Whether one more connection may be without a session. */
  readonly #hasPlace: () => boolean;
  /** In the order they came in. */
  readonly #held = new Set<Held>();
  /** Until the first may come in by the rate, or has waited too long. There while any is held. */
  #timer: Timer | undefined;
  #letting = false;
  #closed = false;

  constructor(clock: Clock, { connectRate }: Pick<Limits, "connectRate">, hasPlace: () => boolean) {
    this.#clock = clock;
    this.#rate = new TokenBucket(connectRate, clock.monotonic());
    this.#hasPlace = hasPlace;
  }

  /** Now or not at all. Nobody passes those who are held. */
  admit(): Admission {
    if (this.#closed || this.#held.size > 0 || !this.#hasPlace()) return { admitted: false, retryAfterMs: RETRY_MS };
    const retryAfterMs = this.#rate.take(this.#clock.monotonic());
    return retryAfterMs > 0 ? { admitted: false, retryAfterMs } : ADMITTED;
  }

  /** See SessionPort.enter. */
  enter(answer: (admission: Admission) => void): () => void {
    const nowMs = this.#clock.monotonic();
    const isFree = this.#rate.waitMs(nowMs) === 0 && this.#held.size === 0 && this.#hasPlace();
    const turnInMs = this.#turnInMs();
    if (this.#closed) answer({ admitted: false, retryAfterMs: RETRY_MS });
    else if (isFree) {
      this.#rate.spend();
      answer(ADMITTED);
    } else if (this.#held.size >= MAX_HELD || turnInMs > LONGEST_WAIT_MS) {
      // Sent away, it comes when those that are held now are in.
      answer({ admitted: false, retryAfterMs: Math.max(RETRY_MS, turnInMs) });
    } else {
      const held = { untilMs: nowMs + LONGEST_WAIT_MS, answer };
      this.#held.add(held);
      if (this.#held.size === 1) this.#setTimer();
      return () => this.#giveUp(held);
    }
    return nothing;
  }

  /** A connection has a session, or is gone. */
  freed(): void {
    if (this.#held.size > 0) this.#letIn();
  }

  /** Admits nobody any more, and sends those that are held away. */
  close(): void {
    this.#closed = true;
    const all = [...this.#held];
    this.#held.clear();
    this.#setTimer();
    for (const { answer } of all) answer({ admitted: false, retryAfterMs: RETRY_MS });
  }

  #look(): void {
    this.#letIn();
    const nowMs = this.#clock.monotonic();
    for (const held of this.#held) {
      if (held.untilMs > nowMs) break;
      this.#held.delete(held);
      held.answer({ admitted: false, retryAfterMs: RETRY_MS });
    }
    this.#setTimer();
  }

  #letIn(): void {
    // One that comes in may go at once, and make room for the next.
    if (this.#letting) return;
    this.#letting = true;
    for (const held of this.#held) {
      if (!this.#hasPlace() || this.#rate.take(this.#clock.monotonic()) > 0) break;
      this.#held.delete(held);
      held.answer(ADMITTED);
    }
    this.#letting = false;
    this.#setTimer();
  }

  #giveUp(held: Held): void {
    // The others' timer may be early now: it looks again then.
    if (this.#held.delete(held) && this.#held.size === 0) this.#setTimer();
  }

  #setTimer(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const { value: first } = this.#held.values().next();
    if (first === undefined) return;
    const nowMs = this.#clock.monotonic();
    const leftMs = first.untilMs - nowMs;
    // Where there is no place, the first comes in when there is one again; the rate says nothing then.
    const inMs = this.#hasPlace() ? Math.min(leftMs, this.#rate.waitMs(nowMs)) : leftMs;
    this.#timer = this.#clock.after(inMs, () => this.#look());
  }

  /** In how many milliseconds one that comes now is let in by the rate, at the earliest. */
  #turnInMs(): number {
    const { perSecond } = this.#rate.rate;
    return perSecond === 0 ? 0 : (Math.max(0, this.#held.size + 1 - this.#rate.held) / perSecond) * 1_000;
  }
}

function nothing(): void {}
