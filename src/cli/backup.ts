// trunkline backup

import { backupFromOutside } from "../adapters/embedded/backup-from-outside.js";
import type { Command } from "./command.js";
import { CommandError, EXIT } from "./exit-code.js";

export const backupCommand: Command = {
  name: "backup",
  summary: "copy the store of a running or stopped server",
  usage: "DIR [--data-directory DIR]",
  description:
    "Copies the store, as of one moment, to an empty directory. The server may run meanwhile and does not wait: all that it had acknowledged before is in the copy.\n\nTo restore a copy, stop the server and start it with the copy as its data directory. Clients that have seen events which the copy lacks are told to reload.",
  examples: ["trunkline backup ./backup-2030-01-01", "trunkline serve --data-directory ./backup-2030-01-01 …"],
  positionals: ["DIR"],
  flags: {},
  groups: [],
  also: ["config", "dataDirectory"],
  without: [],
  defaults: {},
  run: async ({ config, positionals: [directory = ""], terminal }) => {
    if (config.engine !== "embedded") {
      throw new CommandError(
        "trunkline backup copies the embedded store. Back a cluster up with MongoDB's own tools (mongodump, or a snapshot of its volumes) and keep Kafka's topic since the last backup: docs/operations.md, A cluster's backup",
      );
    }
    try {
      await backupFromOutside(config.dataDirectory, directory);
    } catch (error) {
      throw new CommandError(error instanceof Error ? error.message : String(error), EXIT.failed, { cause: error });
    }
    terminal.out(`copied ${config.dataDirectory} to ${directory}\n`);
    return EXIT.ok;
  },
};
