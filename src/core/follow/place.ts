// Where who reads a shard's log begins.

import type { Archive } from "../../ports/archive.js";

/** Where the reader of this name goes on in a shard that is this node's now. One that has never run begins at the log's end, and is remembered there. */
export async function beginAt(
  archive: Archive,
  name: string,
  { shard, end }: { readonly shard: number; readonly end: number },
): Promise<number> {
  const known = await archive.followed(name, shard);
  if (known !== undefined) return known;
  await archive.follow(name, shard, end);
  return end;
}
