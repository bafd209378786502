// Where values come from: each source gives what it states, unread, and names what it does not know.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseEnv } from "node:util";
import * as z from "zod";
import { keyOfField, keyOfVariable, VARIABLE_PREFIX, variableName } from "./names.js";
import { unknownName } from "./nearest.js";
import { OPTION_KEYS, type OptionKey } from "./options.js";

/** The configuration cannot be used. Each problem is one line for a person. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join("\n"));
    this.problems = problems;
  }
}

/** One value as stated somewhere, and where, for messages. */
export interface Stated {
  readonly value: unknown;
  readonly origin: string;
}

/** What one source states. */
export interface Source {
  readonly stated: ReadonlyMap<OptionKey, Stated>;
  readonly problems: readonly string[];
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Names under the prefix that are not settings: a client's token, test tools, and the addresses Kubernetes gives of a Service named trunkline. */
const FOREIGN_VARIABLES = [
  /^TRUNKLINE_TOKEN$/,
  /^TRUNKLINE_TEST_/,
  /_SERVICE_(HOST|PORT)(_.+)?$/,
  /_PORT_\d+_(TCP|UDP|SCTP)(_.+)?$/,
];
/** Kubernetes gives such a value to TRUNKLINE_PORT and, for a Service named trunkline-grpc, to TRUNKLINE_GRPC_PORT. */
const SERVICE_LINK = /^(tcp|udp|sctp):\/\//;

/** Settings of the process's environment. An empty variable counts as not set. */
export function environmentSource(environment: Environment): Source {
  return variables(environment, (name) => name);
}

/** Settings of the `.env` file in a directory, if there is one. */
export function dotEnvSource(directory: string): Source {
  const content = readIfThere(join(directory, ".env"));
  return content === undefined
    ? { stated: new Map(), problems: [] }
    : variables(parseEnv(content), (name) => `${name} in .env`);
}

/** Settings of a JSON file. */
export function fileSource(path: string): Source {
  const content = readIfThere(path);
  if (content === undefined) return { stated: new Map(), problems: [`${path}: there is no such file`] };
  const stated = new Map<OptionKey, Stated>();
  const problems: string[] = [];
  for (const [name, value] of Object.entries(parseObject(path, content, problems))) {
    const key = keyOfField(name);
    if (key === undefined) problems.push(`${path}: ${unknownName("option", name, OPTION_KEYS)}`);
    else if (key === "config") problems.push(`${path}: config: a file cannot name another file`);
    else stated.set(key, { value, origin: path });
  }
  return { stated, problems };
}

function variables(environment: Environment, origin: (name: string) => string): Source {
  const stated = new Map<OptionKey, Stated>();
  const problems: string[] = [];
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || value === "" || !name.startsWith(VARIABLE_PREFIX) || isForeign(name, value)) continue;
    const key = keyOfVariable(name);
    if (key === undefined) problems.push(unknownName("variable", origin(name), OPTION_KEYS.map(variableName)));
    else stated.set(key, { value, origin: origin(name) });
  }
  return { stated, problems };
}

function isForeign(name: string, value: string): boolean {
  return SERVICE_LINK.test(value) || FOREIGN_VARIABLES.some((pattern) => pattern.test(name));
}

function parseObject(path: string, content: string, problems: string[]): Record<string, unknown> {
  try {
    const parsed = z.record(z.string(), z.unknown()).safeParse(JSON.parse(content));
    if (parsed.success) return parsed.data;
    problems.push(`${path}: must be a JSON object of options`);
  } catch (error) {
    problems.push(`${path}: is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  return {};
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw new ConfigError([`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`]);
  }
}
