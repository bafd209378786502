// Tools that some tests need beside Node. Where one is missing the test is skipped with its name; in CI it fails.

import { existsSync } from "node:fs";
import { test } from "vitest";

const VARIABLES = {
  python: "TRUNKLINE_TEST_PYTHON",
  chromium: "TRUNKLINE_TEST_CHROMIUM",
  grpcurl: "TRUNKLINE_TEST_GRPCURL",
} as const;

export type Tool = keyof typeof VARIABLES;

/** The tool's path; empty where it is missing. */
export function toolPath(tool: Tool): string {
  const path = process.env[VARIABLES[tool]] ?? "";
  return existsSync(path) ? path : "";
}

/** `test`, or a skipped one whose title says what is missing. */
export function testWith(tool: Tool, title: string, body: (path: string) => Promise<void>, timeoutMs: number): void {
  const path = toolPath(tool);
  if (path !== "") test(title, () => body(path), timeoutMs);
  else if (process.env.CI === "true") {
    test(title, () => {
      throw new Error(`${VARIABLES[tool]} names no ${tool}: in CI it must be there`);
    });
  } else test.skip(`${title} (needs ${tool}: source .ci/tools.sh)`, () => undefined);
}
