// A load generator: a process of its own that takes one job from its parent, answers, and ends with its parent.

import { type Answer, type Job, type JobKind, type Jobs, run } from "./job.js";

process.on("disconnect", () => process.exit(0));
process.once("message", (job: Job) => {
  run(job).then(
    (outcome) => answer({ ok: true, outcome }),
    (error: unknown) =>
      answer({ ok: false, reason: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});

function answer(message: Answer<Jobs[JobKind]["outcome"]>): void {
  process.send?.(message, undefined, undefined, () => process.exit(0));
}
