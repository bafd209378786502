// Certificates, keys and secrets named by options.

import { readFileSync } from "node:fs";
import { flagName } from "../ops/config/names.js";
import type { Config, OptionKey } from "../ops/config/options.js";
import { CommandError } from "./exit-code.js";

export type FileOption = { readonly [K in OptionKey]: Config[K] extends string | undefined ? K : never }[OptionKey];

/** The content of the file an option names, if it names one. Throws CommandError where it cannot be read. */
export function readPem(config: Config, key: FileOption): Buffer | undefined {
  const path = config[key];
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    throw new CommandError(`--${flagName(key)}: ${error instanceof Error ? error.message : path}`);
  }
}

export interface PemPair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** A certificate and its key: both, or neither. */
export function readPair(config: Config, certKey: FileOption, keyKey: FileOption): PemPair | undefined {
  const cert = readPem(config, certKey);
  const key = readPem(config, keyKey);
  if (cert === undefined && key === undefined) return undefined;
  if (cert !== undefined && key !== undefined) return { cert, key };
  throw new CommandError(`--${flagName(certKey)} and --${flagName(keyKey)} go together`);
}

/** The text of the file an option names, if it names one. Throws CommandError where it cannot be read. */
export function readSecret<F extends FileOption>(config: Pick<Config, F>, file: F): string | undefined {
  const path = config[file];
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    throw new CommandError(`--${flagName(file)}: ${error instanceof Error ? error.message : path}`);
  }
}
