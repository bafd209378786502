// Simulated time: it passes when the simulation says so, and what is due runs one by one.

import type { Clock, Timer } from "../../src/ports/clock.js";

/** The wall clock's reading at the beginning: any date will do, as long as it is the same each time. */
const BEGINNING_MS = 1_750_000_000_000;

interface Scheduled {
  readonly atMs: number;
  /** Of two that are due at the same time the one scheduled first runs first. */
  readonly order: number;
  readonly owner: SimulatedClock;
  readonly action: () => void;
}

export class SimulatedTime {
  #nowMs = 0;
  #order = 0;
  /** By due time, the next one last. */
  readonly #scheduled: Scheduled[] = [];

  get nowMs(): number {
    return this.#nowMs;
  }

  get wallMs(): number {
    // Whole milliseconds, as the system's clock tells them.
    return BEGINNING_MS + Math.floor(this.#nowMs);
  }

  /** A clock of its own for each process and for the clients: what dies takes its timers along. */
  clock(): SimulatedClock {
    return new SimulatedClock(this);
  }

  /** Goes on to the next timer due by `untilMs` and runs it; without one, goes on to `untilMs` and returns false. */
  step(untilMs: number): boolean {
    // What a paused process has due waits until it goes on.
    const at = this.#scheduled.findLastIndex(({ owner }) => !owner.paused);
    const next = this.#scheduled[at];
    if (next === undefined || next.atMs > untilMs) {
      this.#nowMs = Math.max(this.#nowMs, untilMs);
      return false;
    }
    this.#scheduled.splice(at, 1);
    this.#nowMs = Math.max(this.#nowMs, next.atMs);
    next.action();
    return true;
  }

  schedule(owner: SimulatedClock, delayMs: number, action: () => void): Timer {
    const entry: Scheduled = { atMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order++, owner, action };
    let low = 0;
    let high = this.#scheduled.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#scheduled[middle]?.atMs ?? 0) > entry.atMs) low = middle + 1;
      else high = middle;
    }
    this.#scheduled.splice(low, 0, entry);
    return { cancel: () => this.#remove((other) => other === entry) };
  }

  pending(owner: SimulatedClock): number {
    return this.#scheduled.filter((entry) => entry.owner === owner).length;
  }

  end(owner: SimulatedClock): void {
    this.#remove((entry) => entry.owner === owner);
  }

  #remove(condition: (entry: Scheduled) => boolean): void {
    for (let i = this.#scheduled.length - 1; i >= 0; i--) {
      const entry = this.#scheduled[i];
      if (entry !== undefined && condition(entry)) this.#scheduled.splice(i, 1);
    }
  }
}

export class SimulatedClock implements Clock {
  /** While true, nothing that is due runs: time passes all the same, and who is called is late. */
  paused = false;
  readonly #time: SimulatedTime;
  #soon: (() => void)[] = [];
  #ended = false;

  constructor(time: SimulatedTime) {
    this.#time = time;
  }

  now(): number {
    return this.#time.wallMs;
  }

  monotonic(): number {
    return this.#time.nowMs;
  }

  after(delayMs: number, action: () => void): Timer {
    return this.#ended ? { cancel: () => {} } : this.#time.schedule(this, delayMs, action);
  }

  soon(action: () => void): void {
    if (!this.#ended) this.#soon.push(action);
  }

  /** Runs what is due soon. Returns whether there was anything. */
  runSoon(): boolean {
    if (this.paused) return false;
    const actions = this.#soon;
    this.#soon = [];
    for (const action of actions) action();
    return actions.length > 0;
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#time.pending(this);
  }

  /** The process has died. */
  end(): void {
    this.#ended = true;
    this.#soon = [];
    this.#time.end(this);
  }
}
