// Making directories.

import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Makes a directory and those above it, each for this user only; what is there stays as it is. `path` is absolute. Rejects
 * where it cannot be made. (Node's own `recursive` asks without end below a directory that takes no entries, such as /proc.)
 */
export async function makeDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, MODE);
  } catch (error) {
    switch (codeOf(error)) {
      case "EEXIST":
        if (!(await stat(path)).isDirectory()) throw new Error(`${path} is not a directory`, { cause: error });
        return;
      case "ENOENT":
        if (dirname(path) === path) throw error;
        await makeDirectory(dirname(path));
        await makeIn(path);
        return;
      default:
        throw error;
    }
  }
}

const MODE = { mode: 0o700 };

/** The directory above is there. Another process may be making the same ones. */
async function makeIn(path: string): Promise<void> {
  try {
    await mkdir(path, MODE);
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    throw new Error(`the directory ${path} cannot be made`, { cause: error });
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
