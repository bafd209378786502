// A crowd of `edge`: takes one step after the other from its parent, answers each, and ends with its parent.

import { EdgeCrowd, type EdgeFigures, type EdgeInput, type EdgePhase } from "./edge.js";
import type { Answer } from "./job.js";

export type EdgeStep =
  | { readonly step: "begin"; readonly input: EdgeInput }
  | { readonly step: "warm" | "open" }
  | { readonly step: "run"; readonly phase: EdgePhase };

export type EdgeAnswer = Answer<EdgeFigures | undefined>;

let crowd: EdgeCrowd | undefined;

process.on("disconnect", () => process.exit(0));
process.on("message", (step: EdgeStep) => {
  take(step).then(
    (outcome) => answer({ ok: true, outcome }),
    (error: unknown) =>
      answer({ ok: false, reason: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  );
});

async function take(step: EdgeStep): Promise<EdgeFigures | undefined> {
  if (step.step === "begin") {
    crowd = await EdgeCrowd.of(step.input);
    await crowd.prepare();
    return undefined;
  }
  if (crowd === undefined) throw new Error("a crowd has to begin first");
  switch (step.step) {
    case "warm":
      await crowd.warm();
      return undefined;
    case "open":
      await crowd.open();
      return undefined;
    case "run":
      return crowd.run(step.phase);
  }
}

function answer(message: EdgeAnswer): void {
  process.send?.(message);
}
