// receipts: 2,000 marks a second over rooms of twenty, everybody subscribed: what a mark costs, and how soon others see it.

import type { ReceiptsInput, ReceiptsOutcome } from "../load/receipts.js";
import type { Sample } from "../result.js";
import type { TrunklineTarget } from "../target.js";
import { askAtServer, type Suite, sampleCases } from "./suite.js";

const MEMBERS = 20;
const RATE = 2_000;
/** Over 200 rooms everybody marks every other second, over 10 ten times a second. */
const ROOMS = [200, 10];
const FULL = { warmupMs: 3_000, windowMs: 10_000, graceMs: 3_000 };
const QUICK = { warmupMs: 1_000, windowMs: 3_000, graceMs: 2_000 };
const SETUP_DEADLINE_MS = 120_000;

export const runReceiptsSuite: Suite = (context) => {
  const times = context.options.quick ? QUICK : FULL;
  const cases = ROOMS.map((rooms) => ({ rooms, members: MEMBERS, rate: RATE })).map((one) => {
    return { ...one, name: caseName(one) };
  });
  return sampleCases(context, cases, async ({ name, ...one }) => {
    const deadlineMs = SETUP_DEADLINE_MS + times.warmupMs + times.windowMs + times.graceMs;
    const inputAt = (target: TrunklineTarget) => ({ target, ...one, ...times });
    return toSamples(name, await askAtServer(context, "receipts", inputAt, deadlineMs));
  });
};

function caseName({ rooms, members }: Pick<ReceiptsInput, "rooms" | "members">): string {
  return `${rooms} rooms of ${members}`;
}

function toSamples(name: string, outcome: ReceiptsOutcome): readonly Sample[] {
  return [
    { case: name, metric: "cpu_us_per_mark", unit: "µs", value: outcome.cpuUsPerMark },
    { case: name, metric: "deliveries_per_mark", unit: "", value: outcome.deliveriesPerMark },
    { case: name, metric: "coalescing", unit: "", value: outcome.coalescing },
    { case: name, metric: "visible_p50_ms", unit: "ms", value: outcome.visibleP50Ms },
    { case: name, metric: "visible_p99_ms", unit: "ms", value: outcome.visibleP99Ms },
    { case: name, metric: "visible_ratio", unit: "", value: outcome.visibleRatio },
    { case: name, metric: "generator_cpu", unit: "cores", value: outcome.generatorCpu },
  ];
}
