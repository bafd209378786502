// From what the sources state to one complete configuration.

import { flagName } from "./names.js";
import type { Option } from "./option.js";
import { type Config, OPTION_KEYS, OPTIONS, type OptionKey } from "./options.js";
import {
  ConfigError,
  dotEnvSource,
  type Environment,
  environmentSource,
  fileSource,
  type Source,
  type Stated,
} from "./sources.js";

export interface ResolveInput {
  /** Options given as flags. */
  readonly flags: ReadonlyMap<OptionKey, string | boolean | readonly string[]>;
  readonly environment: Environment;
  /** Where `.env` is looked for. */
  readonly directory: string;
  /** What the command itself prefers to the declared defaults. */
  readonly defaults?: Partial<Config>;
}

/** The configuration, and where each value came from. */
export interface Resolved {
  readonly config: Config;
  /** "default", or what stated the value: "--grpc-port", "TRUNKLINE_GRPC_PORT", "TRUNKLINE_GRPC_PORT in .env", a file's path. */
  readonly origins: Readonly<Record<OptionKey, string>>;
}

/** The origin of what nobody stated. */
export const ORIGIN_DEFAULT = "default";

/** Flags over environment over `.env` over the file over defaults. Throws ConfigError with every problem there is. */
export function resolveConfig(input: ResolveInput): Resolved {
  const named = [flagSource(input.flags), environmentSource(input.environment), dotEnvSource(input.directory)];
  const path = strongest(named, "config")?.value;
  const sources = typeof path === "string" ? [...named, fileSource(path)] : named;

  const problems = sources.flatMap((source) => source.problems);
  const values: Partial<Record<OptionKey, unknown>> = {};
  const origins: Partial<Record<OptionKey, string>> = {};
  for (const key of OPTION_KEYS) {
    const stated = strongest(sources, key);
    values[key] = stated === undefined ? defaultOf(key, input.defaults) : read(key, stated, problems);
    origins[key] = stated?.origin ?? ORIGIN_DEFAULT;
  }
  if (problems.length > 0) throw new ConfigError(problems);
  // Each key was just given the value that its own schema read.
  return { config: values as Config, origins: origins as Record<OptionKey, string> };
}

function strongest(sources: readonly Source[], key: OptionKey): Stated | undefined {
  for (const source of sources) {
    const stated = source.stated.get(key);
    if (stated !== undefined) return stated;
  }
  return undefined;
}

function defaultOf(key: OptionKey, preferred: Partial<Config> = {}): unknown {
  return preferred[key] ?? OPTIONS[key].fallback;
}

function read(key: OptionKey, stated: Stated, problems: string[]): unknown {
  const option: Option<unknown> = OPTIONS[key];
  const result = option.schema.safeParse(stated.value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const shown = option.secret ? "" : ` (${JSON.stringify(stated.value)})`;
  problems.push(`${where(key, stated)}: ${issue?.message ?? "is invalid"}${shown}`);
  return undefined;
}

/** A file's path alone would not say which option is meant. */
function where(key: OptionKey, stated: Stated): string {
  return stated.origin.startsWith("--") || stated.origin.startsWith("TRUNKLINE_")
    ? stated.origin
    : `${stated.origin}: ${key}`;
}

function flagSource(flags: ResolveInput["flags"]): Source {
  const stated = new Map<OptionKey, Stated>();
  for (const [key, value] of flags) stated.set(key, { value, origin: `--${flagName(key)}` });
  return { stated, problems: [] };
}
