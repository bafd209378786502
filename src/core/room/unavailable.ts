// Refusals of an owner that cannot answer now.

import { ErrorCode, TrunklineError } from "../../ports/error.js";

/** When to come back, in milliseconds. */
export const RETRY_MS = 100;
/** When to come back with what an older node does not know, in milliseconds: nodes are exchanged one after the other. */
const UNKNOWN_RETRY_MS = 1_000;
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

/** What a newer node asks is not known to this one. Nothing was done; the next owner, or this node once it is as new, knows it. */
export function notKnownHere(what: string): TrunklineError {
  return new TrunklineError(ErrorCode.UNAVAILABLE, "the room's owner is older and does not know this yet", {
    retryAfterMs: UNKNOWN_RETRY_MS,
    details: { unknown: what },
  });
}
