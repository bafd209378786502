// The command line: argv → command → exit code.

import { authCommand } from "./cli/auth.js";
import { backupCommand } from "./cli/backup.js";
import { bridgeCommand } from "./cli/bridge.js";
import { configCommand } from "./cli/config.js";
import { deadLettersCommand } from "./cli/dead-letters.js";
import { devCommand } from "./cli/dev.js";
import { nodesCommand } from "./cli/nodes.js";
import { notificationsCommand } from "./cli/notifications.js";
import { replayCommand } from "./cli/replay.js";
import { runCommandLine } from "./cli/run.js";
import { serveCommand } from "./cli/serve.js";
import { processTerminal } from "./cli/terminal.js";
import { tokenCommand } from "./cli/token.js";
import { packageVersion, versionCommand } from "./cli/version.js";

const COMMANDS = [
  devCommand,
  serveCommand,
  bridgeCommand,
  authCommand,
  tokenCommand,
  nodesCommand,
  backupCommand,
  notificationsCommand,
  deadLettersCommand,
  replayCommand,
  configCommand,
  versionCommand,
];

const exitCode = await runCommandLine(COMMANDS, process.argv.slice(2), processTerminal(), packageVersion());
// Whatever a command has started it has also stopped; what a library may still hold open must not keep the process.
process.stdout.write("", () => process.exit(exitCode));
