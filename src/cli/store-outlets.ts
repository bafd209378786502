// What commands about outlets have in common: they open what is kept of them beside the server, or the nodes, that may be using it.

import { OutletsFromOutside } from "../adapters/embedded/outlets-from-outside.js";
import { reasonOf } from "../backbone/dependency.js";
import type { Config, OptionKey } from "../ops/config/options.js";
import type { DeadLetter } from "../ports/dead-letter.js";
import type { Awaitable } from "../ports/room-ref.js";
import { mongoOptions } from "./cluster-options.js";
import { CommandError, EXIT } from "./exit-code.js";

/** Options of commands that open what either engine keeps in its store. */
export const STORE_OPTIONS: readonly OptionKey[] = [
  "config",
  "engine",
  "dataDirectory",
  "mongodbDatabase",
  "mongodbPasswordFile",
  "mongodbCa",
  "mongodbClientCert",
  "mongodbClientKey",
];

export interface DeadLetters {
  /** By outlet, the oldest first. */
  deadLetters(): Awaitable<readonly DeadLetter[]>;
  /** Asks that a dead letter be tried once more. */
  retry(letter: DeadLetter): Promise<void>;
}

/** Opens what the engine keeps of dead letters, hands it over, closes it. Throws CommandError where that cannot be read. */
export async function withDeadLetters<T>(config: Config, use: (letters: DeadLetters) => Promise<T>): Promise<T> {
  if (config.engine === "embedded") return await withOutlets(config, use);
  const options = mongoOptions(config);
  try {
    const { ClusterOutletsFromOutside } = await import("../adapters/cluster/outlets-from-outside.js");
    const outlets = await ClusterOutletsFromOutside.open(options);
    try {
      return await use(outlets);
    } finally {
      await outlets.close();
    }
  } catch (error) {
    if (error instanceof CommandError) throw error;
    throw new CommandError(`MongoDB: ${reasonOf(error)}`, EXIT.unavailable, { cause: error });
  }
}

/** Opens what the embedded store keeps of outlets, hands it over, closes it. Throws CommandError where there is no store. */
export async function withOutlets<T>(
  { dataDirectory }: Config,
  use: (outlets: OutletsFromOutside) => T | Promise<T>,
): Promise<T> {
  const outlets = await OutletsFromOutside.open(dataDirectory).catch((error: unknown) => {
    throw new CommandError(error instanceof Error ? error.message : String(error), EXIT.failed, { cause: error });
  });
  try {
    return await use(outlets);
  } finally {
    await outlets.close();
  }
}

/** One line of JSON for each. */
export function jsonLines(values: readonly unknown[]): string {
  return values.map((value) => `${JSON.stringify(value)}\n`).join("");
}

/** Milliseconds since 1970 as people write them. */
export function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
