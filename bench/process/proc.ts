// What the kernel knows of a process: CPU time and resident memory, from /proc.

import { readFileSync } from "node:fs";

/** USER_HZ: the unit of CPU time in /proc/PID/stat on every Linux architecture Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time that all threads of the process have used so far, user and system, in microseconds; steps of 10 ms. */
export function cpuMicros(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  // The command name stands in parentheses and may hold anything: the fields are counted from the last one.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const user = Number(fields[11]);
  const system = Number(fields[12]);
  if (!Number.isFinite(user + system)) throw new Error("/proc/PID/stat has no CPU times");
  return ((user + system) * 1_000_000) / TICKS_PER_SECOND;
}

/** Resident memory of the process, in bytes. */
export function residentBytes(pid: number): number {
  const found = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"));
  if (found?.[1] === undefined) throw new Error("/proc/PID/status has no VmRSS");
  return Number(found[1]) * 1024;
}
