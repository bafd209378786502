// The log of a server command.

import type { Config } from "../ops/config/options.js";
import { createLog, type Log } from "../ops/log.js";
import type { Terminal } from "./terminal.js";

const STDOUT = 1;

/** How the log looks here: people get readable lines, programs get JSON. */
export function logFormat(config: Config, terminal: Terminal): "pretty" | "json" {
  if (config.logFormat !== "auto") return config.logFormat;
  return terminal.interactive ? "pretty" : "json";
}

export function openLog(config: Config, terminal: Terminal): Log {
  return createLog({ level: config.logLevel, format: logFormat(config, terminal), to: STDOUT });
}
