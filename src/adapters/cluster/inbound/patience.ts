// Which refusals of a command are waited out, and for how long.

import { ErrorCode, type TrunklineError } from "../../../ports/error.js";

/** Between two tries, in milliseconds; doubled up to the last. */
const FIRST_PAUSE_MS = 100;
const LAST_PAUSE_MS = 5_000;
/** Whoever must wait for longer, in milliseconds, is refused: the others of the partition would wait with it. */
export const LONGEST_LIMIT_MS = 60_000;
/** After so many tries, what fails inside is taken to fail for ever. */
export const INTERNAL_TRIES = 10;

/** How long to wait after the try of this number, from 1 on, in milliseconds; undefined: there is nothing to wait for. */
export function patienceWith({ code, retryAfterMs = 0 }: TrunklineError, tries: number): number | undefined {
  switch (code) {
    case ErrorCode.UNAVAILABLE:
    case ErrorCode.DEADLINE:
      return Math.max(pauseMs(tries), Math.min(retryAfterMs, LAST_PAUSE_MS));
    case ErrorCode.RATE_LIMITED:
      return retryAfterMs > LONGEST_LIMIT_MS ? undefined : retryAfterMs || pauseMs(tries);
    case ErrorCode.INTERNAL:
      return tries < INTERNAL_TRIES ? pauseMs(tries) : undefined;
    default:
      return undefined;
  }
}

export function pauseMs(tries: number): number {
  return Math.min(FIRST_PAUSE_MS * 2 ** Math.min(tries - 1, 16), LAST_PAUSE_MS);
}
