// A crowd at work for a while: something of it changes at a fixed rate, and what that costs and brings is counted over a window of that time.

import { setTimeout as pause } from "node:timers/promises";
import { cpuMicros } from "../process/proc.js";
import { Awaited } from "./awaited.js";
import type { CrowdInput, CrowdMember, CrowdWatch } from "./crowd.js";
import { dueAt, pace, type Schedule } from "./pace.js";

/** Before the first is due, so that everything is there. */
const LEAD_MS = 500;

export interface CrowdWindowInput extends CrowdInput {
  /** How often something is sent, a second, over all members. */
  readonly rate: number;
  readonly warmupMs: number;
  readonly windowMs: number;
}

/** What the members get, and when they see what was asked for. */
export abstract class CrowdSight implements CrowdWatch {
  deliveries = 0;
  failed: string | undefined;
  readonly awaited: Awaited;

  constructor(members: number) {
    this.awaited = new Awaited(members);
  }

  abstract decode(frame: Uint8Array): void;
}

/** The window. */
export interface CrowdWindow<C> {
  readonly seconds: number;
  readonly serverCpuUs: number;
  readonly generatorCpu: number;
  /** What was counted at its beginning and at its end. */
  readonly first: C;
  readonly last: C;
}

export interface CrowdWork<C> {
  readonly sight: CrowdSight;
  readonly members: readonly Pick<CrowdMember, "session">[];
  /** Sends the one that was due then. */
  readonly send: (n: number, dueMs: number) => void;
  readonly count: () => C;
  /** How long to wait for what is still on its way at the end, in milliseconds. */
  readonly graceMs: number;
}

/** Resolves when the crowd is gone. Rejects where a connection has failed. */
export async function measureCrowd<C>(
  { target: { pid }, rate, warmupMs, windowMs }: CrowdWindowInput,
  { sight, members, send, count, graceMs }: CrowdWork<C>,
): Promise<CrowdWindow<C>> {
  const intervalMs = 1_000 / rate;
  const schedule: Schedule = {
    startAt: performance.now() + LEAD_MS,
    intervalMs,
    count: Math.round((warmupMs + windowMs) / intervalMs),
  };
  const read = () => ({
    at: performance.now(),
    serverCpu: cpuMicros(pid),
    ownCpu: cpuMicros(process.pid),
    counted: count(),
  });
  const sending = pace(schedule, (n) => send(n, dueAt(schedule, n)));
  await pause(schedule.startAt + warmupMs - performance.now());
  sight.awaited.begin();
  const first = read();
  await pause(schedule.startAt + warmupMs + windowMs - performance.now());
  const last = read();
  await sending;
  await pause(graceMs);
  for (const { session } of members) session.destroy();
  if (sight.failed !== undefined) throw new Error(sight.failed);
  const seconds = (last.at - first.at) / 1_000;
  return {
    seconds,
    serverCpuUs: last.serverCpu - first.serverCpu,
    generatorCpu: (last.ownCpu - first.ownCpu) / 1e6 / seconds,
    first: first.counted,
    last: last.counted,
  };
}
