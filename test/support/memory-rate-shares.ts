// Shares of rates in memory, for cores of one test.

import type { Clock } from "../../src/ports/clock.js";
import { RATE_LEASE_MS, type RateReport, type RateShares } from "../../src/ports/rate-shares.js";

const WHOLE = 1_000;

interface Lease {
  readonly node: number;
  readonly demand: number;
  readonly share: number;
  readonly endsMs: number;
}

export class MemoryRateShares {
  readonly #clock: Clock;
  readonly #rates = new Map<string, readonly Lease[]>();
  #nodes = 0;
  /** Reports heard so far. */
  reports = 0;
  /** Set: nothing is heard. */
  away: Error | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  node(): RateShares {
    const node = ++this.#nodes;
    return { lease: async (reports) => reports.map((report) => this.#lease(node, report)) };
  }

  #lease(node: number, { name, demand }: RateReport): number {
    if (this.away !== undefined) throw this.away;
    this.reports++;
    const nowMs = this.#clock.monotonic();
    const others = (this.#rates.get(name) ?? []).filter((lease) => lease.node !== node && lease.endsMs > nowMs);
    const asked = others.reduce((sum, lease) => sum + lease.demand, demand);
    const left = others.reduce((rest, lease) => rest - lease.share, WHOLE);
    const share = demand === 0 ? 0 : Math.max(Math.min(Math.floor((WHOLE * demand) / asked), left), 0);
    const own = demand === 0 ? [] : [{ node, demand, share, endsMs: nowMs + RATE_LEASE_MS }];
    this.#rates.set(name, [...others, ...own]);
    return share;
  }
}
