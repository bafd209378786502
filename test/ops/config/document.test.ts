// What is written down about the options is what the options are.

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import {
  configurationTables,
  effectiveJson,
  effectiveTable,
  environmentTemplate,
} from "../../../src/ops/config/document.js";
import { flagName, keyOfFlag, keyOfVariable, variableName } from "../../../src/ops/config/names.js";
import { OPTION_KEYS } from "../../../src/ops/config/options.js";
import { resolveConfig } from "../../../src/ops/config/resolve.js";
import { resolve, useDirectory } from "./config-input.js";

const root = join(import.meta.dirname, "../../..");

describe("names", () => {
  test.each(OPTION_KEYS)("%s is found again by its flag and its variable", (key) => {
    expect(keyOfFlag(flagName(key))).toBe(key);
    expect(keyOfVariable(variableName(key))).toBe(key);
  });
});

describe("documentation", () => {
  test(".env.example is current: `trunkline config --format env > .env.example`", () => {
    expect(readFileSync(join(root, ".env.example"), "utf8")).toBe(environmentTemplate());
  });

  test("docs/operations.md holds the current tables: `trunkline config --format markdown`", () => {
    expect(readFileSync(join(root, "docs/operations.md"), "utf8")).toContain(configurationTables());
  });

  test("each default of .env.example, uncommented, is a valid value and changes nothing", () => {
    const directory = useDirectory();
    writeFileSync(join(directory, ".env"), environmentTemplate().replaceAll(/^#TRUNKLINE/gm, "TRUNKLINE"));
    expect(resolveConfig({ flags: new Map(), environment: {}, directory }).config).toEqual(resolve({}).config);
  });
});

describe("the effective configuration", () => {
  const secret = "correct-horse-battery-staple-0123";
  const resolved = () => resolve({ environment: { TRUNKLINE_JWT_SECRET: secret }, flags: { grpcPort: "7000" } });

  test("says each value and where it came from", () => {
    expect(effectiveTable(resolved())).toMatch(/^grpcPort +7000 +--grpc-port$/m);
    expect(effectiveTable(resolved())).toMatch(/^bridgePort +8080 +default$/m);
    expect(JSON.parse(effectiveJson(resolved())).grpcPort).toEqual({ value: 7000, origin: "--grpc-port" });
  });

  test("masks secrets, and shows that one is not set", () => {
    for (const text of [effectiveTable(resolved()), effectiveJson(resolved())]) {
      expect(text).not.toContain(secret);
      expect(text).toContain("********");
    }
    expect(effectiveTable(resolve({}))).toMatch(/^jwtSecret +- +default$/m);
  });
});
