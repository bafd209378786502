// What commands about outlets have in common: they open the store beside the server that may be using it.

import { OutletsFromOutside } from "../adapters/embedded/outlets-from-outside.js";
import type { Config } from "../ops/config/options.js";
import { CommandError, EXIT } from "./exit-code.js";

/** Opens what the store keeps of outlets, hands it over, closes it. Throws CommandError where there is no store. */
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
