// The core under everything that can happen to it, many times over.

import { describe, expect, it } from "vitest";
import { CLUSTER_STATES, Coverage, REACHED_BY_SEVERAL, STATES } from "./coverage.js";
import { type Simulated, type SimulationOptions, simulate } from "./simulate.js";

const SMALL = { rooms: 40, hotRooms: 5, users: 16, devices: 3 };
const LARGE = { rooms: 1_500, hotRooms: 8, users: 50, devices: 3 };

/** From the environment: see README.md. */
const GIVEN_SEED = process.env.TRUNKLINE_SIMULATION_SEED;
const GIVEN_STEPS = process.env.TRUNKLINE_SIMULATION_STEPS;
const RUNS = Number(process.env.TRUNKLINE_SIMULATION_RUNS ?? 1);
const SIZE = process.env.TRUNKLINE_SIMULATION_SIZE === "large" ? LARGE : SMALL;
const BEHIND = process.env.TRUNKLINE_SIMULATION_ARCHIVE === "behind";
const NODES = Number(process.env.TRUNKLINE_SIMULATION_NODES || 1);

const DEADLINE_MS = 3_600_000;

const DEFAULT_RUNS: readonly SimulationOptions[] = [
  { seed: 1, steps: 8_000, ...SMALL },
  { seed: 2, steps: 8_000, ...SMALL },
  { seed: 3, steps: 8_000, ...SMALL },
  { seed: 4, steps: 8_000, ...SMALL },
  { seed: 5, steps: 8_000, ...SMALL },
  { seed: 16, steps: 8_000, ...SMALL },
  { seed: 6, steps: 4_000, ...LARGE },
  { seed: 114, steps: 5_000, ...SMALL, behind: true },
];

const RUNS_OF_SEVERAL: readonly SimulationOptions[] = [
  { seed: 1, steps: 2_000, ...SMALL, nodes: 2 },
  { seed: 5, steps: 3_000, ...SMALL, nodes: 3 },
  { seed: 6, steps: 2_000, ...SMALL, nodes: 3 },
  { seed: 5, steps: 2_500, ...SMALL, nodes: 4 },
];

function tell({ hash, steps, rooms, events, deliveries }: Simulated, seed: number): void {
  console.log(`seed ${seed}: ${steps} steps, ${rooms} rooms, ${events} events, ${deliveries} delivered, trace ${hash}`);
}

function defaultRuns(): void {
  const coverage = new Coverage();

  const several = new Coverage();
  for (const options of [...DEFAULT_RUNS, ...RUNS_OF_SEVERAL]) {
    const { seed, rooms, behind = false, nodes = 1 } = options;
    it(
      `keeps its promises (seed ${seed}, ${rooms * 2} rooms, ${nodes} nodes${behind ? ", archived behind the log" : ""})`,
      async () => {
        const simulated = await simulate(options);
        (nodes > 1 ? several : coverage).add(simulated.coverage);
        tell(simulated, seed);
      },
      DEADLINE_MS,
    );
  }

  it("has been in every state that the runs are there to reach", () => {
    console.log(coverage.table(STATES));
    expect(coverage.missed(STATES)).toEqual([]);
  });

  it("has been in every state that only several nodes can be in, and often enough", () => {
    console.log(several.table(CLUSTER_STATES));
    expect(several.short(REACHED_BY_SEVERAL)).toEqual([]);
  });

  it(
    "does the same again from the same seed",
    async () => {
      for (const nodes of [undefined, 3]) {
        const options = { seed: 7, steps: 1_000, ...SMALL, nodes };
        const one = await simulate(options);
        const other = await simulate(options);
        expect(other.hash).toBe(one.hash);
        expect(other.events).toBe(one.events);
        expect((await simulate({ ...options, seed: 8 })).hash).not.toBe(one.hash);
      }
    },
    DEADLINE_MS,
  );
}

function givenRuns(): void {
  const first = Number(GIVEN_SEED ?? 1);
  const steps = Number(GIVEN_STEPS ?? 8_000);
  it.for(Array.from({ length: RUNS }, (_, index) => first + index))(
    "keeps its promises (seed %i)",
    { timeout: DEADLINE_MS },
    async (seed) =>
      tell(await simulate({ seed, steps, ...SIZE, behind: BEHIND, ...(NODES > 1 && { nodes: NODES }) }), seed),
  );
}

describe(
  "the core, whatever happens",
  GIVEN_SEED === undefined && GIVEN_STEPS === undefined && RUNS === 1 ? defaultRuns : givenRuns,
);
