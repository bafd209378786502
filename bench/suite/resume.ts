// resume: 2,000 sessions cut at once, each 50 events behind in one room: how long until all are back and have everything.

import { askAtServer, type Suite, sampleCases } from "./suite.js";

const FULL = { sessions: 2_000, behind: 50, deadlineMs: 60_000 };
const QUICK = { sessions: 500, behind: 50, deadlineMs: 30_000 };
const SETUP_DEADLINE_MS = 120_000;

export const runResumeSuite: Suite = (context) => {
  const size = context.options.quick ? QUICK : FULL;
  return sampleCases(context, [{ name: `${size.sessions} sessions ${size.behind} behind` }], async ({ name }) => {
    const deadlineMs = SETUP_DEADLINE_MS + size.deadlineMs;
    const outcome = await askAtServer(context, "resume", (target) => ({ target, ...size }), deadlineMs);
    return [
      { case: name, metric: "caught_up_p50_ms", unit: "ms", value: outcome.caughtUpP50Ms },
      { case: name, metric: "caught_up_p95_ms", unit: "ms", value: outcome.caughtUpP95Ms },
      { case: name, metric: "caught_up_max_ms", unit: "ms", value: outcome.caughtUpMaxMs },
      { case: name, metric: "lost", unit: "events", value: outcome.lost },
      { case: name, metric: "doubled", unit: "events", value: outcome.doubled },
      { case: name, metric: "cpu_ms_per_session", unit: "ms", value: outcome.cpuMsPerSession },
    ];
  });
};
