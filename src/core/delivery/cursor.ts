// The cursor of a tail: the era of the log and the places of all shards, as opaque text.

import { ErrorCode, TrunklineError } from "../../ports/error.js";

/** Changes whenever the rest of the text means something else. */
const VERSION = "2";
/** A longer one is none of ours, in characters: the most shards there are, each with the farthest place. */
const MAX_LENGTH = 64 * 1024;
const CURSOR = /^2\.[A-Za-z0-9_-]{1,32}(\.[0-9a-z]{1,11})+$/;

export interface TailCursor {
  /** The log's when it was written. */
  readonly era: string;
  /** The next offset of each shard. */
  readonly offsets: readonly number[];
}

/** Offsets in base 36. */
export function writeCursor({ era, offsets }: TailCursor): string {
  let text = `${VERSION}.${era}`;
  for (const offset of offsets) text += `.${offset.toString(36)}`;
  return text;
}

/** Throws INVALID_ARGUMENT unless it is a cursor. Whether of this log, the log must say. */
export function readCursor(text: string): TailCursor {
  if (text.length > MAX_LENGTH || !CURSOR.test(text)) throw TrunklineError.invalid("cursor", "is no cursor of a tail");
  const [, era = "", ...digits] = text.split(".");
  return { era, offsets: digits.map((each) => Number.parseInt(each, 36)) };
}

/** Why the log does not go on from a cursor: nobody could say what was missed. */
export type ResetReason =
  /** What was read up to it is not what the log holds. */
  | "OTHER_HISTORY"
  /** What came after it is no longer kept. */
  | "EXPIRED";

const REASONS: Readonly<Record<ResetReason, string>> = {
  OTHER_HISTORY: "is of another store, or of a history that was lost",
  EXPIRED: "is older than what the log keeps",
};

export function refusedCursor(reason: ResetReason): TrunklineError {
  return new TrunklineError(ErrorCode.INVALID_ARGUMENT, `cursor: ${REASONS[reason]}`, {
    field: "cursor",
    details: { reset_reason: reason },
  });
}
