// publish: durable acknowledgements a second, in a closed loop, without subscribers.

import type { PublishInput, PublishOutcome } from "../load/publish.js";
import type { Sample } from "../result.js";
import type { TrunklineTarget } from "../target.js";
import { askAtServer, type Suite, sampleCases } from "./suite.js";

type Case = Pick<PublishInput, "transport" | "concurrency" | "rooms">;

const TRANSPORTS = ["websocket", "grpc"] as const;
const CONCURRENCIES = [1, 64, 1_024];
const ROOMS = [1, 64];
const FULL = { warmupMs: 3_000, windowMs: 8_000 };
const QUICK = { warmupMs: 1_000, windowMs: 3_000 };
const CONNECT_DEADLINE_MS = 60_000;

export const runPublishSuite: Suite = (context) => {
  const times = context.options.quick ? QUICK : FULL;
  const cases = TRANSPORTS.flatMap((transport) =>
    CONCURRENCIES.flatMap((concurrency) =>
      ROOMS.filter((rooms) => rooms <= concurrency).map((rooms) => ({ transport, concurrency, rooms })),
    ),
  ).map((one) => ({ ...one, name: caseName(one) }));
  return sampleCases(context, cases, async ({ name, ...one }) => {
    const inputAt = (target: TrunklineTarget) => ({ targets: [target], beside: [], ...one, ...times });
    const deadlineMs = CONNECT_DEADLINE_MS + times.warmupMs + times.windowMs;
    return toSamples(name, await askAtServer(context, "publish", inputAt, deadlineMs));
  });
};

function caseName({ transport, concurrency, rooms }: Case): string {
  return `${transport} ${concurrency} in ${rooms === 1 ? "1 room" : `${rooms} rooms`}`;
}

function toSamples(name: string, outcome: PublishOutcome): readonly Sample[] {
  return [
    { case: name, metric: "acks_per_s", unit: "1/s", value: outcome.acksPerS },
    { case: name, metric: "latency_p50_ms", unit: "ms", value: outcome.latencyP50Ms },
    { case: name, metric: "latency_p99_ms", unit: "ms", value: outcome.latencyP99Ms },
    { case: name, metric: "cpu_us_per_ack", unit: "µs", value: outcome.cpuUsPerAck },
    { case: name, metric: "generator_cpu", unit: "cores", value: outcome.generatorCpu },
  ];
}
