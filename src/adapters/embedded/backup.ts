// A copy of a live store, as of one moment.

import { access, mkdir, open, rename, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { makeDirectory } from "../directory.js";
import { DATA_FILE, type Tables } from "./tables.js";

/** Copies to `directory`, an absolute path which must not hold a store. The data appears there whole or not at all, and flushed. */
export async function backup(tables: Pick<Tables, "root">, directory: string): Promise<void> {
  await makeDirectory(directory);
  const data = join(directory, DATA_FILE);
  if (await exists(data)) throw new Error(`${directory} holds a store already: back up to an empty directory`);
  const partial = join(directory, `partial-${process.pid}-${Date.now()}`);
  await mkdir(partial, { mode: 0o700 });
  await tables.root.backup(partial, false);
  await flush(join(partial, DATA_FILE));
  await rename(join(partial, DATA_FILE), data);
  await rmdir(partial);
  await flush(directory);
}

/** Puts a file or a directory's entries on stable storage. */
export async function flush(path: string): Promise<void> {
  // Windows does not open directories, and needs no such flush.
  if (process.platform === "win32") return;
  const file = await open(path, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch {
    return false;
  }
}
