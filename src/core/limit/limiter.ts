// Who may ask how often. One pass over the buckets that an operation concerns: it takes a token of each, or none of any.

import type { Clock, Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { RateShares } from "../../ports/rate-shares.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { Telemetry } from "../telemetry.js";
import { Buckets } from "./buckets.js";
import type { OperationClass, Rate, Scope } from "./rates.js";
import { type Limited, rateLimited } from "./refusal.js";
import { SharedBuckets } from "./shared-buckets.js";
import type { TenantLimits } from "./tenants.js";
import type { TokenBucket } from "./token-bucket.js";

/** How often those that no session keeps are looked through, in milliseconds. A full bucket is as good as none. */
const FORGET_MS = 10_000;

/** What a user or a tenant may still ask, over all their sessions and calls. */
export class Allowance extends Buckets {
  /** Empty: the tenant's own. */
  readonly userId: string;
  /** Sessions that keep it. */
  holders = 0;
  /** Undefined: no other node serves them. */
  readonly #shared: SharedBuckets | undefined;

  constructor(tenants: TenantLimits, tenantId: string, userId: string, shared: SharedBuckets | undefined) {
    super(tenants, tenantId, userId === "" ? "tenant" : "user");
    this.userId = userId;
    this.#shared = shared;
  }

  protected override make(name: OperationClass, rate: Rate, monotonicMs: number): TokenBucket {
    const key = this.userId === "" ? this.tenantId : `${this.tenantId}/${this.userId}`;
    return this.#shared?.bucket(`${name}:${key}`, rate, monotonicMs) ?? super.make(name, rate, monotonicMs);
  }
}

/** Whose buckets an operation takes from. */
export interface Payer {
  /** Absent: a call without a session. */
  readonly session: Buckets | undefined;
  readonly user: Allowance;
  readonly tenant: Allowance;
}

/** Has buckets of its own from the first question on: most sessions only listen. */
class SessionPayer implements Payer {
  readonly user: Allowance;
  readonly tenant: Allowance;
  readonly #tenants: TenantLimits;
  #session: Buckets | undefined;

  constructor(tenants: TenantLimits, user: Allowance, tenant: Allowance) {
    this.#tenants = tenants;
    this.user = user;
    this.tenant = tenant;
  }

  get session(): Buckets {
    this.#session ??= new Buckets(this.#tenants, this.user.tenantId, "session");
    return this.#session;
  }
}

export interface LimiterDependencies {
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly tenants: TenantLimits;
  /** Undefined: this node alone serves everybody. */
  readonly cluster?: { readonly rateShares?: RateShares | undefined } | undefined;
}

export class Limiter {
  readonly #deps: LimiterDependencies;
  readonly #shared: SharedBuckets | undefined;
  /** By tenant and user. */
  readonly #known = new Map<string, Map<string, Allowance>>();
  /** Those that no session keeps: forgotten once they are full. */
  readonly #idle = new Set<Allowance>();
  /** Set while there are any. */
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: LimiterDependencies) {
    this.#deps = deps;
    const { clock, telemetry, cluster } = deps;
    const rateShares = cluster?.rateShares;
    this.#shared = rateShares && new SharedBuckets({ clock, telemetry, rateShares });
  }

  /** How many users and tenants are remembered. */
  get size(): number {
    let size = 0;
    for (const ofTenant of this.#known.values()) size += ofTenant.size;
    return size;
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    this.#shared?.stop();
  }

  /** Who pays for a call without a session. */
  caller({ tenantId, userId }: Identity): Payer {
    return {
      session: undefined,
      user: this.#allowance(tenantId, userId),
      tenant: this.#allowance(tenantId, ""),
    };
  }

  /** Who pays for a session. Kept until `close`. */
  open(identity: Identity): Payer {
    const { user, tenant } = this.caller(identity);
    for (const each of [user, tenant]) {
      each.holders++;
      this.#idle.delete(each);
    }
    return new SessionPayer(this.#deps.tenants, user, tenant);
  }

  /** The session has ended. What it has taken is not forgotten at once, or whoever comes back would begin with a full burst each time. */
  close({ user, tenant }: Payer): void {
    for (const each of [user, tenant]) {
      each.holders--;
      if (each.holders === 0) this.#idles(each);
    }
  }

  /** Takes a token of each of the payer's buckets. Throws RATE_LIMITED, and has taken none, unless each has one. */
  spend({ session, user, tenant }: Payer, of: OperationClass): void {
    const nowMs = this.#deps.clock.monotonic();
    const ofSession = session?.of(of, nowMs);
    const ofUser = user.of(of, nowMs);
    const ofTenant = tenant.of(of, nowMs);
    // The one that takes longest is the one to wait for.
    let scope: Scope = "session";
    let waitMs = ofSession?.waitMs(nowMs) ?? 0;
    const userMs = ofUser?.waitMs(nowMs) ?? 0;
    if (userMs > waitMs) [scope, waitMs] = ["user", userMs];
    const tenantMs = ofTenant?.waitMs(nowMs) ?? 0;
    if (tenantMs > waitMs) [scope, waitMs] = ["tenant", tenantMs];
    if (waitMs > 0) throw this.refusal(scope, of, waitMs);
    ofSession?.spend();
    ofUser?.spend();
    ofTenant?.spend();
  }

  /** Does what costs a token of each. Rejects with RATE_LIMITED; where that came of a room's own bucket, the others have taken nothing. */
  async run<T>(payer: Payer, of: OperationClass, work: () => Promise<T>): Promise<T> {
    this.spend(payer, of);
    try {
      return await work();
    } catch (error) {
      if (error instanceof TrunklineError) this.refused(payer, of, error);
      throw error;
    }
  }

  /** An operation that was paid for has been refused: what a room limits costs nobody else. */
  refused(payer: Payer, of: OperationClass, { code }: TrunklineError): void {
    if (code === ErrorCode.RATE_LIMITED) this.#giveBack(payer, of);
  }

  #giveBack({ session, user, tenant }: Payer, of: OperationClass): void {
    session?.giveBack(of);
    user.giveBack(of);
    tenant.giveBack(of);
  }

  /** The refusal, told to whoever watches the node. */
  refusal(scope: Scope, of: Limited, waitMs: number): TrunklineError {
    this.#deps.telemetry.emit("limit.refused", { scope, operation: of });
    return rateLimited(scope, of, waitMs);
  }

  #allowance(tenantId: string, userId: string): Allowance {
    const ofTenant = this.#known.get(tenantId) ?? new Map<string, Allowance>();
    const known = ofTenant.get(userId);
    if (known !== undefined) return known;
    const made = new Allowance(this.#deps.tenants, tenantId, userId, this.#shared);
    this.#known.set(tenantId, ofTenant.set(userId, made));
    this.#idles(made);
    return made;
  }

  #idles(allowance: Allowance): void {
    this.#idle.add(allowance);
    this.#arm();
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = this.#deps.clock.after(FORGET_MS, () => {
      this.#timer = undefined;
      const nowMs = this.#deps.clock.monotonic();
      for (const each of this.#idle) {
        if (each.fullInMs(nowMs) > 0) continue;
        this.#idle.delete(each);
        this.#forget(each);
      }
      if (this.#idle.size > 0) this.#arm();
    });
  }

  #forget({ tenantId, userId }: Allowance): void {
    const ofTenant = this.#known.get(tenantId);
    ofTenant?.delete(userId);
    if (ofTenant?.size === 0) this.#known.delete(tenantId);
  }
}
