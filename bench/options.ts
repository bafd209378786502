// The command line of `npm run bench`.

import { parseArgs } from "node:util";
import { BENCH_NAMES, type BenchName } from "./result.js";

export const USAGE = `npm run bench -- ${BENCH_NAMES.join("|")} [options]
npm run bench -- report FILE…        fills the tables of docs/benchmarks.md from files written by --json

  --json FILE     also write the result to FILE
  --quick         one run, short windows: shows that it works
  --runs N        runs per case; the median is reported (default 3, with --quick 1)
  --cases A,B     only cases whose name is A or begins with "A ", e.g. --cases "trunkline-binary,ws 150/s"
  --connections N  as many clients as this, where the benchmark is of connections (drain; edge: on each bridge)
  --profile DIR   write CPU profiles of Trunkline's processes to DIR (costs CPU itself: do not quote such figures)`;

export interface BenchOptions {
  readonly bench: BenchName;
  readonly json?: string;
  readonly quick: boolean;
  readonly runs: number;
  /** Of `drain`, and of each bridge of `edge`. Undefined: the benchmark's own size. */
  readonly connections?: number;
  readonly profile?: string;
  /** Whether a case was asked for. */
  readonly wants: (name: string) => boolean;
}

export type Request =
  | { readonly kind: "bench"; readonly options: BenchOptions }
  | { readonly kind: "report"; readonly files: readonly string[] }
  | { readonly kind: "usage"; readonly problem: string };

const DEFAULT_RUNS = 3;
const MOST_RUNS = 20;
/** A room's members. */
const LEAST_CONNECTIONS = 10;

/** Reads the arguments after the script's name. */
export function parseRequest(argv: readonly string[]): Request {
  try {
    const { values, positionals } = parseArgs({
      args: [...argv],
      allowPositionals: true,
      options: {
        json: { type: "string" },
        quick: { type: "boolean", default: false },
        runs: { type: "string" },
        cases: { type: "string" },
        profile: { type: "string" },
        connections: { type: "string" },
      },
    });
    const [command, ...rest] = positionals;
    if (command === "report") {
      return rest.length > 0 ? { kind: "report", files: rest } : usage("report needs the files to read");
    }
    const bench = BENCH_NAMES.find((name) => name === command);
    if (bench === undefined)
      return usage(command === undefined ? "which benchmark?" : `there is no benchmark "${command}"`);
    if (rest.length > 0) return usage(`one benchmark at a time: "${rest.join(" ")}" is too much`);
    const runs = values.runs === undefined ? (values.quick ? 1 : DEFAULT_RUNS) : Number(values.runs);
    if (!Number.isInteger(runs) || runs < 1 || runs > MOST_RUNS) return usage(`--runs takes 1 to ${MOST_RUNS}`);
    const connections = values.connections === undefined ? undefined : Number(values.connections);
    if (connections !== undefined && !(Number.isInteger(connections) && connections >= LEAST_CONNECTIONS))
      return usage(`--connections takes ${LEAST_CONNECTIONS} or more`);
    const cases = values.cases
      ?.split(",")
      .map((name) => name.trim())
      .filter((name) => name !== "");
    return {
      kind: "bench",
      options: {
        bench,
        quick: values.quick,
        runs,
        ...(connections === undefined ? {} : { connections }),
        ...(values.json === undefined ? {} : { json: values.json }),
        ...(values.profile === undefined ? {} : { profile: values.profile }),
        wants: (name) => cases === undefined || cases.some((one) => name === one || name.startsWith(`${one} `)),
      },
    };
  } catch (error) {
    return usage(error instanceof Error ? error.message : String(error));
  }
}

function usage(problem: string): Request {
  return { kind: "usage", problem };
}
