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
