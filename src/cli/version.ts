// trunkline version

import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Command } from "./command.js";
import { EXIT } from "./exit-code.js";

/** This package's version. */
export function packageVersion(): string {
  // The built file lies deeper than its source.
  for (let directory = import.meta.dirname; ; directory = dirname(directory)) {
    const path = join(directory, "package.json");
    if (existsSync(path)) {
      const described: unknown = JSON.parse(readFileSync(path, "utf8"));
      if (typeof described === "object" && described !== null && "version" in described)
        return String(described.version);
    }
    if (directory === dirname(directory)) return "unknown";
  }
}

export const versionCommand: Command = {
  name: "version",
  summary: "print the version",
  usage: "",
  description: "Prints the version of Trunkline, and of the Node that runs it.",
  examples: [],
  positionals: [],
  flags: {},
  groups: [],
  also: [],
  without: [],
  defaults: {},
  run: async ({ terminal }) => {
    terminal.out(`trunkline ${packageVersion()} (Node ${process.versions.node})\n`);
    return EXIT.ok;
  },
};
