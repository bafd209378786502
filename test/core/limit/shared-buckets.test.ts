// One rate of a user, kept by several nodes: each takes from a bucket of its own, which fills at the node's share.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { FLOOR, SharedBuckets } from "../../../src/core/limit/shared-buckets.js";
import { type TokenBucket, WHOLE } from "../../../src/core/limit/token-bucket.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { MemoryRateShares } from "../../support/memory-rate-shares.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { settle } from "../use-core.js";

const RATE = { perSecond: 100, burst: 200 };
const STEP_MS = 10;
/** Until a share is there for whoever needs one. */
const SOON_MS = 20;

function useNodes(count: number) {
  const clock = new StoppedClock();
  const telemetry = new Telemetry();
  const faults: unknown[] = [];
  telemetry.on("fault", (fault) => faults.push(fault));
  const shares = new MemoryRateShares(clock);
  const nodes = Array.from({ length: count }, () => {
    const buckets = new SharedBuckets({ clock, telemetry, rateShares: shares.node() });
    return { buckets, bucket: buckets.bucket("publish:acme/ann", RATE, clock.monotonic()) };
  });
  const pass = async (milliseconds: number): Promise<void> => {
    clock.advance(milliseconds);
    await settle(2);
  };
  /** How many of so many attempts a second are granted, by node, over a time. */
  const attempt = async (perSecond: readonly number[], milliseconds: number): Promise<number[]> => {
    const granted = nodes.map(() => 0);
    const due = nodes.map(() => 0);
    for (let passed = 0; passed < milliseconds; passed += STEP_MS) {
      for (const [index, { bucket }] of nodes.entries()) {
        due[index] = (due[index] ?? 0) + ((perSecond[index] ?? 0) * STEP_MS) / 1_000;
        while ((due[index] ?? 0) >= 1) {
          due[index] = (due[index] ?? 0) - 1;
          if (bucket.take(clock.monotonic()) === 0) granted[index] = (granted[index] ?? 0) + 1;
        }
      }
      await pass(STEP_MS);
    }
    return granted;
  };
  return { clock, shares, nodes, faults, pass, attempt };
}

function sum(counts: readonly number[]): number {
  return counts.reduce((all, each) => all + each, 0);
}

function takeAll(bucket: TokenBucket, monotonicMs: number): number {
  let taken = 0;
  while (bucket.take(monotonicMs) === 0) taken++;
  return taken;
}

describe("a rate that several nodes keep", () => {
  it("is whole for somebody who is on one node alone: a burst at once, and the rate from then on", async () => {
    const { clock, nodes, attempt, pass } = useNodes(3);
    const [{ bucket } = { bucket: undefined }] = nodes;
    expect(bucket && takeAll(bucket, clock.monotonic())).toBe(RATE.burst);
    await pass(SOON_MS);
    const [granted = 0] = await attempt([1_000], 10_000);
    expect(granted).toBeGreaterThanOrEqual(RATE.perSecond * 10 - 5);
    expect(granted).toBeLessThanOrEqual(RATE.perSecond * 10 + RATE.burst);
  });

  it("costs no word to others where little of it is used", async () => {
    const { shares, nodes, attempt } = useNodes(2);
    const little = (RATE.perSecond * FLOOR) / WHOLE;
    const granted = await attempt([little, little], 60_000);
    expect(sum(granted)).toBe(2 * little * 60);
    expect(shares.reports).toBe(0);
    expect(sum(nodes.map(({ buckets }) => buckets.leasing))).toBe(0);
  });

  it("is what all nodes grant together, in the proportion of what they are asked for", async () => {
    const { attempt } = useNodes(2);
    await attempt([300, 100], 10_000);
    const [a = 0, b = 0] = await attempt([300, 100], 10_000);
    expect(a + b).toBeLessThanOrEqual(RATE.perSecond * 10 + 5);
    expect(a + b).toBeGreaterThanOrEqual(RATE.perSecond * 10 - 5);
    expect(a / b).toBeCloseTo(3, 0);
  });

  it("is exceeded by no more than is stated, whoever asks where and when", async () => {
    const phase = fc.record({
      perSecond: fc.tuple(fc.nat(400), fc.nat(400), fc.nat(400)),
      milliseconds: fc.integer({ min: 100, max: 8_000 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(phase, { minLength: 1, maxLength: 4 }), async (phases) => {
        const { attempt, nodes } = useNodes(3);
        let granted = 0;
        let passedMs = 0;
        for (const { perSecond, milliseconds } of phases) {
          granted += sum(await attempt(perSecond, milliseconds));
          passedMs += milliseconds + STEP_MS;
        }
        const most = RATE.perSecond * (1 + (nodes.length * FLOOR) / WHOLE);
        expect(granted).toBeLessThanOrEqual((most * passedMs) / 1_000 + nodes.length * RATE.burst);
      }),
      { numRuns: 15 },
    );
  });

  it("is given back by a node that is asked for little again", async () => {
    const { nodes, attempt } = useNodes(2);
    await attempt([400, 400], 5_000);
    await attempt([0, 400], 20_000);
    expect(nodes[0]?.buckets.leasing).toBe(0);
    const [, granted = 0] = await attempt([0, 400], 5_000);
    expect(granted).toBeGreaterThanOrEqual(RATE.perSecond * 5 - 5);
  });

  it("stays as it was shared while shares cannot be leased, which is said once", async () => {
    const { shares, nodes, faults, attempt } = useNodes(2);
    await attempt([300, 100], 5_000);
    shares.away = new Error("away");
    const granted = await attempt([100, 300], 10_000);
    expect(sum(granted)).toBeLessThanOrEqual(RATE.perSecond * 10 + 5);
    expect(granted[0]).toBeGreaterThan((granted[1] ?? 0) * 2);
    expect(faults).toHaveLength(nodes.length);
    shares.away = undefined;
    await attempt([100, 300], 5_000);
    const [a = 0, b = 0] = await attempt([100, 300], 5_000);
    expect(b).toBeGreaterThan(2 * a);
  });

  it("says when there is a token at this node, if its share stays as it is", async () => {
    const { clock, nodes, pass } = useNodes(1);
    const [{ bucket } = { bucket: undefined }] = nodes;
    if (bucket === undefined) throw new Error("no node");
    takeAll(bucket, clock.monotonic());
    expect(bucket.waitMs(clock.monotonic())).toBe((10 * WHOLE) / FLOOR);
    await pass(SOON_MS);
    takeAll(bucket, clock.monotonic());
    const waitMs = bucket.waitMs(clock.monotonic());
    expect(waitMs).toBeLessThanOrEqual(10);
    await pass(waitMs);
    expect(bucket.take(clock.monotonic())).toBe(0);
  });

  it("has no timer where nobody needs a share", async () => {
    const { clock, nodes, attempt, pass } = useNodes(1);
    await attempt([300], 2_000);
    expect(clock.pending).toBe(1);
    for (let second = 0; second < 10; second++) await pass(1_000);
    expect(clock.pending).toBe(0);
    await attempt([300], 1_000);
    for (const { buckets } of nodes) buckets.stop();
    expect(clock.pending).toBe(0);
  });
});
