// trunkline dev

import { resolve } from "node:path";
import { startAuthService } from "../adapters/auth/auth-service.js";
import { createDevIssuer, DEV_ISSUER, type DevIssuer } from "../adapters/auth/dev-issuer.js";
import { makeDirectory } from "../adapters/directory.js";
import type { BackboneOptions, StopOptions } from "../backbone/options.js";
import { startBackbone } from "../backbone.js";
import { createSystemClock } from "../ops/clock.js";
import { flagName } from "../ops/config/names.js";
import type { Config } from "../ops/config/options.js";
import type { Log } from "../ops/log.js";
import { isLoopback } from "../rpc/tls.js";
import { announce } from "./announce.js";
import { logAuthService } from "./auth.js";
import { backboneOptions } from "./backbone-options.js";
import type { Command } from "./command.js";
import { CommandError } from "./exit-code.js";
import { runUntilStopped, type Service } from "./lifetime.js";
import { followLinkSecrets } from "./link-secret.js";
import { openLog } from "./open-log.js";
import { startError } from "./start-error.js";
import { followTenantsFile } from "./tenants-file.js";
import type { Terminal } from "./terminal.js";
import { devKeyFile } from "./token.js";

const TENANT = "demo";
const HOST_OPTIONS = ["host", "grpcHost", "bridgeHost", "metricsHost", "authHost", "peerHost"] as const;

export const devCommand: Command = {
  name: "dev",
  summary: "run everything on this machine, to try it and to develop against it",
  usage: "[options]",
  description:
    "Runs a backbone with the demo page, and an auth service that issues tokens to anybody who asks on this machine. Data is kept in ./trunkline-data. For development only: it listens on this machine's loopback addresses and refuses any other.",
  examples: [
    "trunkline dev",
    "trunkline dev --grpc-port 0 --bridge-port 0 --log-format json",
    "trunkline token --user ann",
  ],
  positionals: [],
  flags: {},
  groups: ["General", "Listening", "Store", "Cluster", "Hooks", "Outlets", "Operation", "Limits", "Rates"],
  also: ["authHost", "authPort", "linkSecretFile"],
  without: [],
  // Whoever reaches its loopback can be anybody: there is no secret to keep, and a cluster to try has one broker.
  defaults: {
    page: true,
    authPort: 0,
    clusterSecret: "trunkline-development",
    kafkaReplication: 1,
    allowUnsafe: true,
  },
  run: async ({ config, terminal }) => {
    refuseOtherHosts(config);
    const log = openLog(config, terminal);
    const options = backboneOptions(config, log.logger);
    return runUntilStopped(
      (startAborted) =>
        start(config, { ...options, startAborted }, log, terminal).catch((error: unknown) => {
          throw startError(error, config);
        }),
      log,
      { spreadMs: config.drainSpread, deadlineMs: config.shutdownDeadline },
    );
  },
};

/** Whoever reaches a development server can be anybody. */
function refuseOtherHosts(config: Config): void {
  for (const key of HOST_OPTIONS) {
    const host = config[key];
    if (host === undefined || isLoopback(host)) continue;
    throw new CommandError(
      `trunkline dev gives tokens to whoever asks, so it listens on loopback addresses only, not on --${flagName(key)} ${host}.\n` +
        "For others to connect, use trunkline serve with an auth service",
    );
  }
}

async function start(
  config: Config,
  options: Omit<BackboneOptions, "auth">,
  log: Log,
  terminal: Terminal,
): Promise<Service> {
  const clock = createSystemClock();
  await makeDirectory(resolve(config.dataDirectory));
  const issuer = await createDevIssuer({ clock, keyFile: devKeyFile(config.dataDirectory), tenantId: TENANT });
  const auth = await startAuthService({
    host: config.authHost,
    port: config.authPort,
    clock,
    jwt: { keys: { development: issuer }, issuer: DEV_ISSUER },
    report: (event) => logAuthService(event, log.logger),
  });
  const backbone = await startBackbone({
    ...withTokens(options, issuer),
    auth: { address: auth.address, tls: "plain" },
  }).catch(async (error: unknown) => {
    await auth.close();
    throw error;
  });
  announce({ backbone, config, authAddress: auth.address, development: true }, log.logger, terminal);
  const service: Service = {
    stop: async (stopOptions: StopOptions) => {
      const outcome = await backbone.stop(stopOptions);
      await auth.close();
      return outcome;
    },
  };
  const told = followLinkSecrets(service, (secrets) => backbone.replaceLinkSecrets(secrets), config, log.logger);
  return followTenantsFile(told, backbone, config, log.logger);
}

/** The page asks its own server for tokens. */
function withTokens(options: Omit<BackboneOptions, "auth">, issuer: DevIssuer): Omit<BackboneOptions, "auth"> {
  const { bridge } = options;
  if (bridge?.page === undefined) return options;
  const issueToken = ({ user, name }: { readonly user: string; readonly name: string }) =>
    issuer.issue({ userId: user, ...(name !== "" && { displayName: name }) });
  return { ...options, bridge: { ...bridge, page: { ...bridge.page, issueToken } } };
}
