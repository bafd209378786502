// The load of `cluster` by rate: messages of some rooms, published at one node and received at another.

import { setTimeout as pause } from "node:timers/promises";
import { openPublisher, type Publisher } from "../client/publisher.js";
import { createRoom } from "../client/rooms.js";
import { openSession } from "../client/session.js";
import { createTokens } from "../client/tokens.js";
import { dialBinary } from "../client/wire.js";
import { cpuMicros } from "../process/proc.js";
import { LatencyHistogram } from "../stats.js";
import type { TrunklineTarget } from "../target.js";
import { EventWalker } from "../wire/walk.js";
import { createReadBuffer } from "../wire/websocket.js";
import { dueAt, pace, type Schedule } from "./pace.js";
import { waitUntil } from "./until.js";

export interface CrossingInput {
  readonly from: TrunklineTarget;
  readonly to: TrunklineTarget;
  /** All nodes: their CPU is counted. */
  readonly nodes: readonly number[];
  /** Processes beside them whose CPU is counted: the services. */
  readonly beside: readonly number[];
  /** Rooms, each with one who publishes and one who receives. */
  readonly rooms: number;
  /** Messages a second over all rooms; each once the one before has ended. */
  readonly rates: readonly number[];
  /**
   * With it, rates between the highest that was kept up with and the lowest that was not are tried until these are so close, in messages a
   * second, beginning at twice the last of `rates`.
   */
  readonly seekWithin: number | undefined;
  /** A rate is kept up with whose p99 is below it. */
  readonly keptUpMs: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  /** How long nodes and services have run under load before anything is measured: the first seconds after a start go to compilers. */
  readonly warmMs: number;
  /** How long to wait for what is still on its way when a rate has ended. */
  readonly graceMs: number;
}

export interface RateOutcome {
  readonly rate: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly nodesCpuUsPerPublish: number;
  readonly besideCpuUsPerPublish: readonly number[];
  readonly generatorCpu: number;
}

export interface CrossingOutcome {
  readonly rates: readonly RateOutcome[];
  /** The highest that was kept up with among those that were sought; undefined: none was sought, or none found. */
  readonly highest: RateOutcome | undefined;
}

/** Messages a second before anything is measured. */
const WARM_RATE = 2_000;
/** Nobody expects more of one machine. */
const MOST_RATE = 64_000;

export async function runCrossing(input: CrossingInput): Promise<CrossingOutcome> {
  let failed: string | undefined;
  const ways = await openRooms(input, (reason) => {
    failed ??= reason;
  });
  const rates: RateOutcome[] = [];
  await runKeptUp(WARM_RATE, input.warmMs);
  for (const rate of input.rates) {
    rates.push(await runKeptUp(rate));
  }
  let highest: RateOutcome | undefined;
  const { seekWithin } = input;
  if (seekWithin !== undefined) {
    let low = input.rates.at(-1) ?? 1_000;
    let high = MOST_RATE;
    for (let rate = 2 * low; high - low > seekWithin; ) {
      const outcome = await runRate(rate);
      // The next rate would begin behind what is left of this one.
      if (outcome === undefined) break;
      if (outcome.latencyP99Ms < input.keptUpMs) {
        highest = outcome;
        low = rate;
      } else high = rate;
      rate = high === MOST_RATE ? Math.min(2 * low, MOST_RATE) : (low + high) / 2;
    }
  }
  ways.close();
  return { rates, highest };

  async function runKeptUp(rate: number, windowMs?: number): Promise<RateOutcome> {
    const outcome = await runRate(rate, windowMs);
    if (outcome === undefined) throw new Error(`at ${rate}/s: ${ways.left()} messages have not arrived in time`);
    return outcome;
  }

  /** Undefined: not all has arrived in time. */
  async function runRate(rate: number, windowMs = input.windowMs): Promise<RateOutcome | undefined> {
    const schedule: Schedule = {
      startAt: performance.now() + 100,
      intervalMs: 1000 / rate,
      count: Math.round(((input.warmupMs + windowMs) * rate) / 1000),
    };
    const windowFrom = Math.round((input.warmupMs * rate) / 1000);
    ways.begin(schedule, windowFrom);
    const sending = pace(schedule, (n) => {
      if (failed === undefined) ways.publish(n);
    });
    await pause(dueAt(schedule, windowFrom) - performance.now());
    const before = snapshot(input);
    await pause(dueAt(schedule, schedule.count) - performance.now());
    const after = snapshot(input);
    await sending;
    await waitUntil(() => failed !== undefined || ways.left() === 0, input.graceMs);
    if (failed !== undefined) throw new Error(`at ${rate}/s: ${failed}`);
    if (ways.left() > 0) return undefined;
    const published = schedule.count - windowFrom;
    return {
      rate,
      latencyP50Ms: ways.latencies.quantile(0.5),
      latencyP99Ms: ways.latencies.quantile(0.99),
      nodesCpuUsPerPublish: (after.nodesCpu - before.nodesCpu) / published,
      besideCpuUsPerPublish: after.besideCpu.map((cpu, at) => (cpu - (before.besideCpu[at] ?? 0)) / published),
      generatorCpu: (after.ownCpu - before.ownCpu) / 1000 / (after.at - before.at),
    };
  }
}

interface Ways {
  /** Of the measured messages of the rate that was begun last. */
  readonly latencies: LatencyHistogram;
  begin(schedule: Schedule, windowFrom: number): void;
  /** Publishes message `n` of the rate. */
  publish(n: number): void;
  /** Messages of the rate that have not arrived. */
  left(): number;
  close(): void;
}

/** Message `n` goes to room `n` modulo the rooms; receivers check that nothing is missing, doubled or out of order. */
async function openRooms(input: CrossingInput, fail: (reason: string) => void): Promise<Ways> {
  const { from, to, rooms } = input;
  const tokens = await createTokens(from.keyFile);
  const readBuffer = createReadBuffer();
  const latencies = new LatencyHistogram();
  const walker = new EventWalker();
  const publishers: Publisher[] = [];
  const closes: (() => void)[] = [];
  /** By room, the last seq that has arrived, and at the beginning of this rate. */
  const tops = new Float64Array(rooms);
  const begun = new Float64Array(rooms);
  let schedule: Schedule = { startAt: 0, intervalMs: 1, count: 0 };
  let windowFrom = 0;
  let arrived = 0;
  /** Messages of the rates before: each has a number of its own, and with it a key. */
  let sent = 0;

  for (let at = 0; at < rooms; at++) {
    const roomId = `crossing-${at}`;
    const publisher = await openPublisher(
      dialBinary({ port: from.webPort, readBuffer }),
      await tokens(`publisher-${at}`),
      roomId,
      fail,
    );
    await createRoom(publisher.session, roomId, [`receiver-${at}`]);
    const receiver = await openSession(dialBinary({ port: to.webPort, readBuffer }), {
      token: await tokens(`receiver-${at}`),
      deviceId: "receiver",
      attempt: 1,
      rooms: [{ roomId }],
      events: (buffer, start, end) => received(at, buffer, start, end),
      failed: (reason) => fail(`receiver ${at}: ${reason}`),
    });
    tops[at] = receiver.subscribed[0]?.top?.seq ?? 0;
    publishers.push(publisher);
    closes.push(
      () => publisher.session.destroy(),
      () => receiver.destroy(),
    );
  }
  return {
    latencies,
    begin(next, from) {
      sent += schedule.count;
      schedule = next;
      windowFrom = from;
      arrived = 0;
      begun.set(tops);
      latencies.clear();
    },
    publish: (n) => publishers[n % rooms]?.publish(sent + n),
    left: () => schedule.count - arrived,
    close() {
      for (const close of closes) close();
    },
  };

  function received(room: number, buffer: Buffer, start: number, end: number): void {
    if (!walker.walk(buffer, start, end) || walker.count === 0) return;
    const top = tops[room] ?? 0;
    if (!walker.dense || walker.first !== top + 1) fail(`room ${room} got seq ${walker.first} after ${top}`);
    const now = performance.now();
    tops[room] = walker.first + walker.count - 1;
    arrived += walker.count;
    for (let seq = walker.first; seq < walker.first + walker.count; seq++) {
      const n = (seq - (begun[room] ?? 0) - 1) * rooms + room;
      if (n >= windowFrom) latencies.record(now - dueAt(schedule, n));
    }
  }
}

function snapshot({ nodes, beside }: CrossingInput) {
  return {
    at: performance.now(),
    nodesCpu: nodes.reduce((sum, pid) => sum + cpuMicros(pid), 0),
    besideCpu: beside.map(cpuMicros),
    ownCpu: cpuMicros(process.pid),
  };
}
