// The crowds of `edge`: processes that hold connections and go through the same steps at the same time.

import { fileURLToPath } from "node:url";
import type { EdgeFigures, EdgePhase } from "../load/edge.js";
import type { EdgeAnswer, EdgeStep } from "../load/edge-main.js";
import type { Children } from "../process/children.js";

const MAIN = fileURLToPath(new URL("../load/edge-main.js", import.meta.url));
const STEP_DEADLINE_MS = 300_000;

export class Crowds {
  readonly #children: Children;
  #processes: ReturnType<Children["converse"]>[] = [];

  constructor(children: Children) {
    this.#children = children;
  }

  get pids(): readonly number[] {
    return this.#processes.map(({ pid }) => pid);
  }

  /** Starts one crowd per port, each with its part of the members; they make the rooms. */
  async begin(webPorts: readonly number[], keyFile: string, members: number): Promise<void> {
    this.#processes = webPorts.map(() => this.#children.converse(MAIN));
    await this.#all((crowd) => ({
      step: "begin",
      input: { target: { webPort: webPorts[crowd] ?? 0, keyFile }, crowd, crowds: webPorts.length, members },
    }));
  }

  /** Sessions that come and go. */
  async warm(): Promise<void> {
    await this.#all(() => ({ step: "warm" }));
  }

  /** Connects everybody. */
  async open(): Promise<void> {
    await this.#all(() => ({ step: "open" }));
  }

  /** What each crowd got. */
  async run(phase: EdgePhase): Promise<readonly EdgeFigures[]> {
    const outcomes = await this.#all(() => ({ step: "run", phase }));
    return outcomes.filter((outcome) => outcome !== undefined);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#processes.map((one) => one.stop()));
  }

  #all(step: (crowd: number) => EdgeStep): Promise<readonly (EdgeFigures | undefined)[]> {
    return Promise.all(
      this.#processes.map(async (one, crowd) => {
        // The other end is bench/load/edge-main.ts of the same build: the one place where its answer gets its type.
        const answer = (await one.ask(step(crowd), STEP_DEADLINE_MS)) as EdgeAnswer;
        if (!answer.ok) throw new Error(answer.reason);
        return answer.outcome;
      }),
    );
  }
}
