// What bridges show nodes, from the configuration.

import { LEAST_SECRET } from "../backbone/cluster-options.js";
import { flagName, variableName } from "../ops/config/names.js";
import type { Config } from "../ops/config/options.js";
import { CommandError } from "./exit-code.js";
import { readSecret } from "./pem.js";

/** Undefined: none is set. Throws CommandError where it cannot be read or is too short. */
export function linkSecret(config: Config): string | undefined {
  const secret = readSecret(config, "linkSecretFile") ?? config.linkSecret;
  if (secret === undefined || secret.length >= LEAST_SECRET) return secret;
  const file = config.linkSecretFile !== undefined;
  const origin = file ? `--${flagName("linkSecretFile")}` : variableName("linkSecret");
  throw new CommandError(`${origin}: must have at least ${LEAST_SECRET} characters`);
}
