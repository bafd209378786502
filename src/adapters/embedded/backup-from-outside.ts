// A copy of a store that another process may be using: LMDB lets several processes read an environment, and copies it within
// one read transaction, so that the writer neither waits nor has to be asked.

import { access } from "node:fs/promises";
import { join, resolve } from "node:path";
import { open } from "lmdb";
import { backup } from "./backup.js";

/**
 * Copies the store in `source`, as of one moment, to `directory`; what was durable before the call is in it. Rejects where
 * `source` holds no store or `directory` holds one already.
 */
export async function backupFromOutside(source: string, directory: string): Promise<void> {
  const path = resolve(source);
  await access(join(path, "data.mdb")).catch((cause: unknown) => {
    throw new Error(`${path} holds no store`, { cause });
  });
  const root = open<Uint8Array, string>({ path, readOnly: true, noSubdir: false, maxDbs: 16, encoding: "binary" });
  try {
    await backup({ root }, resolve(directory));
  } finally {
    await root.close();
  }
}
