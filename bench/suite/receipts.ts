// receipts: 2,000 marks a second over rooms of twenty, everybody subscribed: what a mark costs, and how soon others see it.

import type { ReceiptsInput, ReceiptsOutcome } from "../load/receipts.js";
import type { Sample } from "../result.js";
import { startTrunkline } from "../servers.js";
import { askLoad, type Suite, withServer } from "./suite.js";

const MEMBERS = 20;
const RATE = 2_000;
/** Over 200 rooms everybody marks every other second, over 10 ten times a second. */
const ROOMS = [200, 10];
const FULL = { warmupMs: 3_000, windowMs: 10_000, graceMs: 3_000 };
const QUICK = { warmupMs: 1_000, windowMs: 3_000, graceMs: 2_000 };
const SETUP_DEADLINE_MS = 120_000;

export const runReceiptsSuite: Suite = async (context) => {
  const { options } = context;
  const times = options.quick ? QUICK : FULL;
  const cases = ROOMS.map((rooms) => ({ rooms, members: MEMBERS, rate: RATE })).filter((one) =>
    options.wants(caseName(one)),
  );
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
            "receipts",
            { target, ...one, ...times },
            SETUP_DEADLINE_MS + times.warmupMs + times.windowMs + times.graceMs,
          ),
      );
      samples.push(...toSamples(name, outcome));
    }
  }
  return samples;
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
