// What bridges show nodes, from the configuration, and from its file again when the process is told to.

import { LEAST_SECRET } from "../backbone/cluster-options.js";
import { flagName, variableName } from "../ops/config/names.js";
import type { Config } from "../ops/config/options.js";
import type { Logger } from "../ops/log.js";
import { CommandError } from "./exit-code.js";
import type { Service } from "./lifetime.js";
import { onHangUp } from "./on-hang-up.js";
import { readSecret } from "./pem.js";

/** Secrets at once: the one that is shown, and those that others may still show. */
const MOST_SECRETS = 8;

type LinkConfig = Pick<Config, "linkSecret" | "linkSecretFile">;

/** At least one: bridges show the first, nodes take each. Undefined: none is set. Throws CommandError where one cannot be read or is too short. */
export function linkSecrets(config: LinkConfig): readonly [string, ...string[]] | undefined {
  const file = readSecret(config, "linkSecretFile");
  if (file === undefined && config.linkSecret === undefined) return undefined;
  const origin = file === undefined ? variableName("linkSecret") : `--${flagName("linkSecretFile")}`;
  // A variable cannot be read again: of one there is nothing to change.
  const lines = file === undefined ? [config.linkSecret ?? ""] : file.split("\n").map((line) => line.trim());
  const [first = "", ...others] = lines.filter((line) => line !== "");
  const secrets = [first, ...others] as const;
  if (secrets.length > MOST_SECRETS) throw new CommandError(`${origin}: must have at most ${MOST_SECRETS} secrets`);
  if (secrets.every(({ length }) => length >= LEAST_SECRET)) return secrets;
  throw new CommandError(
    `${origin}: must have at least ${LEAST_SECRET} characters${secrets.length > 1 ? " in each line" : ""}`,
  );
}

/** The service, which is told what its file says on each SIGHUP until it is stopped. A file that cannot be used changes nothing. */
export function followLinkSecrets(
  service: Service,
  tell: (secrets: readonly [string, ...string[]]) => void,
  config: LinkConfig,
  logger: Logger,
): Service {
  if (config.linkSecretFile === undefined) return service;
  return onHangUp(service, () => {
    try {
      const secrets = linkSecrets(config);
      if (secrets === undefined) return;
      tell(secrets);
      logger.info({ secrets: secrets.length }, "secrets of links read again");
    } catch (error) {
      logger.error({ err: error }, "secrets of links could not be read: they stay as they were");
    }
  });
}
