// argv → what was stated, by name. Knows nothing of what a value means.

import { parseArgs } from "node:util";
import { declared } from "../ops/config/document.js";
import { flagName, keyOfFlag, variableName } from "../ops/config/names.js";
import { unknownName } from "../ops/config/nearest.js";
import type { OptionKey } from "../ops/config/options.js";
import type { Command } from "./command.js";
import { CommandError } from "./exit-code.js";
import { optionsOf } from "./options-of.js";

export interface ParsedFlags {
  readonly options: ReadonlyMap<OptionKey, string | boolean | readonly string[]>;
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
  readonly help: boolean;
}

/** Reads what follows the command's name. Throws CommandError naming the flag that is wrong and the one that was meant. */
export function parseFlags(command: Command, argv: readonly string[]): ParsedFlags {
  const keys = optionsOf(command);
  const switches = keys.filter((key) => declared(key).placeholder === "").map(flagName);
  const valued = [
    ...keys.filter((key) => declared(key).placeholder !== "").map(flagName),
    ...Object.keys(command.flags),
  ];
  const known = new Set([...switches, ...valued, "help"]);
  const { tokens } = parseArgs({
    args: [...argv],
    strict: false,
    tokens: true,
    allowPositionals: true,
    allowNegative: true,
    options: Object.fromEntries([
      ...switches.map((name) => [name, { type: "boolean" }] as const),
      ...valued.map((name) => [name, { type: "string" }] as const),
      ["help", { type: "boolean", short: "h" }] as const,
    ]),
  });

  const options = new Map<OptionKey, string | boolean | readonly string[]>();
  const flags = new Map<string, readonly string[]>();
  const positionals: string[] = [];
  let help = false;
  for (const token of tokens) {
    if (token.kind === "positional") positionals.push(token.value);
    if (token.kind !== "option") continue;
    const negative = token.rawName.startsWith("--no-");
    const name = negative && !known.has(token.name) ? token.name.replace(/^no-/, "") : token.name;
    if (!known.has(name)) throw new CommandError(unknownFlag(command, token.rawName, name, known));
    if (name === "help") {
      help = true;
      continue;
    }
    const value = switches.includes(name)
      ? (token.value ?? !negative)
      : needValue(token.rawName, token.value, token.inlineValue === true);
    const key = keyOfFlag(name);
    if (key === undefined || name in command.flags) flags.set(name, [...(flags.get(name) ?? []), String(value)]);
    else if (declared(key).list) options.set(key, joined(options.get(key), String(value)));
    else options.set(key, value);
  }
  return { options, flags, positionals, help };
}

function joined(before: string | boolean | readonly string[] | undefined, value: string): readonly string[] {
  return [...(Array.isArray(before) ? before : []), ...value.split(",")];
}

function needValue(rawName: string, value: string | undefined, inline: boolean): string {
  if (value === undefined || (!inline && value.startsWith("-") && value.length > 1)) {
    throw new CommandError(`${rawName} needs a value`);
  }
  return value;
}

function unknownFlag(command: Command, rawName: string, name: string, known: ReadonlySet<string>): string {
  const key = keyOfFlag(name);
  if (key === undefined)
    return unknownName(
      "flag",
      rawName,
      [...known].map((flag) => `--${flag}`),
    );
  if (declared(key).secret) {
    return `${rawName} is not a flag, because others on this machine can see flags: set ${variableName(key)} instead`;
  }
  return `trunkline ${command.name} does not take ${rawName}`;
}
