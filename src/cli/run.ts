// argv → command → configuration → run; whatever goes wrong on the way becomes one clear line and an exit code.

import { unknownName } from "../ops/config/nearest.js";
import { resolveConfig } from "../ops/config/resolve.js";
import { ConfigError } from "../ops/config/sources.js";
import type { Command } from "./command.js";
import { CommandError, EXIT, type ExitCode } from "./exit-code.js";
import { parseFlags } from "./flags.js";
import { commandHelp, overview } from "./help.js";
import type { Terminal } from "./terminal.js";

/** Runs one command line (without node and script). Never rejects. */
export async function runCommandLine(
  commands: readonly Command[],
  argv: readonly string[],
  terminal: Terminal,
  version: string,
): Promise<ExitCode> {
  try {
    const [name, ...rest] = argv;
    if (name === undefined || name === "help" || name === "--help" || name === "-h") {
      return help(commands, rest[0], terminal, version);
    }
    return await runCommand(find(commands, name === "--version" || name === "-v" ? "version" : name), rest, terminal);
  } catch (error) {
    return report(error, terminal);
  }
}

async function runCommand(command: Command, argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const { options, flags, positionals, help } = parseFlags(command, argv);
  if (help) {
    terminal.out(commandHelp(command));
    return EXIT.ok;
  }
  checkArguments(command, flags, positionals);
  const resolved = resolveConfig({
    flags: options,
    environment: terminal.environment,
    directory: terminal.directory,
    defaults: command.defaults,
  });
  return command.run({ resolved, config: resolved.config, flags, positionals, terminal });
}

function help(commands: readonly Command[], name: string | undefined, terminal: Terminal, version: string): ExitCode {
  terminal.out(name === undefined ? overview(commands, version) : commandHelp(find(commands, name)));
  return EXIT.ok;
}

function find(commands: readonly Command[], name: string): Command {
  const command = commands.find((candidate) => candidate.name === name);
  if (command !== undefined) return command;
  const known = commands.map((candidate) => candidate.name);
  throw new CommandError(`${unknownName("command", name, known)}\n\`trunkline --help\` lists the commands`);
}

function checkArguments(
  command: Command,
  flags: ReadonlyMap<string, readonly string[]>,
  positionals: readonly string[],
): void {
  for (const [name, { required, placeholder }] of Object.entries(command.flags)) {
    if (required && !flags.has(name))
      throw new CommandError(`trunkline ${command.name} needs --${name} ${placeholder}`);
  }
  const missing = command.positionals[positionals.length];
  if (missing !== undefined) throw new CommandError(`trunkline ${command.name} needs ${missing}`);
  const extra = positionals[command.positionals.length];
  if (extra !== undefined) throw new CommandError(`trunkline ${command.name} does not take the argument ${extra}`);
}

function report(error: unknown, terminal: Terminal): ExitCode {
  if (error instanceof CommandError) {
    terminal.err(`trunkline: ${error.message}\n`);
    return error.exitCode;
  }
  if (error instanceof ConfigError) {
    for (const problem of error.problems) terminal.err(`trunkline: ${problem}\n`);
    return EXIT.usage;
  }
  terminal.err(`trunkline: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return EXIT.failed;
}
