// The buckets of one holder — a session, a user, a room, a tenant — by class of operation: made when they are first needed.

import type { OperationClass, Rate, Scope } from "./rates.js";
import type { TenantLimits } from "./tenants.js";
import { TokenBucket } from "./token-bucket.js";

export class Buckets {
  readonly #tenants: TenantLimits;
  readonly tenantId: string;
  readonly scope: Scope;
  #revision: number;
  /** There from the first one on: most sessions never ask. */
  #made: Partial<Record<OperationClass, TokenBucket>> | undefined;

  constructor(tenants: TenantLimits, tenantId: string, scope: Scope) {
    this.#tenants = tenants;
    this.tenantId = tenantId;
    this.scope = scope;
    this.#revision = tenants.revision;
  }

  /** The bucket of a class. Undefined: there is no limit. */
  of(name: OperationClass, monotonicMs: number): TokenBucket | undefined {
    if (this.#revision !== this.#tenants.revision) {
      this.#revision = this.#tenants.revision;
      this.#made = undefined;
    }
    const made = this.#made?.[name];
    if (made !== undefined) return made;
    const rate = this.#tenants.of(this.tenantId).rates[name][this.scope];
    if (rate.perSecond === 0) return undefined;
    const bucket = this.make(name, rate, monotonicMs);
    this.#made ??= {};
    this.#made[name] = bucket;
    return bucket;
  }

  /** A new bucket of a class. */
  protected make(_name: OperationClass, rate: Rate, monotonicMs: number): TokenBucket {
    return new TokenBucket(rate, monotonicMs);
  }

  /** Takes back what was taken of a class. */
  giveBack(name: OperationClass): void {
    this.#made?.[name]?.giveBack();
  }

  /** In how many milliseconds all of them are as full as new ones, if nothing is taken. */
  fullInMs(monotonicMs: number): number {
    let fullInMs = 0;
    for (const bucket of Object.values(this.#made ?? {})) fullInMs = Math.max(fullInMs, bucket.fullInMs(monotonicMs));
    return fullInMs;
  }
}
