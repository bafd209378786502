// trunkline auth

import { type AuthServiceEvent, startAuthService } from "../adapters/auth/auth-service.js";
import type { JwtKeySources } from "../adapters/auth/jwt-keys.js";
import type { JwtOptions } from "../adapters/auth/jwt-validator.js";
import { createSystemClock } from "../ops/clock.js";
import type { Config } from "../ops/config/options.js";
import type { Logger } from "../ops/log.js";
import type { ServerTls } from "../rpc/tls.js";
import type { Command } from "./command.js";
import { CommandError } from "./exit-code.js";
import { runUntilStopped } from "./lifetime.js";
import { openLog } from "./open-log.js";
import { readPair, readPem } from "./pem.js";
import { startError } from "./start-error.js";

export const authCommand: Command = {
  name: "auth",
  summary: "run an auth service that verifies your JWTs",
  usage: "[options]",
  description:
    "Runs an AuthService: `trunkline serve --auth-address` asks it whom a token stands for. It verifies JWTs by a shared secret (TRUNKLINE_JWT_SECRET), by public keys in files, or by the keys that your issuer publishes. Issue the tokens yourself, or write an AuthService of your own: it is one RPC.",
  examples: [
    "trunkline auth --jwks-url https://login.example/.well-known/jwks.json --jwt-issuer https://login.example/",
    "TRUNKLINE_JWT_SECRET=… trunkline auth --jwt-tenant acme",
  ],
  positionals: [],
  flags: {},
  groups: ["General", "The auth service"],
  also: ["shutdownDeadline"],
  without: [],
  defaults: {},
  run: async ({ config, terminal }) => {
    const jwt = jwtOptions(config);
    const tls = tlsOf(config);
    const log = openLog(config, terminal);
    return runUntilStopped(
      async () => {
        const service = await startAuthService({
          host: config.authHost,
          port: config.authPort,
          clock: createSystemClock(),
          jwt,
          report: (event) => logAuthService(event, log.logger),
          ...(tls && { tls }),
        }).catch((error: unknown) => {
          throw startError(error, config);
        });
        log.logger.info({ auth: service.address, pid: process.pid }, "listening");
        return { stop: () => service.close().then(() => "drained" as const) };
      },
      log,
      { spreadMs: 0, deadlineMs: config.shutdownDeadline },
    );
  },
};

/** What an auth service has to tell. */
export function logAuthService(event: AuthServiceEvent, logger: Logger): void {
  const text =
    event.kind === "fault" ? "the auth service could not judge a token" : "the issuer's keys could not be had";
  logger.error({ err: event.cause }, text);
}

function jwtOptions(config: Config): JwtOptions {
  if (config.jwtSecret === undefined && config.jwtKeys.length === 0 && config.jwksUrl === undefined) {
    throw new CommandError(
      "trunkline auth needs to know what tokens are signed with: --jwks-url, --jwt-keys or TRUNKLINE_JWT_SECRET",
    );
  }
  const keys: JwtKeySources = {
    files: config.jwtKeys,
    ...(config.jwtSecret !== undefined && { secret: config.jwtSecret }),
    ...(config.jwksUrl !== undefined && { jwks: { url: config.jwksUrl } }),
  };
  return {
    keys,
    clockSkewMs: config.jwtClockSkew,
    allowNoExpiry: config.jwtAllowNoExpiry,
    claims: {
      tenant: config.jwtTenantClaim,
      user: config.jwtUserClaim,
      name: config.jwtNameClaim,
      grants: config.jwtGrantsClaim,
    },
    ...(config.jwtAlgorithms.length > 0 && { algorithms: config.jwtAlgorithms }),
    ...(config.jwtIssuer.length > 0 && { issuer: config.jwtIssuer }),
    ...(config.jwtAudience.length > 0 && { audience: config.jwtAudience }),
    ...(config.jwtTenant !== undefined && { tenant: config.jwtTenant }),
  };
}

function tlsOf(config: Config): ServerTls | undefined {
  const pair = readPair(config, "authTlsCert", "authTlsKey");
  if (pair === undefined) return config.authServeInsecure ? "plain" : undefined;
  const clientCa = readPem(config, "authTlsClientCa");
  return { certificate: pair.cert, key: pair.key, ...(clientCa && { clientCa }) };
}
