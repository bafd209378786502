// trunkline serve

import { startBackbone } from "../backbone.js";
import type { Config } from "../ops/config/options.js";
import { ORIGIN_DEFAULT, type Resolved } from "../ops/config/resolve.js";
import type { Logger } from "../ops/log.js";
import { isLoopback } from "../rpc/tls.js";
import { announce } from "./announce.js";
import { authOptions, backboneOptions } from "./backbone-options.js";
import type { Command } from "./command.js";
import { CommandError } from "./exit-code.js";
import { runUntilStopped } from "./lifetime.js";
import { followLinkSecrets } from "./link-secret.js";
import { openLog } from "./open-log.js";
import { startError } from "./start-error.js";
import { followTenantsFile } from "./tenants-file.js";

export const serveCommand: Command = {
  name: "serve",
  summary: "run a server, with your auth service",
  usage: "--auth-address HOST:PORT [options]",
  description:
    "Runs a backbone: gRPC for native apps and services, the bridge for browsers, the embedded store. Who a token stands for is asked of an auth service: yours, or `trunkline auth`.",
  examples: [
    "trunkline serve --auth-address 127.0.0.1:9091",
    "trunkline serve --auth-address auth.internal:443 --host 0.0.0.0 --allowed-origins https://app.example",
  ],
  positionals: [],
  flags: {},
  groups: [
    "General",
    "Listening",
    "Store",
    "Cluster",
    "Verifying tokens",
    "Hooks",
    "Outlets",
    "Operation",
    "Limits",
    "Rates",
  ],
  also: ["linkSecretFile"],
  without: [],
  defaults: {},
  run: async ({ resolved, config, terminal }) => {
    refuseDirectory(resolved);
    const auth = authOptions(config);
    const log = openLog(config, terminal);
    const options = backboneOptions(config, log.logger);
    return runUntilStopped(
      async (startAborted) => {
        const backbone = await startBackbone({ ...options, auth, startAborted }).catch((error: unknown) => {
          throw startError(error, config);
        });
        warnOfPlainText(config, log.logger);
        announce({ backbone, config, authAddress: auth.address, development: false }, log.logger, terminal);
        const service = followLinkSecrets(
          backbone,
          (secrets) => backbone.replaceLinkSecrets(secrets),
          config,
          log.logger,
        );
        return followTenantsFile(service, backbone, config, log.logger);
      },
      log,
      { spreadMs: config.drainSpread, deadlineMs: config.shutdownDeadline },
    );
  },
};

/** Whoever names one believes that something is kept in it. */
function refuseDirectory({ config, origins }: Resolved): void {
  if (config.engine !== "cluster" || origins.dataDirectory === ORIGIN_DEFAULT) return;
  throw new CommandError(
    `${origins.dataDirectory} is of the embedded store: a node of a cluster keeps nothing on its own disk. Leave it out, or the engine cluster`,
  );
}

function warnOfPlainText(config: Config, logger: Logger): void {
  const grpcHost = config.grpcHost ?? config.host;
  const bridgeHost = config.bridgeHost ?? config.host;
  const text = "no TLS beyond this machine: tokens can be read on the way unless a proxy in front ends TLS";
  if (!isLoopback(grpcHost) && config.grpcTlsCert === undefined)
    logger.warn({ listener: "gRPC", host: grpcHost }, text);
  if (!isLoopback(bridgeHost) && config.bridgeTlsCert === undefined)
    logger.warn({ listener: "bridge", host: bridgeHost }, text);
}
