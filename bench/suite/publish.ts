// publish: durable acknowledgements a second, in a closed loop, without subscribers.

import type { PublishInput, PublishOutcome } from "../load/publish.js";
import type { Sample } from "../result.js";
import { startTrunkline } from "../servers.js";
import { askLoad, type Suite, withServer } from "./suite.js";

type Case = Pick<PublishInput, "transport" | "concurrency" | "rooms">;

const TRANSPORTS = ["websocket", "grpc"] as const;
const CONCURRENCIES = [1, 64, 1_024];
const ROOMS = [1, 64];
const FULL = { warmupMs: 3_000, windowMs: 8_000 };
const QUICK = { warmupMs: 1_000, windowMs: 3_000 };
const CONNECT_DEADLINE_MS = 60_000;

export const runPublishSuite: Suite = async (context) => {
  const { options } = context;
  const times = options.quick ? QUICK : FULL;
  const cases: readonly Case[] = TRANSPORTS.flatMap((transport) =>
    CONCURRENCIES.flatMap((concurrency) =>
      ROOMS.filter((rooms) => rooms <= concurrency).map((rooms) => ({ transport, concurrency, rooms })),
    ),
  ).filter((one) => options.wants(caseName(one)));
  const samples: Sample[] = [];
  for (let run = 1; run <= options.runs; run++) {
    for (const one of cases) {
      const name = caseName(one);
      context.progress(`run ${run}/${options.runs}: ${name}`);
      const outcome = await withServer(
        () => startTrunkline(context.children, options.profile),
        (target) =>
          askLoad(
            context,
            "publish",
            { targets: [target], beside: [], ...one, ...times },
            CONNECT_DEADLINE_MS + times.warmupMs + times.windowMs,
          ),
      );
      samples.push(...toSamples(name, outcome));
    }
  }
  return samples;
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
