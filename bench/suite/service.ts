// service: what backend services ask for a thousand users at a time: calls a second, how long one takes, CPU per user.

import type { ServiceInput, ServiceOutcome } from "../load/service.js";
import type { Sample } from "../result.js";
import { askAtServer, type Suite, sampleCases } from "./suite.js";

const USERS = 10_000;
const USERS_PER_CALL = 1_000;
const CASES: readonly Pick<ServiceInput, "rpc" | "concurrency">[] = [
  { rpc: "SendToUsers", concurrency: 1 },
  { rpc: "SendToUsers", concurrency: 4 },
  { rpc: "GetPresence", concurrency: 1 },
  { rpc: "GetPresence", concurrency: 4 },
];
const FULL = { warmupMs: 3_000, windowMs: 10_000 };
const QUICK = { warmupMs: 1_000, windowMs: 3_000 };
const CONNECT_DEADLINE_MS = 120_000;

export const runServiceSuite: Suite = (context) => {
  const times = context.options.quick ? QUICK : FULL;
  const cases = CASES.map((one) => ({ ...one, name: `${one.rpc} ${one.concurrency} at a time` }));
  return sampleCases(context, cases, async ({ name, ...one }) => {
    const input = { ...one, users: USERS, usersPerCall: USERS_PER_CALL, ...times };
    const deadlineMs = CONNECT_DEADLINE_MS + times.warmupMs + times.windowMs;
    return toSamples(name, await askAtServer(context, "service", (target) => ({ target, ...input }), deadlineMs));
  });
};

function toSamples(name: string, outcome: ServiceOutcome): readonly Sample[] {
  return [
    { case: name, metric: "calls_per_s", unit: "1/s", value: outcome.callsPerS },
    { case: name, metric: "latency_p50_ms", unit: "ms", value: outcome.latencyP50Ms },
    { case: name, metric: "latency_p99_ms", unit: "ms", value: outcome.latencyP99Ms },
    { case: name, metric: "cpu_us_per_user", unit: "µs", value: outcome.cpuUsPerUser },
    { case: name, metric: "generator_cpu", unit: "cores", value: outcome.generatorCpu },
  ];
}
