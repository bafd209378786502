// What a command is: its words for help, the options it knows, and what it does.

import type { Config, OptionGroup, OptionKey } from "../ops/config/options.js";
import type { Resolved } from "../ops/config/resolve.js";
import type { ExitCode } from "./exit-code.js";
import type { Terminal } from "./terminal.js";

/** A flag that only this command has: an argument rather than a setting, so no variable or file states it. */
export interface Argument {
  readonly placeholder: string;
  readonly doc: string;
  readonly required: boolean;
  readonly list: boolean;
}

/** What a command gets to work with. */
export interface Invocation {
  readonly resolved: Resolved;
  readonly config: Config;
  /** Values of the command's own flags. */
  readonly flags: ReadonlyMap<string, readonly string[]>;
  readonly positionals: readonly string[];
  readonly terminal: Terminal;
}

export interface Command {
  readonly name: string;
  /** One line, for the list of commands. */
  readonly summary: string;
  /** How it is called, after "trunkline NAME". */
  readonly usage: string;
  /** What one wants to know before using it. */
  readonly description: string;
  readonly examples: readonly string[];
  /** Names of the positional arguments, all required. */
  readonly positionals: readonly string[];
  readonly flags: Readonly<Record<string, Argument>>;
  /** Whose options it takes as flags. */
  readonly groups: readonly OptionGroup[];
  /** Single options it takes beside those. */
  readonly also: readonly OptionKey[];
  /** Options it does not take although their group is listed. */
  readonly without: readonly OptionKey[];
  /** What it prefers to the declared defaults. */
  readonly defaults: Partial<Config>;
  /** Throws CommandError or ConfigError for what a person can mend. */
  run(invocation: Invocation): Promise<ExitCode>;
}
