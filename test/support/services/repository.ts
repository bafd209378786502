// Where this repository's files are, also for what was compiled: benchmarks start the services that tests use.

import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The file or directory at this path of the repository. */
export function repositoryPath(path: string): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); ; at = dirname(at)) {
    if (existsSync(join(at, "package.json"))) return join(at, path);
    if (at === dirname(at)) throw new Error("this file is in no repository");
  }
}
