// trunkline config

import { configurationTables, effectiveJson, effectiveTable, environmentTemplate } from "../ops/config/document.js";
import { OPTION_GROUPS, type OptionGroup } from "../ops/config/options.js";
import type { Resolved } from "../ops/config/resolve.js";
import type { Command } from "./command.js";
import { CommandError, EXIT } from "./exit-code.js";

const FORMATS: Readonly<Record<string, (resolved: Resolved) => string>> = {
  text: effectiveTable,
  json: effectiveJson,
  env: environmentTemplate,
  markdown: () => `${configurationTables()}\n`,
};

export const configCommand: Command = {
  name: "config",
  summary: "print the effective configuration and where each value comes from",
  usage: "[--format FORMAT] [options]",
  description:
    "Prints every option with its value and what stated it: a flag, a variable, .env, a file, or the default. Secrets are masked. Takes every flag that the other commands take.",
  examples: ["trunkline config", "trunkline config --format env > .env.example"],
  positionals: [],
  flags: {
    format: {
      placeholder: Object.keys(FORMATS).join("|"),
      doc: "text and json: the effective configuration. env: a template for .env. markdown: the table of all options. [text]",
      required: false,
      list: false,
    },
  },
  groups: Object.keys(OPTION_GROUPS) as OptionGroup[],
  also: [],
  without: [],
  defaults: {},
  run: async ({ resolved, flags, terminal }) => {
    const format = flags.get("format")?.at(-1) ?? "text";
    const print = Object.hasOwn(FORMATS, format) ? FORMATS[format] : undefined;
    if (print === undefined) throw new CommandError(`--format: must be one of ${Object.keys(FORMATS).join(", ")}`);
    terminal.out(print(resolved));
    return EXIT.ok;
  },
};
