// What every store of shares must do: the guarantees of src/ports/rate-shares.ts, as tests.

import fc from "fast-check";
import { describe, expect, it, onTestFinished } from "vitest";
import { RATE_LEASE_MS, type RateShares } from "../../src/ports/rate-shares.js";

export interface RateSharesSubject {
  node(): RateShares;
  /** Time passes. */
  pass(milliseconds: number): void;
  close(): Promise<void>;
}

const WHOLE = 1_000;

export function describeRateShares(name: string, factory: () => Promise<RateSharesSubject>): void {
  describe(`the shares of rates of ${name}`, () => {
    async function useNodes() {
      const subject = await factory();
      onTestFinished(() => subject.close());
      const [a, b] = [subject.node(), subject.node()];
      const lease = async (node: RateShares, demand: number, rate = "publish:acme/ann"): Promise<number> => {
        const [share = -1] = await node.lease([{ name: rate, demand }]);
        return share;
      };
      return { subject, a, b, lease };
    }

    it("are all of a node's that is alone, however little it is asked for", async () => {
      const { a, lease } = await useNodes();
      expect(await lease(a, 1)).toBe(WHOLE);
      expect(await lease(a, 5_000)).toBe(WHOLE);
    });

    it("are in the proportion of demand after two reports of each", async () => {
      const { a, b, lease } = await useNodes();
      await lease(a, 300);
      expect(await lease(b, 100)).toBe(0);
      expect(await lease(a, 300)).toBe(750);
      expect(await lease(b, 100)).toBe(250);
    });

    it("are free again at once when they are given back, and else when their lease ends", async () => {
      const { subject, a, b, lease } = await useNodes();
      await lease(a, 300);
      expect(await lease(a, 0)).toBe(0);
      expect(await lease(b, 1)).toBe(WHOLE);
      subject.pass(RATE_LEASE_MS - 1);
      expect(await lease(a, 1)).toBe(0);
      subject.pass(1);
      expect(await lease(a, 1)).toBe(WHOLE);
    });

    it("are leased for each rate by itself, in the order asked for", async () => {
      const { a, b, lease } = await useNodes();
      await lease(b, 1, "read:acme");
      const reports = ["read:acme", "read:acme/ann", "edit:acme"].map((each) => ({ name: each, demand: 1 }));
      expect(await a.lease(reports)).toEqual([0, WHOLE, WHOLE]);
      expect(await a.lease([])).toEqual([]);
    });

    it("are never more than the whole, whoever reports what and when", async () => {
      const step = fc.record({
        node: fc.nat(3),
        demand: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 1_000 })),
        passMs: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: RATE_LEASE_MS })),
      });
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
          const subject = await factory();
          const nodes = Array.from({ length: 4 }, () => subject.node());
          const held = new Map<number, { readonly share: number; readonly endsMs: number }>();
          let nowMs = 0;
          for (const { node, demand, passMs } of steps) {
            subject.pass(passMs);
            nowMs += passMs;
            const [share = -1] = (await nodes[node]?.lease([{ name: "publish:acme/ann", demand }])) ?? [];
            held.set(node, { share, endsMs: nowMs + RATE_LEASE_MS });
            const all = [...held.values()].filter(({ endsMs }) => endsMs > nowMs);
            expect(share).toBeGreaterThanOrEqual(0);
            expect(all.reduce((sum, each) => sum + each.share, 0)).toBeLessThanOrEqual(WHOLE);
          }
          await subject.close();
        }),
        { numRuns: 20 },
      );
    });
  });
}
