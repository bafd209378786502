// Turns rows into a table: one line per case, one column per metric; for the terminal or in Markdown.

import type { Row } from "./result.js";

interface Column {
  readonly metric: string;
  readonly unit: string;
}

/**
 * The rows as a Markdown table, columns padded so that it reads well on a terminal too; as several, one below the other, where cases have no
 * figure in common.
 */
export function toTable(rows: readonly Row[]): string {
  return groupsOf(rows).map(tableOf).join("\n\n");
}

/** Rows of cases that have figures in common, in the order of their first case. */
function groupsOf(rows: readonly Row[]): readonly (readonly Row[])[] {
  const groups: { readonly metrics: Set<string>; readonly rows: Row[] }[] = [];
  for (const name of new Set(rows.map((row) => row.case))) {
    const own = rows.filter((row) => row.case === name);
    const [group, ...others] = groups.filter(({ metrics }) => own.some(({ metric }) => metrics.has(metric)));
    const into = group ?? { metrics: new Set<string>(), rows: [] };
    if (group === undefined) groups.push(into);
    // A case that has something in common with several brings them together.
    for (const other of others) {
      groups.splice(groups.indexOf(other), 1);
      into.rows.push(...other.rows);
      for (const metric of other.metrics) into.metrics.add(metric);
    }
    into.rows.push(...own);
    for (const { metric } of own) into.metrics.add(metric);
  }
  return groups.map((group) => group.rows);
}

function tableOf(rows: readonly Row[]): string {
  const columns = columnsOf(rows);
  const cases = [...new Set(rows.map((row) => row.case))];
  const lines = [
    ["case", ...columns.map(title)],
    ...cases.map((name) => [
      name,
      ...columns.map((column) => {
        const row = rows.find((candidate) => candidate.case === name && candidate.metric === column.metric);
        return row === undefined ? "" : cell(row);
      }),
    ]),
  ];
  const widths = ["case", ...columns].map((_, at) => Math.max(3, ...lines.map((line) => (line[at] ?? "").length)));
  const [head = [], ...body] = lines.map((line) =>
    line.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))),
  );
  const rule = widths.map((width, at) => (at === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [head, rule, ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

function columnsOf(rows: readonly Row[]): readonly Column[] {
  const columns = new Map<string, Column>();
  for (const row of rows) columns.set(row.metric, { metric: row.metric, unit: row.unit });
  return [...columns.values()];
}

function title(column: Column): string {
  const name = column.metric.replaceAll("_", " ");
  return column.unit === "" || name.endsWith(` ${column.unit}`) ? name : `${name} (${column.unit})`;
}

/** With what it is to be, where that was said. */
function cell({ value, aim }: Row): string {
  return aim === undefined ? format(value) : `${format(value)} (${aim})`;
}

/** Three digits that mean something; a dash where there is no figure. */
function format(value: number | null): string {
  if (value === null) return "–";
  const size = Math.abs(value);
  if (size >= 1000) return Math.round(value).toLocaleString("en-US");
  if (size >= 100) return value.toFixed(0);
  if (size >= 10) return value.toFixed(1);
  return value.toFixed(2);
}
