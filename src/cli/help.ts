// What --help prints.

import { declared } from "../ops/config/document.js";
import { flagName } from "../ops/config/names.js";
import type { OptionKey } from "../ops/config/options.js";
import type { Command } from "./command.js";
import { groupsOf } from "./options-of.js";

const WIDTH = 100;

/** The list of commands. */
export function overview(commands: readonly Command[], version: string): string {
  const width = Math.max(...commands.map(({ name }) => name.length));
  return [
    `trunkline ${version}: a realtime backbone`,
    "",
    "Usage: trunkline COMMAND [options]",
    "",
    "Commands:",
    ...commands.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "`trunkline COMMAND --help` says more. To look around: trunkline dev",
    "",
  ].join("\n");
}

/** One command. */
export function commandHelp(command: Command): string {
  const lines = [`Usage: trunkline ${command.name}${command.usage === "" ? "" : ` ${command.usage}`}`, ""];
  for (const paragraph of command.description.split("\n\n")) lines.push(...wrap(paragraph, WIDTH), "");
  if (command.examples.length > 0) lines.push("Examples:", ...command.examples.map((line) => `  ${line}`), "");
  const own = Object.entries(command.flags).map(([name, { placeholder, doc, required }]) => ({
    flag: `--${name} ${placeholder}`,
    doc: required ? `${doc} Required.` : doc,
  }));
  if (own.length > 0) lines.push("Options:", ...rows(own), "");
  for (const { title, keys } of groupsOf(command))
    lines.push(`${title}:`, ...rows(keys.map((key) => row(command, key))), "");
  if (command.groups.length > 0) {
    lines.push(
      ...wrap(
        "Each of these can also be set as a variable (--grpc-port as TRUNKLINE_GRPC_PORT), in a .env file, or in the file given by --config. A flag weighs most, then the environment, .env, the file.",
        WIDTH,
      ),
      "",
    );
  }
  return lines.join("\n");
}

interface Row {
  readonly flag: string;
  readonly doc: string;
}

function row(command: Command, key: OptionKey): Row {
  const option = declared(key);
  const standard = command.defaults[key] ?? option.fallback;
  const flag = flagName(key);
  if (option.placeholder === "") {
    return { flag: `--[no-]${flag}`, doc: `${option.doc} [${standard === true ? "on" : "off"}]` };
  }
  const shown = option.format(standard);
  return { flag: `--${flag} ${option.placeholder}`, doc: shown === "" ? option.doc : `${option.doc} [${shown}]` };
}

function rows(entries: readonly Row[]): readonly string[] {
  const width = Math.min(34, Math.max(...entries.map(({ flag }) => flag.length)));
  return entries.flatMap(({ flag, doc }) => {
    const [first = "", ...others] = wrap(doc, WIDTH - width - 4);
    const indent = " ".repeat(width + 4);
    const head = flag.length > width ? [`  ${flag}`, indent + first] : [`  ${flag.padEnd(width)}  ${first}`];
    return [...head, ...others.map((line) => indent + line)];
  });
}

function wrap(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(/\s+/)) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === "" ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
