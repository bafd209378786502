// channel: 10,000 people join one channel at once and then read it at 20 messages a second, told how many are there.

import type { ChannelOutcome } from "../load/channel.js";
import type { Sample } from "../result.js";
import { askAtServer, type Suite, sampleCases } from "./suite.js";

const RATE = 20;
const PRESENCE_RATE = 20;
const FULL = { members: 10_000, warmupMs: 5_000, windowMs: 10_000, graceMs: 60_000 };
const QUICK = { members: 1_000, warmupMs: 1_000, windowMs: 3_000, graceMs: 20_000 };
const SETUP_DEADLINE_MS = 300_000;

export const runChannelSuite: Suite = (context) => {
  const size = context.options.quick ? QUICK : FULL;
  return sampleCases(context, [{ name: `${size.members} members` }], async ({ name }) => {
    const input = { rate: RATE, presenceRate: PRESENCE_RATE, ...size };
    const deadlineMs = SETUP_DEADLINE_MS + size.warmupMs + size.windowMs + 2 * size.graceMs;
    return toSamples(name, await askAtServer(context, "channel", (target) => ({ target, ...input }), deadlineMs));
  });
};

function toSamples(name: string, outcome: ChannelOutcome): readonly Sample[] {
  return [
    { case: name, metric: "joins_per_s", unit: "1/s", value: outcome.joinsPerS },
    { case: name, metric: "join_p50_ms", unit: "ms", value: outcome.joinP50Ms },
    { case: name, metric: "join_p99_ms", unit: "ms", value: outcome.joinP99Ms },
    { case: name, metric: "join_cpu_us_per_delivery", unit: "µs", value: outcome.joinCpuUsPerDelivery },
    { case: name, metric: "cpu_us_per_delivery", unit: "µs", value: outcome.cpuUsPerDelivery },
    { case: name, metric: "latency_p50_ms", unit: "ms", value: outcome.latencyP50Ms },
    { case: name, metric: "latency_p99_ms", unit: "ms", value: outcome.latencyP99Ms },
    { case: name, metric: "delivered_ratio", unit: "", value: outcome.deliveredRatio },
    { case: name, metric: "counts_per_s", unit: "1/s", value: outcome.countsPerS },
    { case: name, metric: "rss_per_member", unit: "KiB", value: outcome.rssKibPerMember },
    { case: name, metric: "generator_cpu", unit: "cores", value: outcome.generatorCpu },
  ];
}
