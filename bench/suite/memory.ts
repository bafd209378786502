// memory: what an idle connection costs, 10,000 of them, each in a room of ten.

import type { Target } from "../target.js";
import { askLoad, type Suite, sampleCases, starter, withServer } from "./suite.js";

const CASES: readonly { readonly name: string; readonly server: Target["kind"] }[] = [
  { name: "trunkline", server: "trunkline" },
  { name: "ws", server: "ws" },
  { name: "socket.io", server: "socket.io" },
];
const FULL = { sessions: 10_000, settleMs: 5_000 };
const QUICK = { sessions: 2_000, settleMs: 1_500 };
const DEADLINE_MS = 300_000;

export const runMemorySuite: Suite = (context) => {
  const size = context.options.quick ? QUICK : FULL;
  return sampleCases(context, CASES, async ({ name, server }) => {
    const outcome = await withServer(starter(context, server), (target) =>
      askLoad(context, "memory", { target, ...size }, DEADLINE_MS),
    );
    return [
      { case: name, metric: "rss_per_session", unit: "KiB", value: outcome.rssKibPerSession },
      { case: name, metric: "rss_uncollected_per_session", unit: "KiB", value: outcome.rssUncollectedKibPerSession },
    ];
  });
};
