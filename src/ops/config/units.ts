// Durations and sizes as people write them.

const DURATION_UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** "250ms", "10s", "30d", or a bare number of milliseconds. Undefined: not a duration. */
export function parseDuration(text: string): number | undefined {
  return parse(text, DURATION_UNITS);
}

/** The shortest way to write a duration exactly. */
export function formatDuration(ms: number): string {
  return format(ms, DURATION_UNITS);
}

/** "64KiB", "1MiB", or a bare number of bytes. Undefined: not a size. */
export function parseSize(text: string): number | undefined {
  return parse(text, SIZE_UNITS);
}

/** The shortest way to write a size exactly. */
export function formatSize(bytes: number): string {
  return format(bytes, SIZE_UNITS);
}

function parse(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim());
  if (match === null) return undefined;
  const [, amount, unit] = match;
  const factor =
    unit === "" ? 1 : Object.entries(units).find(([name]) => name.toLowerCase() === unit?.toLowerCase())?.[1];
  if (factor === undefined) return undefined;
  const value = Number(amount) * factor;
  return Number.isSafeInteger(value) ? value : undefined;
}

function format(value: number, units: Readonly<Record<string, number>>): string {
  const largestFirst = Object.entries(units).reverse();
  const [name, factor] = largestFirst.find(([, size]) => value >= size && value % size === 0) ?? ["", 1];
  return value === 0 ? "0" : `${value / factor}${name}`;
}
