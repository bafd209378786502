// typing: 2,000 typing frames a second in rooms of 20: what a frame costs, how many become one, and how late they are seen.

import type { TypingInput, TypingOutcome } from "../load/typing.js";
import type { Sample } from "../result.js";
import { askAtServer, type Suite, sampleCases } from "./suite.js";

type Case = Pick<TypingInput, "rooms" | "frames"> & { readonly name: string };

const CASES: readonly Case[] = [
  { name: "turns in 100 rooms", rooms: 100, frames: "turns" },
  { name: "turns in 20 rooms", rooms: 20, frames: "turns" },
  { name: "repeats in 20 rooms", rooms: 20, frames: "repeats" },
];
const MEMBERS_PER_ROOM = 20;
const RATE = 2_000;
const FULL = { warmupMs: 3_000, windowMs: 10_000 };
const QUICK = { warmupMs: 1_000, windowMs: 3_000 };
const CONNECT_DEADLINE_MS = 120_000;

export const runTypingSuite: Suite = (context) => {
  const times = context.options.quick ? QUICK : FULL;
  return sampleCases(context, CASES, async ({ name, rooms, frames }) => {
    const input = { rooms, membersPerRoom: MEMBERS_PER_ROOM, rate: RATE, frames, ...times };
    const deadlineMs = CONNECT_DEADLINE_MS + times.warmupMs + times.windowMs;
    return toSamples(name, await askAtServer(context, "typing", (target) => ({ target, ...input }), deadlineMs));
  });
};

function toSamples(name: string, outcome: TypingOutcome): readonly Sample[] {
  const { visible } = outcome;
  const seen =
    visible === undefined
      ? []
      : ([
          ["visible_p50_ms", "ms", visible.p50Ms],
          ["visible_p99_ms", "ms", visible.p99Ms],
          ["visible_ratio", "", visible.ratio],
        ] as const);
  return [
    { case: name, metric: "frames_in_per_s", unit: "1/s", value: outcome.framesPerS },
    { case: name, metric: "deliveries_per_s", unit: "1/s", value: outcome.deliveriesPerS },
    { case: name, metric: "signals_per_delivery", unit: "", value: outcome.signalsPerDelivery },
    { case: name, metric: "cpu_us_per_frame_in", unit: "µs", value: outcome.cpuUsPerFrame },
    ...seen.map(([metric, unit, value]) => ({ case: name, metric, unit, value })),
    { case: name, metric: "generator_cpu", unit: "cores", value: outcome.generatorCpu },
  ];
}
