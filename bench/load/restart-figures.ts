// What clients live through while their server is restarted: who was away for how long, what came and what did not.

import { quantile } from "../stats.js";

export interface RestartOutcome {
  /** From the moment a client was told to go, or lost its connection, until it was live again. */
  readonly backP50Ms: number;
  readonly backP95Ms: number;
  readonly backMaxMs: number;
  readonly neverBack: number;
  /** Messages that were acknowledged from shortly before the restart until all were back. */
  readonly published: number;
  /** Messages whose sender never had an answer. */
  readonly unanswered: number;
  /** Deliveries of acknowledged messages that did not come to clients that are back. */
  readonly lost: number;
  readonly doubled: number;
  /** Connections tried within the worst second. */
  readonly connectsMostPerSecond: number;
  /** Clients told to go, or cut, within the worst 100 ms. */
  readonly leavesMostPer100Ms: number;
}

/** The most of these moments, in milliseconds, that lie within any window of `windowMs`. */
export function mostWithin(windowMs: number, moments: readonly number[]): number {
  const sorted = [...moments].sort((a, b) => a - b);
  let most = 0;
  let from = 0;
  for (const [at, moment] of sorted.entries()) {
    while ((sorted[from] ?? moment) <= moment - windowMs) from++;
    most = Math.max(most, at - from + 1);
  }
  return most;
}

/** Who is away since when, and for how long those were that are back. */
export class Absences {
  readonly #awaySince = new Map<number, number>();
  readonly #durations: number[] = [];
  readonly #left: number[] = [];
  readonly #tried: number[] = [];

  /** Once per absence: what comes later of the same one is not counted. */
  left(client: number, nowMs: number): void {
    if (this.#awaySince.has(client)) return;
    this.#awaySince.set(client, nowMs);
    this.#left.push(nowMs);
  }

  tried(nowMs: number): void {
    this.#tried.push(nowMs);
  }

  back(client: number, nowMs: number): void {
    const since = this.#awaySince.get(client);
    if (since === undefined) return;
    this.#awaySince.delete(client);
    this.#durations.push(nowMs - since);
  }

  /** How many have gone so far, whether or not they are back. */
  get gone(): number {
    return this.#left.length;
  }

  isAway(client: number): boolean {
    return this.#awaySince.has(client);
  }

  get away(): number {
    return this.#awaySince.size;
  }

  figures() {
    return {
      backP50Ms: quantile(this.#durations, 0.5),
      backP95Ms: quantile(this.#durations, 0.95),
      backMaxMs: quantile(this.#durations, 1),
      neverBack: this.#awaySince.size,
      connectsMostPerSecond: mostWithin(1_000, this.#tried),
      leavesMostPer100Ms: mostWithin(100, this.#left),
    };
  }
}

/** What each client has been told of its room, by seq. */
export class SeqLedger {
  readonly #next = new Map<number, number>();
  readonly #tops = new Map<number, number>();
  lost = 0;
  doubled = 0;

  /** The client begins behind this event. */
  begins(client: number, top: number): void {
    this.#next.set(client, top + 1);
  }

  told(client: number, seq: number): void {
    const next = this.#next.get(client) ?? 1;
    if (seq < next) {
      this.doubled++;
      return;
    }
    this.lost += seq - next;
    this.#next.set(client, seq + 1);
  }

  acknowledged(room: number, seq: number): void {
    this.#tops.set(room, Math.max(this.#tops.get(room) ?? 0, seq));
  }

  /** Deliveries that these clients still wait for. */
  outstanding(clients: Iterable<number>, roomOf: (client: number) => number): number {
    let missing = 0;
    for (const client of clients) {
      const reached = (this.#next.get(client) ?? 1) - 1;
      missing += Math.max(0, (this.#tops.get(roomOf(client)) ?? 0) - reached);
    }
    return missing;
  }
}
