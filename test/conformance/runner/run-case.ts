// Runs one case against a server.

import { at, type TestClient } from "../../support/client/index.js";
import type { TokenIssuer } from "../../support/token.js";
import { ACTIONS, type Action } from "./actions.js";
import { SHORTHANDS } from "./shorthands.js";
import { Stage } from "./stage.js";
import { type Case, readSteps, type Step } from "./transcript.js";

const KNOWN: ReadonlyMap<string, Action> = new Map([...Object.entries(ACTIONS), ...Object.entries(SHORTHANDS)]);

/** Rejects with the step that failed and how. `moveLink`: what the step of that name does. */
export async function runCase(
  testCase: Case,
  client: TestClient,
  issuer: TokenIssuer,
  moveLink?: () => Promise<void>,
): Promise<void> {
  const stage = new Stage(client, issuer, testCase, moveLink);
  try {
    await runSteps(stage, testCase.steps, "");
  } finally {
    stage.end();
  }
}

async function runSteps(stage: Stage, steps: readonly Step[], prefix: string): Promise<void> {
  for (const [index, step] of steps.entries()) {
    const where = `${prefix}step ${index + 1}, ${step.action}`;
    if (step.action === "repeat") {
      await repeat(stage, step, where);
      continue;
    }
    const action = KNOWN.get(step.action);
    if (action === undefined) throw new Error(`${where}: there is no such action`);
    try {
      await action(stage, step.input);
    } catch (error) {
      throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
}

async function repeat(stage: Stage, { input }: Step, where: string): Promise<void> {
  const steps = readSteps(at(input, "steps"), where);
  const name = typeof input.as === "string" ? input.as : "i";
  const times = typeof input.times === "number" ? input.times : 0;
  for (let index = 1; index <= times; index++) {
    stage.capture(name, index);
    await runSteps(stage, steps, `${where} ${index}: `);
  }
}
