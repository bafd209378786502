// Plants mistakes, one after the other, and says how many seeds of the simulation find each. Ends with 0 if each is found often enough.

import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type Plugin, runnerImport } from "vite";
import type { Simulated, SimulationOptions } from "../simulate.js";
import { MUTANTS, type Mutant } from "./mutants.js";

const USAGE = `node test/simulation/mutants/run.js [--first S] [--seeds N] [--steps N] [--nodes N] [--least N] [NAME...]

  --first S   the first seed; default 31
  --seeds N   so many seeds; default 10
  --steps N   of each; default 2000
  --nodes N   default 3
  --least N   so many seeds have to find a mistake; default 8

mistakes (without a name: all, after a run without any):
${MUTANTS.map(({ name, what }) => `  ${name.padEnd(20)}${what}`).join("\n")}`;

const FAILED = 1;
const MISUSED = 2;
const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const SIMULATE = fileURLToPath(new URL("../simulate.ts", import.meta.url));
const SIZE = { rooms: 40, hotRooms: 5, users: 16, devices: 3 };
const NONE: Mutant = { name: "none", what: "nothing is planted", planted: [] };

interface Simulation {
  simulate(options: SimulationOptions): Promise<Simulated>;
}

export async function main(argv: readonly string[], print: (line: string) => void): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...argv],
    allowPositionals: true,
    options: {
      first: { type: "string", default: "31" },
      seeds: { type: "string", default: "10" },
      steps: { type: "string", default: "2000" },
      nodes: { type: "string", default: "3" },
      least: { type: "string", default: "8" },
      help: { type: "boolean", default: false },
    },
  });
  const known = [NONE, ...MUTANTS];
  const chosen = positionals.length === 0 ? known : known.filter(({ name }) => positionals.includes(name));
  if (values.help || chosen.length < positionals.length) {
    print(USAGE);
    return values.help ? 0 : MISUSED;
  }
  const [first, steps, nodes] = [Number(values.first), Number(values.steps), Number(values.nodes)];
  const seeds = Array.from({ length: Number(values.seeds) }, (_, index) => first + index);
  let isGood = true;
  for (const mutant of chosen) {
    const { simulate } = await simulationOf(mutant);
    const found: string[] = [];
    for (const seed of seeds) {
      const violation = await violationOf(() => simulate({ seed, steps, nodes, ...SIZE }));
      if (violation !== undefined) found.push(`    seed ${seed}: ${violation}`);
    }
    print(`${mutant.name.padEnd(20)} found by ${found.length} of ${seeds.length}: ${mutant.what}`);
    for (const line of found) print(line);
    isGood &&= mutant === NONE ? found.length === 0 : found.length >= Number(values.least);
  }
  return isGood ? 0 : FAILED;
}

/** The simulation of a core in which the mistake is planted. */
async function simulationOf({ planted }: Mutant): Promise<Simulation> {
  const plugin: Plugin = {
    name: "plants mistakes",
    enforce: "pre",
    transform(code, id) {
      const here = planted.filter(({ file }) => id === `${ROOT}${file}`);
      return here.reduce((text, { from, to }) => text.replace(from, () => to), code);
    },
  };
  const { module } = await runnerImport<Simulation>(SIMULATE, {
    configFile: false,
    logLevel: "error",
    root: ROOT,
    plugins: [plugin],
  });
  return module;
}

/** The first line of what a run was ended by; undefined: it kept its promises. */
async function violationOf(run: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return (error instanceof Error ? error.message : String(error)).split("\n")[0];
  }
}
