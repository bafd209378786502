// Resident memory after a full garbage collection, of servers that were started to collect when they are told.

import { kill } from "node:process";
import { setTimeout as pause } from "node:timers/promises";
import { residentBytes } from "./proc.js";

/** After so many collections what is left counts as held. */
const MOST_ROUNDS = 8;
/** What falls by less is done falling. */
const STEADY_SHARE = 0.01;

/**
 * Resident memory, in bytes, after the process has collected its garbage: twice, because the first frees what holds the rest, and on while
 * it falls, because on a busy machine a collection may end after the time that it is given.
 */
export async function collectedBytes(pid: number, settleMs: number): Promise<number> {
  let bytes = await collect(pid, settleMs);
  for (let round = 1; round < MOST_ROUNDS; round++) {
    const before = bytes;
    bytes = await collect(pid, settleMs);
    if (bytes > before * (1 - STEADY_SHARE)) break;
  }
  return bytes;
}

async function collect(pid: number, settleMs: number): Promise<number> {
  kill(pid, "SIGUSR2");
  await pause(settleMs);
  return residentBytes(pid);
}
