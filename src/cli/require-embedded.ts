// Commands that open the store of one process.

import type { Config } from "../ops/config/options.js";
import { CommandError } from "./exit-code.js";

/** Throws CommandError where the configuration is that of a cluster, which has no such store. */
export function requireEmbedded({ engine }: Config, command: string): void {
  if (engine === "embedded") return;
  throw new CommandError(
    `trunkline ${command} is of the embedded store: what a cluster keeps is in MongoDB and Kafka (docs/cluster.md)`,
  );
}
