// From the configuration to a backbone's options: reads the files that it names.

import type { BackboneOptions } from "../backbone/options.js";
import { limitsOf } from "../ops/config/limit-options.js";
import { flagName } from "../ops/config/names.js";
import type { Config } from "../ops/config/options.js";
import type { Logger } from "../ops/log.js";
import type { ClientTls } from "../rpc/tls.js";
import { clientTls } from "./client-tls.js";
import { clusterOptions } from "./cluster-options.js";
import { CommandError } from "./exit-code.js";
import { linkSecrets } from "./link-secret.js";
import { readOutlets } from "./outlets-file.js";
import { readPair, readPem } from "./pem.js";
import { readServicesFile } from "./services-file.js";
import { readTenantsFile } from "./tenants-file.js";

/** Everything but who verifies tokens, which differs between commands. */
export function backboneOptions(config: Config, logger: Logger): Omit<BackboneOptions, "auth"> {
  const grpcTls = readPair(config, "grpcTlsCert", "grpcTlsKey");
  const clientCa = readPem(config, "grpcTlsClientCa");
  if (clientCa !== undefined && grpcTls === undefined) {
    throw new CommandError(`--${flagName("grpcTlsClientCa")} needs --${flagName("grpcTlsCert")}`);
  }
  if (config.grpcServices !== undefined && clientCa === undefined) {
    throw new CommandError(`--${flagName("grpcServices")} needs --${flagName("grpcTlsClientCa")}`);
  }
  const services = config.grpcServices === undefined ? undefined : readServicesFile(config.grpcServices);
  const linkSecret = linkSecrets(config);
  const bridgeTls = readPair(config, "bridgeTlsCert", "bridgeTlsKey");
  return {
    ...(config.engine === "cluster" ? { cluster: clusterOptions(config) } : { dataDirectory: config.dataDirectory }),
    shards: config.shards,
    ...(config.retention === 0 ? {} : { retentionMs: config.retention }),
    grpc: {
      host: config.grpcHost ?? config.host,
      port: config.grpcPort,
      ...(linkSecret !== undefined && { linkSecret }),
      ...(grpcTls && { tls: { ...grpcTls, ...(clientCa && { clientCa }), ...(services && { services }) } }),
    },
    bridge: {
      host: config.bridgeHost ?? config.host,
      port: config.bridgePort,
      allowedOrigins: config.allowedOrigins,
      maxConnections: config.maxConnections,
      ...(bridgeTls && { tls: bridgeTls }),
      ...(config.page && { page: {} }),
    },
    ...(config.metricsPort !== undefined && { metrics: { host: config.metricsHost, port: config.metricsPort } }),
    ...hookOptions(config),
    ...(config.outlets !== undefined && { outlets: readOutlets(config.outlets) }),
    limits: limitsOf(config),
    ...(config.tenantsFile !== undefined && { tenants: readTenantsFile(config.tenantsFile) }),
    logger,
  };
}

function hookOptions(config: Config): Pick<BackboneOptions, "publishHook" | "accessHook"> {
  return { ...publishHookOptions(config), ...accessHookOptions(config) };
}

function accessHookOptions(config: Config): Pick<BackboneOptions, "accessHook"> {
  if (config.accessHookAddress === undefined) return {};
  const tls = clientTls(config, "accessHook");
  return {
    accessHook: {
      address: config.accessHookAddress,
      ...(tls && { tls }),
      timeoutMs: config.accessHookDeadline,
      failure: config.accessHookFailure,
      rooms: config.accessHookRooms,
      tenants: config.accessHookTenants,
    },
  };
}

function publishHookOptions(config: Config): Pick<BackboneOptions, "publishHook"> {
  if (config.publishHookAddress === undefined) return {};
  const tls = clientTls(config, "publishHook");
  return {
    publishHook: {
      address: config.publishHookAddress,
      ...(tls && { tls }),
      timeoutMs: config.publishHookDeadline,
      failure: config.publishHookFailure,
      services: config.publishHookServices,
      rooms: config.publishHookRooms,
      bodies: config.publishHookBodies,
      tenants: config.publishHookTenants,
    },
  };
}

/** How the auth service is reached. Throws CommandError where the configuration does not say. */
export function authOptions(config: Config): { readonly address: string; readonly tls?: ClientTls } {
  const address = config.authAddress;
  if (address === undefined) {
    throw new CommandError(
      "trunkline serve needs an auth service, which says whom a token stands for: give its address with --auth-address HOST:PORT.\n" +
        "`trunkline auth` is a ready one for JWTs; `trunkline dev` needs none",
    );
  }
  const tls = clientTls(config, "auth");
  return { address, ...(tls && { tls }) };
}
