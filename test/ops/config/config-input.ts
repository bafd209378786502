// A directory of its own with the files a configuration may come from.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { OptionKey } from "../../../src/ops/config/options.js";
import { type Resolved, type ResolveInput, resolveConfig } from "../../../src/ops/config/resolve.js";
import { ConfigError } from "../../../src/ops/config/sources.js";

export interface Given {
  readonly flags?: Partial<Record<OptionKey, string | boolean | readonly string[]>>;
  readonly environment?: Readonly<Record<string, string>>;
  readonly dotEnv?: string;
  /** The content of the configuration file; an object is written as JSON. */
  readonly file?: unknown;
  readonly defaults?: ResolveInput["defaults"];
}

/** A new directory, removed after the test. */
export function useDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "trunkline-config-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function resolve(given: Given): Resolved {
  const directory = useDirectory();
  if (given.dotEnv !== undefined) writeFileSync(join(directory, ".env"), given.dotEnv);
  const path = join(directory, "trunkline.json");
  if (given.file !== undefined) {
    writeFileSync(path, typeof given.file === "string" ? given.file : JSON.stringify(given.file));
  }
  const flags = new Map<OptionKey, string | boolean | readonly string[]>();
  for (const [key, value] of Object.entries(given.flags ?? {})) flags.set(key as OptionKey, value);
  if (given.file !== undefined) flags.set("config", path);
  return resolveConfig({
    flags,
    environment: given.environment ?? {},
    directory,
    ...(given.defaults === undefined ? {} : { defaults: given.defaults }),
  });
}

/** What is wrong with it, with the directory's path taken out. */
export function problems(given: Given): readonly string[] {
  try {
    resolve(given);
  } catch (error) {
    if (error instanceof ConfigError)
      return error.problems.map((line) => line.replace(/\/\S*\/trunkline\.json/, "FILE"));
    throw error;
  }
  return [];
}
