// Limits of single tenants, from a file that is read again when the process is told to.

import { readFileSync } from "node:fs";
import type { Backbone } from "../backbone/options.js";
import type { TenantDifferences } from "../core/limit/tenants.js";
import type { Config } from "../ops/config/options.js";
import { readTenants } from "../ops/config/tenant-options.js";
import type { Logger } from "../ops/log.js";
import { CommandError } from "./exit-code.js";
import type { Service } from "./lifetime.js";
import { onHangUp } from "./on-hang-up.js";

/** Throws CommandError with everything that is wrong with the file. */
export function readTenantsFile(path: string): ReadonlyMap<string, TenantDifferences> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    throw new CommandError(`${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  const read = readTenants(parsed);
  if ("tenants" in read) return read.tenants;
  throw new CommandError(read.problems.map((problem) => `${path}: ${problem}`).join("\n"));
}

/** The service, with its tenants' limits as the file says on each SIGHUP until it is stopped. A file that cannot be used changes nothing. */
export function followTenantsFile(
  service: Service,
  backbone: Pick<Backbone, "limitTenants">,
  { tenantsFile }: Pick<Config, "tenantsFile">,
  logger: Logger,
): Service {
  if (tenantsFile === undefined) return service;
  return onHangUp(service, () => {
    try {
      const tenants = readTenantsFile(tenantsFile);
      backbone.limitTenants(tenants);
      logger.info({ tenants: tenants.size }, "limits of tenants read again");
    } catch (error) {
      logger.error({ err: error }, "limits of tenants could not be read: they stay as they were");
    }
  });
}
