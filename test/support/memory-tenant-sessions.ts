// How many sessions tenants have on which nodes, in memory, for cores of one test.

import type { Clock } from "../../src/ports/clock.js";
import {
  TENANT_SESSIONS_LEASE_MS,
  type TenantSessions,
  type TenantSessionsReport,
} from "../../src/ports/tenant-sessions.js";

interface Said {
  readonly node: number;
  readonly sessions: number;
  readonly endsMs: number;
}

export class MemoryTenantSessions {
  readonly #clock: Clock;
  readonly #tenants = new Map<string, readonly Said[]>();
  #nodes = 0;
  /** Reports heard so far. */
  reports = 0;
  /** Set: nothing is heard. */
  away: Error | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  node(): TenantSessions {
    const node = ++this.#nodes;
    return { count: async (report) => this.#count(node, report) };
  }

  #count(node: number, { tenantId, sessions, limit }: TenantSessionsReport): number {
    if (this.away !== undefined) throw this.away;
    this.reports++;
    const nowMs = this.#clock.monotonic();
    const live = (this.#tenants.get(tenantId) ?? []).filter(({ endsMs }) => endsMs > nowMs);
    const others = live.filter((said) => said.node !== node);
    const elsewhere = others.reduce((sum, said) => sum + said.sessions, 0);
    if (limit > 0 && sessions > 0 && elsewhere + sessions > limit) return elsewhere;
    const own = sessions === 0 ? [] : [{ node, sessions, endsMs: nowMs + TENANT_SESSIONS_LEASE_MS }];
    this.#tenants.set(tenantId, [...others, ...own]);
    return elsewhere;
  }
}
