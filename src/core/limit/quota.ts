// How many there may be: the refusals of quotas.

import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Telemetry } from "../telemetry.js";
import type { Quota } from "./refusal.js";

/** LIMIT_EXCEEDED that names the quota, how many there may be, and how many there are. */
export function quotaRefusal(
  telemetry: Telemetry,
  tenantId: string,
  quota: Quota,
  { message, limit, current }: { readonly message: string; readonly limit: number; readonly current: number },
): TrunklineError {
  telemetry.emit("quota.refused", { quota, tenantId });
  return new TrunklineError(ErrorCode.LIMIT_EXCEEDED, message, {
    details: { quota, limit: String(limit), current: String(current) },
  });
}
