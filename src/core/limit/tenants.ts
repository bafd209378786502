// The limits of each tenant: those of the server, but for what was said of the tenant alone.

import { type Limits, limitsWith } from "./limits.js";
import { type RateDifferences, ratesWith } from "./rates.js";

/** What may be said of one tenant. The rest holds for a session, a room or the whole server, whoever's it is. */
export type TenantDifferences = Partial<
  Pick<
    Limits,
    | "maxSessionsPerTenant"
    | "maxSessionsPerUser"
    | "maxRoomsPerTenant"
    | "maxMembersPerRoom"
    | "maxTextBytes"
    | "maxMetadataBytes"
    | "archiveAfterMs"
  >
> & { readonly rates?: RateDifferences };

export class TenantLimits {
  readonly #common: Limits;
  /** Only tenants of which something was said. */
  #own: ReadonlyMap<string, Limits>;
  #revision = 0;

  constructor(common: Limits, differences: ReadonlyMap<string, TenantDifferences> = new Map()) {
    this.#common = common;
    this.#own = this.#read(differences);
  }

  /** Rises with every `replace`: what was made of older limits is made anew. */
  get revision(): number {
    return this.#revision;
  }

  of(tenantId: string): Limits {
    return this.#own.size === 0 ? this.#common : (this.#own.get(tenantId) ?? this.#common);
  }

  /** Whether it is so for any tenant. */
  some(is: (limits: Limits) => boolean): boolean {
    return is(this.#common) || [...this.#own.values()].some(is);
  }

  /**
   * From now on this is what is said of tenants, and nothing else. Buckets begin full again; whatever is over a lower quota stays, and is
   * not added to. Throws RangeError, and changes nothing, for a limit that cannot be.
   */
  replace(differences: ReadonlyMap<string, TenantDifferences>): void {
    this.#own = this.#read(differences);
    this.#revision++;
  }

  #read(differences: ReadonlyMap<string, TenantDifferences>): ReadonlyMap<string, Limits> {
    const own = new Map<string, Limits>();
    for (const [tenantId, { rates = {}, ...quotas }] of differences) {
      own.set(tenantId, limitsWith({ ...quotas, rates: ratesWith(rates, this.#common.rates) }, this.#common));
    }
    return own;
  }
}
