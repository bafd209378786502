// fanout: one room, 1,000 members, 200 bytes of text, at four rates: what a delivery costs the server, and how late it is.

import type { FanoutOutcome } from "../load/fanout.js";
import type { FanoutInput } from "../load/fanout-room.js";
import type { Sample } from "../result.js";
import type { Target } from "../target.js";
import { askLoad, type Context, type Suite, starter, withServer } from "./suite.js";

interface Contestant {
  readonly name: string;
  readonly server: Target["kind"];
  readonly receivers: FanoutInput["receivers"];
}

const CONTESTANTS: readonly Contestant[] = [
  { name: "trunkline-binary", server: "trunkline", receivers: "binary" },
  { name: "trunkline-json", server: "trunkline", receivers: "json" },
  { name: "trunkline-grpc", server: "trunkline", receivers: "grpc" },
  { name: "ws", server: "ws", receivers: "peer" },
  { name: "socket.io", server: "socket.io", receivers: "peer" },
];

const MEMBERS = 1_000;
const RATES = [20, 60, 150, 1_000];
const FULL = { warmupMs: 3_000, windowMs: 10_000, graceMs: 20_000 };
const QUICK = { warmupMs: 1_000, windowMs: 3_000, graceMs: 10_000 };
const CONNECT_DEADLINE_MS = 120_000;

export const runFanoutSuite: Suite = async (context) => {
  const { options } = context;
  const samples: Sample[] = [];
  for (let run = 1; run <= options.runs; run++) {
    for (const contestant of CONTESTANTS) {
      const rates = RATES.filter((rate) => options.wants(caseName(contestant, rate)));
      if (rates.length === 0) continue;
      context.progress(`run ${run}/${options.runs}: ${contestant.name} at ${rates.join(", ")}/s`);
      for (const outcome of await measure(context, contestant, rates)) {
        samples.push(...toSamples(caseName(contestant, outcome.rate), outcome));
      }
    }
  }
  return samples;
};

function measure(
  context: Context,
  contestant: Contestant,
  rates: readonly number[],
): Promise<readonly FanoutOutcome[]> {
  const times = context.options.quick ? QUICK : FULL;
  const deadlineMs = CONNECT_DEADLINE_MS + rates.length * (times.warmupMs + times.windowMs + times.graceMs + 5_000);
  return withServer(starter(context, contestant.server), (target) =>
    askLoad(
      context,
      "fanout",
      { target, receivers: contestant.receivers, members: MEMBERS, rates, ...times },
      deadlineMs,
    ),
  );
}

function caseName(contestant: Contestant, rate: number): string {
  return `${contestant.name} ${rate}/s`;
}

function toSamples(name: string, outcome: FanoutOutcome): readonly Sample[] {
  return [
    { case: name, metric: "cpu_us_per_delivery", unit: "µs", value: outcome.cpuUsPerDelivery },
    { case: name, metric: "latency_p50_ms", unit: "ms", value: outcome.latencyP50Ms },
    { case: name, metric: "latency_p99_ms", unit: "ms", value: outcome.latencyP99Ms },
    { case: name, metric: "delivered_ratio", unit: "", value: outcome.deliveredRatio },
    { case: name, metric: "generator_cpu", unit: "cores", value: outcome.generatorCpu },
  ];
}
