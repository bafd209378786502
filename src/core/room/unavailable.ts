// Refusals of an owner that cannot answer now.

import { ErrorCode, TrunklineError } from "../../ports/error.js";

/** When to come back, in milliseconds. */
export const RETRY_MS = 100;

export function unavailable(message: string, cause?: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: RETRY_MS, cause });
}

export function ownerChanged(): TrunklineError {
  return unavailable("the room's owner has changed");
}
