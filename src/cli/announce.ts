// Tells where a started backbone listens: a banner for people, one log line for programs.

import { resolve } from "node:path";
import type { Backbone } from "../backbone/options.js";
import { flagName } from "../ops/config/names.js";
import { type Config, OPTIONS } from "../ops/config/options.js";
import type { Logger } from "../ops/log.js";
import { banner, type Listening } from "./banner.js";
import { logFormat } from "./open-log.js";
import type { Terminal } from "./terminal.js";
import { packageVersion } from "./version.js";

export interface Announcement {
  readonly backbone: Backbone;
  readonly config: Config;
  readonly authAddress: string;
  readonly development: boolean;
}

/** The log line's fields are part of the interface (docs/operations.md): programs wait for it. */
export function announce(
  { backbone, config, authAddress, development }: Announcement,
  logger: Logger,
  terminal: Terminal,
): void {
  const listening: Listening = {
    grpc: backbone.grpcAddress,
    grpcTls: config.grpcTlsCert !== undefined,
    bridge: backbone.bridgeAddress,
    bridgeTls: config.bridgeTlsCert !== undefined,
    page: config.page,
    metrics: backbone.metricsAddress,
    auth: authAddress,
    node: backbone.node?.id,
    peers: backbone.node?.address,
    data: config.engine === "cluster" ? `the cluster ${config.clusterName}` : resolve(config.dataDirectory),
  };
  const version = packageVersion();
  if (logFormat(config, terminal) === "pretty") {
    terminal.out(
      banner({ version, listening, program: programName(process.argv[1]), dataFlag: dataFlag(config), development }),
    );
    return;
  }
  logger.info({ ...listening, development, version, pid: process.pid }, "listening");
}

/** Installed, it is called by its name; from the repository by npx. */
function programName(script = ""): string {
  return /[\\/]trunkline$/.test(script) ? "trunkline" : "npx trunkline";
}

function dataFlag({ dataDirectory }: Config): string {
  if (dataDirectory === OPTIONS.dataDirectory.fallback) return "";
  const quoted = /^[\w./~-]+$/.test(dataDirectory) ? dataDirectory : `'${dataDirectory.replaceAll("'", "'\\''")}'`;
  return ` --${flagName("dataDirectory")} ${quoted}`;
}
