// What a benchmark writes: rows of medians with the values they come from, and the machine they were taken on.

import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { median } from "./stats.js";

export const BENCH_NAMES = [
  "fanout",
  "publish",
  "memory",
  "resume",
  "channel",
  "presence",
  "typing",
  "receipts",
  "service",
  "cluster",
  "archive",
  "compression",
  "leases",
  "drain",
  "edge",
  "sdk",
] as const;

export type BenchName = (typeof BENCH_NAMES)[number];

/** One figure of one case in one run. */
export interface Sample {
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  readonly value: number;
  /** What it is to be, e.g. "< 8". */
  readonly aim?: string;
}

/** One figure of one case over all runs. */
export interface Row {
  readonly case: string;
  readonly metric: string;
  readonly unit: string;
  /** The median of `runs`; null when no run gave a number. */
  readonly value: number | null;
  /** The value of each run, in order; null where it gave no number. */
  readonly runs: readonly (number | null)[];
  /** What it is to be, e.g. "< 8". */
  readonly aim?: string;
}

/** Where figures were taken: compare only within one machine. */
export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memory_gib: number;
  readonly kernel: string;
  readonly node: string;
  readonly commit: string;
  readonly date: string;
}

export interface BenchResult {
  readonly bench: BenchName;
  /** True: short windows and one run; good for seeing that it works, not for quoting. */
  readonly quick: boolean;
  readonly machine: Machine;
  readonly rows: readonly Row[];
}

/** Groups samples by case and metric, in the order they first appeared. */
export function toRows(samples: readonly Sample[]): readonly Row[] {
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const key = `${sample.case}\n${sample.metric}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [sample]);
    else group.push(sample);
  }
  return [...groups.values()].flatMap((group) => {
    const first = group[0];
    if (first === undefined) return [];
    const values = group.map((sample) => sample.value);
    return [
      {
        case: first.case,
        metric: first.metric,
        unit: first.unit,
        value: toNumber(median(values)),
        runs: values.map(toNumber),
        ...(first.aim === undefined ? {} : { aim: first.aim }),
      },
    ];
  });
}

/** JSON knows no NaN. */
function toNumber(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Facts of this machine, without its name. */
export function describeMachine(now: Date): Machine {
  const cores = cpus();
  return {
    cpu: cores[0]?.model.trim() ?? "unknown",
    cores: cores.length,
    memory_gib: Math.round(totalmem() / 1024 ** 3),
    kernel: `${process.platform} ${release()}`,
    node: process.version,
    commit: commit(),
    date: now.toISOString().slice(0, 10),
  };
}

function commit(): string {
  try {
    return execFileSync("git", ["rev-parse", "--short", "HEAD"], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return "unknown";
  }
}

/** Reads a file that `--json` wrote. */
export function readResult(file: string): BenchResult {
  const value: unknown = JSON.parse(readFileSync(file, "utf8"));
  if (!isResult(value)) throw new Error(`${file} is not a result of \`npm run bench\``);
  return value;
}

function isResult(value: unknown): value is BenchResult {
  return (
    typeof value === "object" &&
    value !== null &&
    "bench" in value &&
    BENCH_NAMES.some((name) => name === value.bench) &&
    "machine" in value &&
    typeof value.machine === "object" &&
    "rows" in value &&
    Array.isArray(value.rows)
  );
}
