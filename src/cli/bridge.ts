// trunkline bridge

import { type RemoteBridge, type RemoteBridgeOptions, startRemoteBridge } from "../backbone/remote-bridge.js";
import { variableName } from "../ops/config/names.js";
import type { Config } from "../ops/config/options.js";
import type { Logger } from "../ops/log.js";
import { isLoopback } from "../rpc/tls.js";
import { clientTls } from "./client-tls.js";
import type { Command } from "./command.js";
import { CommandError } from "./exit-code.js";
import { runUntilStopped } from "./lifetime.js";
import { followLinkSecrets, linkSecrets } from "./link-secret.js";
import { openLog } from "./open-log.js";
import { readPair } from "./pem.js";
import { startError } from "./start-error.js";
import { packageVersion } from "./version.js";

export const bridgeCommand: Command = {
  name: "bridge",
  summary: "run a bridge for browsers, linked to a server elsewhere",
  usage: "--backbone HOST:PORT [options]",
  description:
    "Runs the WebSocket bridge alone, for more connections than a server's own bridge can hold, or nearer to its clients. All its sessions share one gRPC stream to a server, the link; what many of them get crosses it once. Server and bridge share a secret (TRUNKLINE_LINK_SECRET). Where the link is lost, clients are told to come back and resume; the bridge is ready again once it is linked to that server or another.",
  examples: [
    "TRUNKLINE_LINK_SECRET=… trunkline bridge --backbone 127.0.0.1:9090 --bridge-port 8081",
    "trunkline bridge --backbone a.internal:9090,b.internal:9090 --link-secret-file /run/secrets/link",
  ],
  positionals: [],
  flags: {},
  groups: ["General", "Remote bridges"],
  also: [
    "host",
    "bridgeHost",
    "bridgePort",
    "bridgeTlsCert",
    "bridgeTlsKey",
    "allowedOrigins",
    "maxConnections",
    "page",
    "nodeName",
    "metricsHost",
    "metricsPort",
    "drainSpread",
    "shutdownDeadline",
    "maxFrameBytes",
  ],
  without: [],
  defaults: {},
  run: async ({ config, terminal }) => {
    const options = bridgeOptions(config);
    const log = openLog(config, terminal);
    return runUntilStopped(
      async () => {
        const bridge = await startRemoteBridge({ ...options, logger: log.logger }).catch((error: unknown) => {
          throw startError(error, config);
        });
        warnOfPlainText(config, log.logger);
        announce(bridge, config, log.logger);
        return followLinkSecrets(bridge, ([shown]) => bridge.showSecret(shown), config, log.logger);
      },
      log,
      { spreadMs: config.drainSpread, deadlineMs: config.shutdownDeadline },
    );
  },
};

export function bridgeOptions(config: Config): RemoteBridgeOptions {
  if (config.backbone.length === 0) {
    throw new CommandError("trunkline bridge needs the gRPC address of a server: --backbone HOST:PORT");
  }
  const secrets = linkSecrets(config);
  if (secrets === undefined) {
    throw new CommandError(`trunkline bridge needs what it shows the server: ${variableName("linkSecret")}`);
  }
  const tls = readPair(config, "bridgeTlsCert", "bridgeTlsKey");
  const backboneTls = clientTls(config, "backbone");
  return {
    backbones: config.backbone,
    secret: secrets[0],
    host: config.bridgeHost ?? config.host,
    port: config.bridgePort,
    allowedOrigins: config.allowedOrigins,
    maxConnections: config.maxConnections,
    maxFrameBytes: config.maxFrameBytes,
    page: config.page,
    spreadMs: config.drainSpread,
    ...(backboneTls && { backboneTls }),
    ...(tls && { tls }),
    ...(config.nodeName !== undefined && { name: config.nodeName }),
    ...(config.metricsPort !== undefined && { metrics: { host: config.metricsHost, port: config.metricsPort } }),
  };
}

/** The log line's fields are part of the interface (docs/operations.md): programs wait for it. */
function announce(bridge: RemoteBridge, config: Config, logger: Logger): void {
  const { bridgeAddress, metricsAddress } = bridge;
  const { backbone } = config;
  logger.info(
    { bridge: bridgeAddress, metrics: metricsAddress, backbone, version: packageVersion(), pid: process.pid },
    "listening",
  );
}

function warnOfPlainText(config: Config, logger: Logger): void {
  const host = config.bridgeHost ?? config.host;
  if (isLoopback(host) || config.bridgeTlsCert !== undefined) return;
  const text = "no TLS beyond this machine: tokens can be read on the way unless a proxy in front ends TLS";
  logger.warn({ listener: "bridge", host }, text);
}
