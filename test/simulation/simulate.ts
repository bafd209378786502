// A run of the simulation: so many steps from a seed, with a calm now and then and one at the end.

import type { Coverage } from "./coverage.js";
import { takeStep } from "./steps.js";
import { Violation } from "./violation.js";
import { World, type WorldOptions } from "./world.js";

export interface SimulationOptions extends WorldOptions {
  readonly steps: number;
}

export interface Simulated {
  /** The same for the same options: two runs did the same. */
  readonly hash: string;
  readonly steps: number;
  readonly coverage: Coverage;
  readonly rooms: number;
  readonly events: number;
  readonly deliveries: number;
}

/** Steps between two calms: of a node that is alone, and of several. */
const CALM_EVERY = 2_500;
const CALM_EVERY_OF_SEVERAL = 700;
/** Steps before a calm of several nodes in which much of what is announced is lost: of some rooms the last event. */
const STORM = 30;

/** Rejects with the violation, the last steps and how to have them again. */
export async function simulate(options: SimulationOptions): Promise<Simulated> {
  const world = new World(options);
  try {
    for (const place of world.places) await world.start(place);
    await world.createRooms();
    for (const device of world.devices) device.connect();
    await world.settle();
    const every = world.isCluster ? CALM_EVERY_OF_SEVERAL : CALM_EVERY;
    for (let step = 1; step <= options.steps; step++) {
      await takeStep(world);
      const left = Math.min(every - (step % every), options.steps - step) % every;
      if (left === STORM) world.storm();
      if (left !== 0) continue;
      world.trace.step("calm");
      await world.calm();
    }
    world.trace.step("drain");
    while (world.nodes.length > 0) await world.drain();
  } catch (cause) {
    throw report(world, options, cause);
  }
  const rooms = [...world.checker.rooms.values()];
  return {
    hash: world.trace.hash,
    steps: world.trace.steps,
    coverage: world.coverage,
    rooms: rooms.length,
    events: rooms.reduce((sum, { top }) => sum + top, 0),
    deliveries: world.deliveries,
  };
}

function report(world: World, { seed, steps, ...size }: SimulationOptions, cause: unknown): Error {
  const what = cause instanceof Violation ? cause.message : String(cause instanceof Error ? cause.stack : cause);
  const again = `TRUNKLINE_SIMULATION_SEED=${seed} TRUNKLINE_SIMULATION_STEPS=${steps}`;
  const lines = [
    what,
    `in step ${world.trace.steps}, ${JSON.stringify(size)}; again: ${again} npx vitest run test/simulation`,
    world.trace.tail,
  ];
  return new Error(lines.join("\n"), { cause });
}
