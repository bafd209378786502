// The services that a node stands on, looked at now and then: whether each is there, since when, and why not.

import type { DependencyName, Telemetry } from "../core/telemetry.js";
import type { Clock, Timer } from "../ports/clock.js";
import { reasonOf } from "./dependency.js";

/** From the beginning of one look to that of the next, in milliseconds, unless that one takes longer. */
const INTERVAL_MS = 1_000;
/** A look without an answer has failed after so long, in milliseconds. */
const DEADLINE_MS = 2_500;
/** A service is away after so many looks that failed: one may be bad luck. */
const FAILURES = 2;

export interface DependencyState {
  readonly name: DependencyName;
  readonly away: boolean;
  /** Since when it is so, in milliseconds since 1970. */
  readonly since: number;
  /** Why it is away; empty: it is not. */
  readonly reason: string;
}

interface Watched {
  state: DependencyState;
  failures: number;
  timer: Timer | undefined;
}

export class Dependencies {
  readonly #clock: Clock;
  readonly #telemetry: Telemetry;
  readonly #watched = new Map<DependencyName, Watched>();
  #stopped = false;

  constructor(clock: Clock, telemetry: Telemetry) {
    this.#clock = clock;
    this.#telemetry = telemetry;
  }

  /** Looks after a service that is there now. `probe` rejects where it is not. */
  watch(name: DependencyName, probe: () => Promise<unknown>): void {
    const state = { name, away: false, since: this.#clock.now(), reason: "" };
    const watched: Watched = { state, failures: 0, timer: undefined };
    this.#watched.set(name, watched);
    this.#schedule(watched, probe, INTERVAL_MS);
  }

  get states(): readonly DependencyState[] {
    return [...this.#watched.values()].map(({ state }) => state);
  }

  isAway(name: DependencyName): boolean {
    return this.#watched.get(name)?.state.away === true;
  }

  stop(): void {
    this.#stopped = true;
    for (const { timer } of this.#watched.values()) timer?.cancel();
  }

  #schedule(watched: Watched, probe: () => Promise<unknown>, afterMs: number): void {
    if (this.#stopped) return;
    watched.timer = this.#clock.after(afterMs, () => {
      const beganMs = this.#clock.monotonic();
      this.#look(watched, probe).finally(() => {
        this.#schedule(watched, probe, Math.max(beganMs + INTERVAL_MS - this.#clock.monotonic(), 0));
      });
    });
  }

  /** Never rejects. */
  async #look(watched: Watched, probe: () => Promise<unknown>): Promise<void> {
    const late = Promise.withResolvers<never>();
    const timer = this.#clock.after(DEADLINE_MS, () => late.reject(new Error(`no answer within ${DEADLINE_MS} ms`)));
    try {
      await Promise.race([probe(), late.promise]);
      watched.failures = 0;
      this.#turn(watched, undefined);
    } catch (cause) {
      watched.failures += 1;
      if (watched.failures >= FAILURES) this.#turn(watched, { cause });
    } finally {
      timer.cancel();
    }
  }

  #turn(watched: Watched, fault: { readonly cause: unknown } | undefined): void {
    const away = fault !== undefined;
    const { name, away: was, since } = watched.state;
    const reason = away ? reasonOf(fault.cause) : "";
    watched.state = { name, away, since: was === away ? since : this.#clock.now(), reason };
    if (was === away || this.#stopped) return;
    this.#telemetry.emit("dependency.turned", { dependency: name, away, cause: fault?.cause });
  }
}
