// presence: 5,000 users in rooms of twenty who go away and come back, everybody watching their room: what a change costs, and how soon it is seen.

import type { PresenceOutcome } from "../load/presence.js";
import type { Sample } from "../result.js";
import { askAtServer, type Suite, sampleCases } from "./suite.js";

const ROOMS = 250;
const MEMBERS_PER_ROOM = 20;
const RATES = [100, 500, 2_000];
const FULL = { warmupMs: 3_000, windowMs: 10_000 };
const QUICK = { warmupMs: 1_000, windowMs: 3_000 };
const CONNECT_DEADLINE_MS = 120_000;

export const runPresenceSuite: Suite = (context) => {
  const times = context.options.quick ? QUICK : FULL;
  const cases = RATES.map((rate) => ({ name: `${rate} changes/s`, rate }));
  return sampleCases(context, cases, async ({ name, rate }) => {
    const input = { rooms: ROOMS, membersPerRoom: MEMBERS_PER_ROOM, rate, ...times };
    const deadlineMs = CONNECT_DEADLINE_MS + times.warmupMs + times.windowMs;
    return toSamples(name, await askAtServer(context, "presence", (target) => ({ target, ...input }), deadlineMs));
  });
};

function toSamples(name: string, outcome: PresenceOutcome): readonly Sample[] {
  return [
    { case: name, metric: "cpu_us_per_change", unit: "µs", value: outcome.cpuUsPerFlip },
    { case: name, metric: "deliveries_per_change", unit: "", value: outcome.deliveriesPerFlip },
    { case: name, metric: "visible_p50_ms", unit: "ms", value: outcome.visibleP50Ms },
    { case: name, metric: "visible_p99_ms", unit: "ms", value: outcome.visibleP99Ms },
    { case: name, metric: "visible_ratio", unit: "", value: outcome.visibleRatio },
    { case: name, metric: "generator_cpu", unit: "cores", value: outcome.generatorCpu },
  ];
}
