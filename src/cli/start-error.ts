// Why something could not be started, in one line with what to do about it.

import { flagName } from "../ops/config/names.js";
import { type Config, OPTION_KEYS, type OptionKey } from "../ops/config/options.js";
import { CommandError, EXIT } from "./exit-code.js";

/** Turns an error of starting into one for a person. What it does not know is told as it is. */
export function startError(error: unknown, config: Config): unknown {
  if (!(error instanceof Error) || error instanceof CommandError) return error;
  const { code, port, address } = systemDetails(error);
  const place = `port ${port} of ${address}`;
  const flag = port === undefined ? undefined : flagOfPort(config, port);
  switch (code) {
    case "EADDRINUSE":
      return unavailable(
        `${place} is in use: stop what uses it, or choose another with ${flag ?? "a flag"} (0: any)`,
        error,
      );
    case "EACCES":
      if (port !== undefined) return unavailable(`${place} may not be used by this user: choose one above 1023`, error);
      return unavailable(error.message, error);
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
      return unavailable(`${address} is not an address of this machine`, error);
    default:
      // Parts say in a plain Error what is wrong; anything more special is a bug, and its stack is wanted.
      return error.constructor === Error || code !== undefined ? unavailable(error.message, error) : error;
  }
}

function unavailable(message: string, cause: Error): CommandError {
  return new CommandError(message, EXIT.unavailable, { cause });
}

function flagOfPort(config: Config, port: number): string | undefined {
  const key = OPTION_KEYS.find((candidate: OptionKey) => /port$/i.test(candidate) && config[candidate] === port);
  return key && `--${flagName(key)}`;
}

interface SystemDetails {
  readonly code?: string;
  readonly port?: number;
  readonly address?: string;
}

function systemDetails(error: Error): SystemDetails {
  return {
    ...("code" in error && typeof error.code === "string" ? { code: error.code } : {}),
    ...("port" in error && typeof error.port === "number" ? { port: error.port } : {}),
    ...("address" in error && typeof error.address === "string" ? { address: error.address } : {}),
  };
}
