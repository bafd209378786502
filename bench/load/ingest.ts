// The load of `archive` beside live publishing and of `compression`: chat messages at a fixed rate, or as fast as they are answered.

import { setTimeout as pause } from "node:timers/promises";
import { cpuMicros } from "../process/proc.js";
import { type Ingest, type IngestInput, openIngest } from "./ingest-sessions.js";
import { dueAt, pace, type Schedule } from "./pace.js";

export interface IngestOutcome {
  /** Acknowledged in all, before and after the window too: each message, once. */
  readonly acked: number;
  /** Refusals by code; each message that was refused was sent again until it was not. */
  readonly refusals: Readonly<Record<string, number>>;
  /** The window, in milliseconds of the epoch. */
  readonly from: number;
  readonly to: number;
  readonly acksPerS: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly cpuUsPerAck: number;
  readonly besideCpuUsPerAck: readonly number[];
  readonly generatorCpu: number;
  /** Acknowledgements in each slice of time since `beganAt`, a time of the epoch. */
  readonly slices: readonly number[];
  readonly beganAt: number;
}

const POLL_MS = 20;

export async function runIngest(input: IngestInput): Promise<IngestOutcome> {
  const load = await openIngest(input);
  const leftMs = input.beginAt === undefined ? 0 : input.beginAt - Date.now();
  if (leftMs < 0) throw new Error("the rooms were not there in time");
  await pause(leftMs);
  const beganAt = Date.now();
  load.start(beganAt);
  const sending = input.rate === undefined ? Promise.resolve() : paced(input, input.rate, load);
  await pause(input.warmupMs);
  load.latencies.clear();
  const before = snapshot(input);
  await pause(input.windowMs);
  const after = snapshot(input);
  const acks = load.latencies.total;
  const [latencyP50Ms, latencyP99Ms] = [load.latencies.quantile(0.5), load.latencies.quantile(0.99)];
  await sending;
  load.finish();
  const until = performance.now() + input.graceMs;
  while (load.problem() === undefined && load.unanswered() > 0 && performance.now() < until) await pause(POLL_MS);
  const left = load.unanswered();
  load.close();
  const seen = `${load.acked()} were, and refused: ${JSON.stringify(Object.fromEntries(load.refusals))}`;
  const problem = load.problem() ?? (left > 0 ? `${left} messages were never acknowledged; ${seen}` : undefined);
  if (problem !== undefined) throw new Error(problem);
  return {
    acked: load.acked(),
    refusals: Object.fromEntries(load.refusals),
    from: before.epoch,
    to: after.epoch,
    acksPerS: (acks * 1_000) / (after.at - before.at),
    latencyP50Ms,
    latencyP99Ms,
    cpuUsPerAck: (after.targetCpu - before.targetCpu) / acks,
    besideCpuUsPerAck: after.besideCpu.map((cpu, at) => (cpu - (before.besideCpu[at] ?? 0)) / acks),
    generatorCpu: (after.ownCpu - before.ownCpu) / 1_000 / (after.at - before.at),
    slices: load.slices,
    beganAt,
  };
}

function snapshot({ targets, beside }: IngestInput) {
  return {
    at: performance.now(),
    epoch: Date.now(),
    targetCpu: targets.reduce((sum, { pid }) => sum + cpuMicros(pid), 0),
    besideCpu: beside.map(cpuMicros),
    ownCpu: cpuMicros(process.pid),
  };
}

function paced({ warmupMs, windowMs }: IngestInput, rate: number, load: Ingest): Promise<void> {
  const count = Math.round(((warmupMs + windowMs) * rate) / 1_000);
  const schedule: Schedule = { startAt: performance.now(), intervalMs: 1_000 / rate, count };
  return pace(schedule, (n) => load.publish(n, dueAt(schedule, n)));
}
