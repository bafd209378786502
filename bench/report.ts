// Puts measured figures into docs/benchmarks.md: each table stands between two comments that name its benchmark.

import type { BenchResult, Machine } from "./result.js";
import { toTable } from "./table.js";

/** The page with the tables of these results in place of those it has. */
export function fillReport(page: string, results: readonly BenchResult[]): string {
  return results.reduce((text, result) => {
    const begin = `<!-- ${result.bench}: begin -->`;
    const end = `<!-- ${result.bench}: end -->`;
    const from = text.indexOf(begin);
    const to = text.indexOf(end);
    if (from < 0 || to < from) throw new Error(`the page has no place for ${result.bench}: ${begin} … ${end}`);
    return `${text.slice(0, from)}${begin}\n\n${section(result)}\n\n${text.slice(to)}`;
  }, page);
}

function section(result: BenchResult): string {
  const runs = Math.max(0, ...result.rows.map((row) => row.runs.length));
  const quick = result.quick ? " Taken with `--quick`: short windows." : "";
  return `${toTable(result.rows)}\n\nMedian of ${runs} ${runs === 1 ? "run" : "runs"}.${quick} ${describe(result.machine)}`;
}

function describe(machine: Machine): string {
  return `${machine.cores} cores of ${machine.cpu}, ${machine.memory_gib} GiB, ${machine.kernel}, Node ${machine.node}, commit ${machine.commit}, ${machine.date}.`;
}
