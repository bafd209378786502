// One pass over the buckets of a session, a user and a tenant: a token of each, or of none.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Limiter, type Payer } from "../../../src/core/limit/limiter.js";
import { DEFAULT_LIMITS, limitsWith } from "../../../src/core/limit/limits.js";
import { NO_LIMIT, type Rate, ratesWith } from "../../../src/core/limit/rates.js";
import { TenantLimits } from "../../../src/core/limit/tenants.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { identity } from "../use-core.js";

const SCOPES = ["session", "user", "tenant"] as const;
type Rates = { readonly [S in (typeof SCOPES)[number]]: Rate };

const rate = fc.oneof(
  fc.constant(NO_LIMIT),
  fc.record({ perSecond: fc.integer({ min: 1, max: 3_000 }), burst: fc.integer({ min: 1, max: 20 }) }),
);
const rates = fc.record({ session: rate, user: rate, tenant: rate });
/** Waits between attempts, in milliseconds, many at the same moment; and whose attempt it is. */
const attempts = fc.array(
  fc.record({ waitMs: fc.oneof(fc.constant(0), fc.double({ min: 0, max: 500, noNaN: true })), by: fc.nat(3) }),
  { maxLength: 150 },
);

function useLimiter(of: Rates, tenantId = "acme") {
  const clock = new StoppedClock();
  const limits = limitsWith({ rates: ratesWith({ publish: of }) });
  const tenants = new TenantLimits(limits);
  const limiter = new Limiter({ clock, telemetry: new Telemetry(), tenants });
  const open = (userId: string): Payer => limiter.open(identity(userId, { tenantId }));
  return { clock, tenants, limiter, open };
}

/** Undefined: it was granted. */
function attempt(limiter: Limiter, payer: Payer): TrunklineError | undefined {
  try {
    limiter.spend(payer, "publish");
    return undefined;
  } catch (error) {
    return TrunklineError.from(error);
  }
}

describe("a refusal", () => {
  it("says to the millisecond when the same is granted to whoever is alone", () => {
    fc.assert(
      fc.property(rates, attempts, (of, story) => {
        const { clock, limiter, open } = useLimiter(of);
        const payers = ["anna", "anna", "bert", "carl"].map(open);
        for (const { waitMs, by } of story) {
          clock.advance(waitMs);
          const payer = payers[by] ?? open("anna");
          const refusal = attempt(limiter, payer);
          if (refusal === undefined) continue;
          const toldMs = refusal.retryAfterMs ?? 0;
          expect(toldMs).toBeGreaterThan(0);
          clock.advance(toldMs - 1);
          expect(attempt(limiter, payer)?.retryAfterMs).toBe(1);
          clock.advance(1);
          expect(attempt(limiter, payer)).toBeUndefined();
        }
      }),
    );
  });

  it("names the bucket that takes longest to have a token", () => {
    const slow = { perSecond: 1, burst: 1 };
    const fast = { perSecond: 10, burst: 1 };
    for (const scope of SCOPES) {
      const { limiter, open } = useLimiter({ session: fast, user: fast, tenant: fast, [scope]: slow });
      const payer = open("anna");
      expect(attempt(limiter, payer)).toBeUndefined();
      expect(attempt(limiter, payer)).toMatchObject({
        code: ErrorCode.RATE_LIMITED,
        retryAfterMs: 1_000,
        details: { bucket: `${scope}.publish` },
      });
    }
  });

  it("takes from no bucket: each grants just as often as if what was refused had never been asked", () => {
    fc.assert(
      fc.property(rates, attempts, (of, story) => {
        const asked = useLimiter(of);
        const granted = useLimiter(of);
        const payers = (of: ReturnType<typeof useLimiter>) => ["anna", "anna", "bert", "carl"].map(of.open);
        const [askers, grantees] = [payers(asked), payers(granted)];
        for (const { waitMs, by } of story) {
          asked.clock.advance(waitMs);
          granted.clock.advance(waitMs);
          const [asker, grantee] = [askers[by], grantees[by]];
          if (asker === undefined || grantee === undefined) continue;
          // The other one is only asked for what is granted.
          if (attempt(asked.limiter, asker) === undefined) expect(attempt(granted.limiter, grantee)).toBeUndefined();
        }
        // At the end both refuse and grant alike.
        for (const [index, asker] of askers.entries()) {
          const grantee = grantees[index];
          if (grantee === undefined) continue;
          expect(attempt(asked.limiter, asker)?.retryAfterMs).toBe(attempt(granted.limiter, grantee)?.retryAfterMs);
        }
      }),
    );
  });

  it("of a room gives back what was taken of the others, and any other refusal does not", async () => {
    const one = { perSecond: 1, burst: 1 };
    const { limiter, open } = useLimiter({ session: one, user: one, tenant: one });
    const payer = open("anna");
    const run = (code: ErrorCode) =>
      limiter.run(payer, "publish", () => Promise.reject(new TrunklineError(code, "no")));
    await expect(run(ErrorCode.RATE_LIMITED)).rejects.toThrow("no");
    await expect(run(ErrorCode.NOT_FOUND)).rejects.toThrow("no");
    expect(attempt(limiter, payer)?.retryAfterMs).toBe(1_000);
  });
});

describe("what is remembered", () => {
  const slow = { perSecond: 1, burst: 40 };

  it("is forgotten once it is as good as new, and not while a session keeps it", () => {
    const { clock, limiter, open } = useLimiter({ session: NO_LIMIT, user: slow, tenant: slow });
    const payer = open("anna");
    for (let count = 0; count < 30; count++) attempt(limiter, payer);
    for (let user = 0; user < 100; user++) attempt(limiter, limiter.caller(identity(`u${user}`)));
    expect(limiter.size).toBe(102);
    clock.advance(20_000);
    expect(limiter.size).toBe(2);
    limiter.close(payer);
    clock.advance(10_000);
    // The tenant has paid for others too.
    expect(limiter.size).toBe(1);
    clock.advance(60_000);
    expect([limiter.size, clock.pending]).toEqual([0, 0]);
  });

  it("is not forgotten while it would give more than the rate", () => {
    const { clock, limiter, open } = useLimiter({ session: NO_LIMIT, user: slow, tenant: NO_LIMIT });
    const payer = open("anna");
    for (let count = 0; count < 40; count++) attempt(limiter, payer);
    limiter.close(payer);
    clock.advance(10_500);
    const again = open("anna");
    const granted = Array.from({ length: 40 }, () => attempt(limiter, again)).filter((each) => each === undefined);
    expect(granted).toHaveLength(10);
  });

  it("needs no timer after the end", () => {
    const { clock, limiter, open } = useLimiter({ session: NO_LIMIT, user: slow, tenant: NO_LIMIT });
    limiter.close(open("anna"));
    limiter.stop();
    limiter.close(open("bert"));
    expect(clock.pending).toBe(0);
  });
});

describe("the limits of single tenants", () => {
  const one = { perSecond: 1, burst: 1 };
  const three = { perSecond: 1, burst: 3 };

  it("differ where something was said of them, and count anew when that changes", () => {
    const { limiter, tenants, open } = useLimiter({ session: NO_LIMIT, user: one, tenant: NO_LIMIT });
    const anna = open("anna");
    const other = limiter.open(identity("anna", { tenantId: "other" }));
    const granted = (payer: Payer) => [1, 2, 3, 4].filter(() => attempt(limiter, payer) === undefined).length;
    expect([granted(anna), granted(other)]).toEqual([1, 1]);
    tenants.replace(new Map([["acme", { rates: { publish: { user: three } } }]]));
    expect([granted(anna), granted(other)]).toEqual([3, 1]);
    tenants.replace(new Map());
    expect([granted(anna), granted(other)]).toEqual([1, 1]);
  });

  it("are as they were after a change that cannot be", () => {
    const tenants = new TenantLimits(DEFAULT_LIMITS, new Map([["acme", { maxTextBytes: 10 }]]));
    const empty = { rates: { read: { tenant: { perSecond: 5, burst: 0 } } } };
    expect(() => tenants.replace(new Map([["acme", empty]]))).toThrow("limits.rates.read.tenant");
    expect(() => tenants.replace(new Map([["acme", { maxTextBytes: -1 }]]))).toThrow("limits.maxTextBytes");
    expect([tenants.of("acme").maxTextBytes, tenants.revision]).toEqual([10, 0]);
    expect(tenants.of("other")).toBe(DEFAULT_LIMITS);
  });
});
