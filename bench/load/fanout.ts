// The load of `fanout`: a thousand receivers in one room and one publisher, at rising rates, on the same connections.

import { setTimeout as pause } from "node:timers/promises";
import { cpuMicros } from "../process/proc.js";
import { openPeerRoom } from "./fanout-peer.js";
import type { FanoutInput } from "./fanout-room.js";
import { openTrunklineRoom } from "./fanout-trunkline.js";
import { dueAt, pace, type Schedule } from "./pace.js";
import { Tally } from "./tally.js";
import { waitUntil } from "./until.js";

export interface FanoutOutcome {
  readonly rate: number;
  readonly cpuUsPerDelivery: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  /** Measured messages received over those due, by the end of the grace. */
  readonly deliveredRatio: number;
  /** CPU of the load generator over the window: near 1, it is the generator that is measured. */
  readonly generatorCpu: number;
}

export async function runFanout(input: FanoutInput): Promise<readonly FanoutOutcome[]> {
  const tally = new Tally(input.members);
  let failed: string | undefined;
  const fail = (reason: string) => {
    failed ??= reason;
  };
  const room =
    input.target.kind === "trunkline"
      ? await openTrunklineRoom(input.target, input, tally, fail)
      : await openPeerRoom(input.target, input.members, tally, fail);
  const outcomes: FanoutOutcome[] = [];
  let published = 0;
  for (const rate of input.rates) {
    const outcome = await runRate(rate);
    if (failed !== undefined) throw new Error(`at ${rate}/s: ${failed}`);
    outcomes.push(outcome);
    // The next rate would measure what is left of this one.
    if (tally.deliveries < published * input.members) break;
  }
  room.close();
  return outcomes;

  async function runRate(rate: number): Promise<FanoutOutcome> {
    const from = published;
    const schedule: Schedule = {
      startAt: performance.now() + 100,
      intervalMs: 1000 / rate,
      count: Math.round(((input.warmupMs + input.windowMs) * rate) / 1000),
    };
    const windowFrom = from + Math.round((input.warmupMs * rate) / 1000);
    tally.begin({ from, schedule, windowFrom, windowTo: from + schedule.count });
    const sending = pace(schedule, (n) => {
      if (failed === undefined) room.publish(from + n);
    });
    published = from + schedule.count;

    await pause(dueAt(schedule, windowFrom - from) - performance.now());
    const before = snapshot(input.target.pid, tally);
    await pause(dueAt(schedule, schedule.count) - performance.now());
    const after = snapshot(input.target.pid, tally);
    await sending;
    await waitUntil(() => failed !== undefined || tally.deliveries >= published * input.members, input.graceMs);

    return {
      rate,
      cpuUsPerDelivery: (after.serverCpu - before.serverCpu) / (after.deliveries - before.deliveries),
      latencyP50Ms: tally.latencies.quantile(0.5),
      latencyP99Ms: tally.latencies.quantile(0.99),
      deliveredRatio: tally.measured / ((published - windowFrom) * input.members),
      generatorCpu: (after.ownCpu - before.ownCpu) / 1000 / (after.at - before.at),
    };
  }
}

function snapshot(pid: number, tally: Tally) {
  return {
    at: performance.now(),
    serverCpu: cpuMicros(pid),
    ownCpu: cpuMicros(process.pid),
    deliveries: tally.deliveries,
  };
}
