// What the system lets one process have.

import { readFileSync } from "node:fs";

/** Files and sockets that one process may have open: Node raises its own limit to this one. */
export function mostOpenFiles(): number {
  const found = /^Max open files\s+\S+\s+(\S+)/m.exec(readFileSync("/proc/self/limits", "latin1"));
  if (found?.[1] === undefined) throw new Error("/proc/self/limits has no limit of open files");
  return found[1] === "unlimited" ? Number.POSITIVE_INFINITY : Number(found[1]);
}
