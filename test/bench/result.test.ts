// How the samples of several runs become rows and tables.

import { describe, expect, it } from "vitest";
import { fillReport } from "../../bench/report.js";
import { toRows } from "../../bench/result.js";
import { toTable } from "../../bench/table.js";

const SAMPLES = [
  { case: "ws 20/s", metric: "latency_p50_ms", unit: "ms", value: 3 },
  { case: "ws 20/s", metric: "delivered_ratio", unit: "", value: 1 },
  { case: "ws 20/s", metric: "latency_p50_ms", unit: "ms", value: 1 },
  { case: "ws 20/s", metric: "latency_p50_ms", unit: "ms", value: Number.NaN },
];

describe("rows", () => {
  it("hold the median and each run's value, null where a run gave no number", () => {
    expect(toRows(SAMPLES)).toEqual([
      { case: "ws 20/s", metric: "latency_p50_ms", unit: "ms", value: 2, runs: [3, 1, null] },
      { case: "ws 20/s", metric: "delivered_ratio", unit: "", value: 1, runs: [1] },
    ]);
  });
});

describe("the table", () => {
  it("has a line per case and a column per metric", () => {
    const [head, , line] = toTable(toRows(SAMPLES)).split("\n");
    expect(head).toContain("latency p50 ms | delivered ratio");
    expect(line).toMatch(/^\| ws 20\/s \| +2\.00 \| +1\.00 \|$/);
  });
});

describe("cases that have no figure in common", () => {
  it("have a table each", () => {
    const rows = toRows([
      { case: "busy 1", metric: "per_s", unit: "1/s", value: 1 },
      { case: "idle 1", metric: "cpu", unit: "%", value: 2 },
      { case: "busy 2", metric: "per_s", unit: "1/s", value: 3 },
    ]);
    const [busy = "", idle = "", ...more] = toTable(rows).split("\n\n");
    expect(more).toEqual([]);
    expect(busy).toMatch(/^\| case +\| per s \(1\/s\) \|\n.*\n\| busy 1 .*\n\| busy 2 .*$/);
    expect(idle).toMatch(/^\| case +\| cpu \(%\) \|\n.*\n\| idle 1 .*$/);
  });

  it("share one where another has figures of both", () => {
    const figure = (name: string, metric: string) => ({ case: name, metric, unit: "", value: 1 });
    const rows = toRows([figure("a", "x"), figure("b", "y"), figure("c", "x"), figure("c", "y")]);
    expect(toTable(rows).split("\n\n")).toHaveLength(1);
  });
});

describe("the report", () => {
  const machine = {
    cpu: "C",
    cores: 2,
    memory_gib: 4,
    kernel: "linux 6",
    node: "v24",
    commit: "abc",
    date: "2026-01-01",
  };
  const result = { bench: "memory", quick: false, machine, rows: toRows(SAMPLES) } as const;
  const page = "before\n<!-- memory: begin -->\nold\n<!-- memory: end -->\nafter\n";

  it("replaces only what stands between its comments, again and again", () => {
    const once = fillReport(page, [result]);
    expect(once).toContain("| ws 20/s |");
    expect(once).not.toContain("old");
    expect(once.startsWith("before\n") && once.endsWith("\nafter\n")).toBe(true);
    expect(fillReport(once, [result])).toBe(once);
  });

  it("refuses a page without a place for the result", () => {
    expect(() => fillReport("nothing", [result])).toThrow("no place for memory");
  });
});
