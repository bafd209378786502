// The sessions that a tenant may have on all nodes together.
//
// A node asks for a place before it makes a session, and so says how many it has: of nodes that ask for the last place at the same moment one gets
// it. That somebody has gone the others hear SOON_MS later. A node that is gone keeps its places until its word is over; who comes back from it
// to another gets the place of the session that they had, as long as the directory knows that one. While counts cannot be told each node counts
// its own.

import type { Clock, Timer } from "../../ports/clock.js";
import type { TenantSessions } from "../../ports/tenant-sessions.js";
import { quotaRefusal } from "../limit/quota.js";
import type { TenantLimits } from "../limit/tenants.js";
import type { Telemetry } from "../telemetry.js";

/** From a session's end to saying so, in milliseconds: others may end with it. */
const SOON_MS = 20;
/** How often a node repeats what it has said, in milliseconds: well within the lease. */
const ROUND_MS = 2_000;

export interface TenantPlacesDependencies {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly tenants: Pick<TenantLimits, "of">;
  readonly tenantSessions: TenantSessions;
  /** How many live sessions of the tenant this node has. */
  readonly sessionsOf: (tenantId: string) => number;
}

export class TenantPlaces {
  readonly #deps: TenantPlacesDependencies;
  /** By tenant, places that were asked for by sessions that are not made yet. */
  readonly #asked = new Map<string, number>();
  /** By tenant, how many sessions were said to be here last, where that is not over. */
  readonly #said = new Map<string, number>();
  readonly #left = new Set<string>();
  #soon: Timer | undefined;
  #round: Timer | undefined;
  #failing = false;
  #stopped = false;

  constructor(deps: TenantPlacesDependencies) {
    this.#deps = deps;
  }

  /**
   * Asks for a place for one session more; `freed` others go for it. Resolves with what gives the place back, to be called once the session counts
   * by itself, or will not be. Rejects with LIMIT_EXCEEDED.
   */
  async claim(tenantId: string, freed: number): Promise<() => void> {
    const { telemetry, tenants, tenantSessions } = this.#deps;
    const limit = tenants.of(tenantId).maxSessionsPerTenant;
    if (limit === 0) return () => {};
    this.#asked.set(tenantId, (this.#asked.get(tenantId) ?? 0) + 1);
    let isHeld = true;
    const release = (): void => {
      if (!isHeld) return;
      isHeld = false;
      const asked = (this.#asked.get(tenantId) ?? 1) - 1;
      if (asked > 0) this.#asked.set(tenantId, asked);
      else this.#asked.delete(tenantId);
      // Perhaps it counts no more.
      this.left(tenantId);
    };
    const sessions = this.#sessions(tenantId);
    if (!this.#said.has(tenantId)) this.#said.set(tenantId, 0);
    this.#arm();
    let elsewhere: number;
    try {
      elsewhere = await tenantSessions.count({ tenantId, sessions, limit: limit + freed });
      this.#failing = false;
    } catch (cause) {
      this.#failed(cause);
      return release;
    }
    if (elsewhere + sessions <= limit + freed) {
      this.#said.set(tenantId, sessions);
      return release;
    }
    release();
    const message = "there would be too many sessions";
    const current = elsewhere + sessions - 1;
    throw quotaRefusal(telemetry, tenantId, "sessions_per_tenant", { message, limit, current });
  }

  /** A session has ended. */
  left(tenantId: string): void {
    if (this.#stopped || !this.#said.has(tenantId)) return;
    this.#left.add(tenantId);
    this.#soon ??= this.#deps.clock.after(SOON_MS, () => {
      this.#soon = undefined;
      const left = [...this.#left].filter((each) => this.#said.get(each) !== this.#sessions(each));
      this.#left.clear();
      void this.#say(left);
    });
  }

  /** The node has no sessions any more. */
  stop(): void {
    this.#stopped = true;
    this.#soon?.cancel();
    this.#round?.cancel();
    void this.#say([...this.#said.keys()]);
  }

  #arm(): void {
    if (this.#stopped || this.#said.size === 0) return;
    this.#round ??= this.#deps.clock.after(ROUND_MS, () => {
      void this.#say([...this.#said.keys()]).then(() => {
        this.#round = undefined;
        this.#arm();
      });
    });
  }

  /** Never rejects. */
  async #say(tenantIds: readonly string[]): Promise<void> {
    try {
      await Promise.all(
        tenantIds.map(async (tenantId) => {
          const sessions = this.#stopped ? 0 : this.#sessions(tenantId);
          await this.#deps.tenantSessions.count({ tenantId, sessions, limit: 0 });
          if (sessions === 0 && this.#sessions(tenantId) === 0) this.#said.delete(tenantId);
          else this.#said.set(tenantId, sessions);
        }),
      );
      this.#failing = false;
    } catch (cause) {
      if (!this.#stopped) this.#failed(cause);
    }
  }

  #sessions(tenantId: string): number {
    return this.#deps.sessionsOf(tenantId) + (this.#asked.get(tenantId) ?? 0);
  }

  /** Said once: what follows is the same. */
  #failed(cause: unknown): void {
    if (!this.#failing) this.#deps.telemetry.emit("fault", { where: "the sessions of tenants on other nodes", cause });
    this.#failing = true;
  }
}
