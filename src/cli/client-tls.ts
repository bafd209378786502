// How connections to services outside are protected, from the options of each.

import type { Config } from "../ops/config/options.js";
import type { ClientTls } from "../rpc/tls.js";
import { readPair, readPem } from "./pem.js";

/** Undefined: nothing is said about it. Throws CommandError where a file cannot be read. */
export function clientTls(
  config: Config,
  service: "auth" | "publishHook" | "accessHook" | "kafka" | "backbone",
): ClientTls | undefined {
  if (config[`${service}Insecure`]) return "plain";
  const ca = readPem(config, `${service}Ca`);
  const pair = readPair(config, `${service}ClientCert`, `${service}ClientKey`);
  if (ca === undefined && pair === undefined) return undefined;
  return { ...(ca && { ca }), ...(pair && { identity: { certificate: pair.cert, key: pair.key } }) };
}
