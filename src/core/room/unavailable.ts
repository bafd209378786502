// Refusals of an owner that cannot answer now.

import { ErrorCode, TrunklineError } from "../../ports/error.js";

/** When to come back, in milliseconds. */
export const RETRY_MS = 100;
/** The detail that tells other nodes that they may look for the owner again. */
const OWNER = "owner";

export function unavailable(message: string, cause?: unknown): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, message, { retryAfterMs: RETRY_MS, cause });
}

export function ownerChanged(): TrunklineError {
  return unavailable("the room's owner has changed");
}

/** This node is not, or not yet, or no longer, the room's owner, and has done nothing of what was asked. */
export function notTheOwner(): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, "the room's owner is being looked for", {
    retryAfterMs: RETRY_MS,
    details: { [OWNER]: "another" },
  });
}

export function isNotTheOwner(error: unknown): boolean {
  return error instanceof TrunklineError && error.code === ErrorCode.UNAVAILABLE && OWNER in error.details;
}
