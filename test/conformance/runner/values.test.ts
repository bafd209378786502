// A matcher that let everything pass would make every transcript pass.

import { describe, expect, test } from "vitest";
import type { Json } from "../../support/client/index.js";
import { difference, resolve } from "./values.js";

function names(): { readonly lookup: (path: readonly string[]) => Json | undefined; readonly map: Map<string, Json> } {
  const map = new Map<string, Json>();
  const lookup = ([first = "", ...rest]: readonly string[]): Json | undefined => {
    if (first === "room") return `${rest.join(".")}-run`;
    return rest.length === 0 ? map.get(first) : undefined;
  };
  return { lookup, map };
}

function differs(expected: Json, actual: Json | undefined): boolean {
  const { lookup, map } = names();
  return difference(expected, actual, lookup, (name, value) => map.set(name, value)) !== undefined;
}

describe("an expectation", () => {
  test("is met by the same value and by an object that holds more", () => {
    expect(differs({ a: 1, b: { c: "x" } }, { a: 1, b: { c: "x", d: 2 }, e: true })).toBe(false);
  });

  test("is not met by another value, an absent field, another type", () => {
    expect(differs({ a: 1 }, { a: 2 })).toBe(true);
    expect(differs({ a: 1 }, {})).toBe(true);
    expect(differs({ a: 1 }, { a: "1" })).toBe(true);
    expect(differs({ a: {} }, {})).toBe(true);
    expect(differs({ a: {} }, undefined)).toBe(true);
  });

  test("of a default is met by an absent field, and by no other value", () => {
    expect(differs({ a: false, b: 0, c: "" }, {})).toBe(false);
    expect(differs({ a: false }, { a: true })).toBe(true);
  });

  test("of a list is met by just its items, in order", () => {
    expect(differs([{ a: 1 }, 2], [{ a: 1 }, 2])).toBe(false);
    expect(differs([1, 2], [2, 1])).toBe(true);
    expect(differs([1], [1, 2])).toBe(true);
    expect(differs([1, 2], [1])).toBe(true);
    expect(differs([], undefined)).toBe(false);
  });

  test("of $any wants a field, of $absent none", () => {
    expect(differs({ a: "$any" }, { a: 1 })).toBe(false);
    expect(differs({ a: "$any" }, {})).toBe(true);
    expect(differs({ a: "$absent" }, {})).toBe(false);
    expect(differs({ a: "$absent" }, { a: 1 })).toBe(true);
  });

  test("captures under a new name and compares under a known one", () => {
    expect(differs({ a: "$place", b: "$place" }, { a: { seq: 1, tag: 2 }, b: { seq: 1, tag: 2 } })).toBe(false);
    expect(differs({ a: "$place", b: "$place" }, { a: { seq: 1, tag: 2 }, b: { seq: 1, tag: 3 } })).toBe(true);
    expect(differs({ a: "$place" }, {})).toBe(true);
  });

  test("of a reference is met by what it stands for", () => {
    expect(differs({ a: "$room.lobby" }, { a: "lobby-run" })).toBe(false);
    expect(differs({ a: "$room.lobby" }, { a: "lobby" })).toBe(true);
  });
});

describe("a value to send", () => {
  test("has its references, insertions and fillers replaced", () => {
    const { lookup, map } = names();
    map.set("i", 3);
    // biome-ignore lint/suspicious/noTemplateCurlyInString: how transcripts write it.
    expect(resolve({ a: "$room.lobby-${i}", b: ["$x*4"], d: "$i" }, lookup)).toEqual({
      a: "lobby-3-run",
      b: ["xxxx"],
      d: 3,
    });
  });

  test("with a name that nobody has given is refused", () => {
    expect(() => resolve("$nobody", names().lookup)).toThrow("nobody");
  });
});
