// What transcripts write for values: references on the way out, expectations on the way in.

import { at, isArray, isObject, type Json, type JsonObject } from "../../support/client/index.js";

/** Looks up a `$name`; undefined when nothing has that name. */
export type Lookup = (path: readonly string[]) => Json | undefined;
/** Remembers a value under a name. */
export type Capture = (name: string, value: Json) => void;

const FILLER = /^\$(.)\*(\d+)$/u;

/** Replaces `$name`, `$name.path`, `$x*100` and `${name}` by what they stand for. Throws on a name nobody has given. */
export function resolve(value: Json, lookup: Lookup): Json {
  if (typeof value === "string") return resolveText(value, lookup);
  if (isArray(value)) return value.map((item) => resolve(item, lookup));
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, resolve(item, lookup)]));
}

export function resolveObject(value: JsonObject, lookup: Lookup): JsonObject {
  const resolved = resolve(value, lookup);
  return isObject(resolved) ? resolved : {};
}

function resolveText(raw: string, lookup: Lookup): Json {
  const filled = raw.replaceAll(/\$\{([^}]+)\}/gu, (_all, name: string) => String(found(name, lookup)));
  const filler = FILLER.exec(filled);
  if (filler !== null) return (filler[1] ?? "").repeat(Number(filler[2]));
  return filled.startsWith("$") ? found(filled.slice(1), lookup) : filled;
}

function found(name: string, lookup: Lookup): Json {
  const value = lookup(name.split("."));
  if (value === undefined) throw new Error(`nothing has the name $${name}`);
  return value;
}

/**
 * Says where `actual` differs from what is expected; undefined: nowhere. Objects may hold more than expected; lists may not.
 * false, 0 and "" also match an absent field, as in proto3. A `$name` that is not known yet takes the value it meets.
 */
export function difference(
  expected: Json,
  actual: Json | undefined,
  lookup: Lookup,
  capture: Capture,
  path = "",
): string | undefined {
  const here = path === "" ? "the frame" : path;
  if (expected === "$any") return actual === undefined ? `${here} is absent` : undefined;
  if (expected === "$absent")
    return actual === undefined ? undefined : `${here} is ${JSON.stringify(actual)}, not absent`;
  if (typeof expected === "string" && /^\$[a-z]\w*$/iu.test(expected) && lookup([expected.slice(1)]) === undefined) {
    if (actual === undefined) return `${here} is absent`;
    capture(expected.slice(1), actual);
    return undefined;
  }
  if (isArray(expected)) return listDifference(expected, actual, lookup, capture, here);
  if (isObject(expected)) {
    if (!isObject(actual)) return `${here} is ${JSON.stringify(actual)}, not an object`;
    for (const [key, value] of Object.entries(expected)) {
      const inner = difference(value, at(actual, key), lookup, capture, path === "" ? key : `${path}.${key}`);
      if (inner !== undefined) return inner;
    }
    return undefined;
  }
  const wanted = resolve(expected, lookup);
  if (isObject(wanted) || isArray(wanted)) return difference(wanted, actual, lookup, capture, path);
  const met = actual ?? (wanted === false || wanted === 0 || wanted === "" ? wanted : undefined);
  return met === wanted ? undefined : `${here} is ${JSON.stringify(actual)}, not ${JSON.stringify(wanted)}`;
}

function listDifference(
  expected: readonly Json[],
  actual: Json | undefined,
  lookup: Lookup,
  capture: Capture,
  here: string,
): string | undefined {
  const list = isArray(actual) ? actual : [];
  for (const [index, value] of expected.entries()) {
    const inner = difference(value, list[index], lookup, capture, `${here}[${index}]`);
    if (inner !== undefined) return inner;
  }
  return list.length === expected.length ? undefined : `${here} has ${list.length} items, not ${expected.length}`;
}
