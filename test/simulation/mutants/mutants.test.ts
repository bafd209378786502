// The mistakes that are planted can be.

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { MUTANTS } from "./mutants.js";

describe("mistakes to be planted", () => {
  it.each(MUTANTS)("$name stands where it is to be planted, once", ({ planted }) => {
    for (const { file, from } of planted) {
      const text = readFileSync(new URL(`../../../${file}`, import.meta.url), "utf8");
      expect(text.split(from), file).toHaveLength(2);
    }
  });
});
