// Resident memory after a full garbage collection, of servers that were started to collect when they are told.

import { kill } from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { residentBytes } from "./proc.js";

/** Resident memory, in bytes, after the process has collected its garbage, twice: the first frees what holds the rest. */
export async function collectedBytes(pid: number, settleMs: number): Promise<number> {
  for (let round = 0; round < 2; round++) {
    kill(pid, "SIGUSR2");
    await pause(settleMs);
  }
  return residentBytes(pid);
}
