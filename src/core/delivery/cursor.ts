// The cursor of a tail: the places of all shards, as opaque text.

import { TrunklineError } from "../../ports/error.js";

/** Changes whenever the rest of the text means something else. */
const VERSION = "1";
/** A longer one is none of ours, in characters: the most shards there are, each with the farthest place. */
const MAX_LENGTH = 64 * 1024;
const CURSOR = /^1(\.[0-9a-z]+)+$/;

/** The next offset of each shard, in base 36. */
export function writeCursor(offsets: readonly number[]): string {
  let text = VERSION;
  for (const offset of offsets) text += `.${offset.toString(36)}`;
  return text;
}

/** Throws INVALID_ARGUMENT unless it is a cursor of a store whose shards end at `ends`. */
export function readCursor(text: string, ends: readonly number[]): number[] {
  if (text.length > MAX_LENGTH || !CURSOR.test(text)) throw TrunklineError.invalid("cursor", "is no cursor of a tail");
  const offsets = text
    .split(".")
    .slice(1)
    .map((digits) => Number.parseInt(digits, 36));
  // What it would go on from is not there: another store, or one that was restored from a backup.
  const fits = offsets.length === ends.length && offsets.every((offset, shard) => offset <= (ends[shard] ?? -1));
  if (!fits) throw TrunklineError.invalid("cursor", "is of another store, or of a history that was lost");
  return offsets;
}
