// The load of `sdk`: a page in a real browser that receives what ten publishers say in ten rooms.

import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type OpenPage, openPage } from "../browser/chromium.js";
import type { Receiver, ReceiverFigures, StartOptions } from "../browser/page/receiver.js";
import { type PageName, servePage } from "../browser/pages.js";
import { connectPeer } from "../client/peer.js";
import { openPublisher } from "../client/publisher.js";
import { createRoom } from "../client/rooms.js";
import { createTokens } from "../client/tokens.js";
import { dialBinary } from "../client/wire.js";
import { cpuMicros } from "../process/proc.js";
import { quantile } from "../stats.js";
import type { PeerTarget, Target, TrunklineTarget } from "../target.js";
import { messageText } from "../wire/message-text.js";
import { createReadBuffer } from "../wire/websocket.js";
import { dueAt, pace, type Schedule } from "./pace.js";
import { mapPooled } from "./pool.js";

export interface ReceiveInput {
  readonly target: Target;
  readonly page: Exclude<PageName, "reconnect">;
  readonly rooms: number;
  /** Messages a second, over all rooms. */
  readonly rate: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  /** How long to wait for what is still on its way at the end. */
  readonly graceMs: number;
  /** Where a CPU profile of the page's window is written. */
  readonly profile?: string;
}

export interface ReceiveOutcome {
  readonly receivedPerS: number;
  readonly perFrame: number;
  readonly scriptUs: number;
  readonly mainThreadUs: number;
  readonly browserUs: number;
  /** Of one core, what the main thread used. */
  readonly mainThreadShare: number;
  readonly longTasks: number;
  readonly longestTaskMs: number;
  readonly heapMib: number;
  readonly latencyP50Ms: number;
  readonly latencyP99Ms: number;
  readonly lost: number;
  readonly doubled: number;
  readonly generatorCpu: number;
}

const READER = "reader";
const LOOK_MS = 20;
const MIB = 1024 ** 2;

export async function runReceive(input: ReceiveInput): Promise<ReceiveOutcome> {
  let failed: string | undefined;
  const pages = await servePage(input.page);
  const browser = await openPage(pages.url);
  try {
    const outcome = await measure(input, browser, (reason) => {
      failed ??= reason;
    });
    if (failed !== undefined) throw new Error(failed);
    return outcome;
  } finally {
    await browser.close();
    pages.close();
  }
}

async function measure(
  input: ReceiveInput,
  browser: OpenPage,
  fail: (reason: string) => void,
): Promise<ReceiveOutcome> {
  const rooms = Array.from({ length: input.rooms }, (_, at) => `room-${at}`);
  const publishers =
    input.target.kind === "trunkline"
      ? await openTrunkline(input.target, rooms, fail)
      : await openPeers(input.target, rooms, fail);
  await evaluate<Receiver["start"]>(browser, "start", {
    url: `http://127.0.0.1:${input.target.kind === "trunkline" ? input.target.webPort : input.target.port}`,
    token: input.target.kind === "trunkline" ? await (await createTokens(input.target.keyFile))(READER) : "",
    rooms,
  } satisfies StartOptions);

  const count = Math.round(((input.warmupMs + input.windowMs) * input.rate) / 1000);
  const schedule: Schedule = { startAt: performance.now() + 100, intervalMs: 1000 / input.rate, count };
  const sending = pace(schedule, (n) => publishers[n % rooms.length]?.(n));
  await pause(schedule.startAt + input.warmupMs - performance.now());
  await evaluate<Receiver["begin"]>(browser, "begin", {
    startAt: performance.timeOrigin + schedule.startAt,
    intervalMs: schedule.intervalMs,
  });
  if (input.profile !== undefined) {
    await browser.profiler.send("Profiler.enable");
    await browser.profiler.send("Profiler.start");
  }
  const before = await snapshot(browser);
  await pause(dueAt(schedule, count) - performance.now());
  const after = await snapshot(browser);
  if (input.profile !== undefined) {
    const { profile } = await browser.profiler.send("Profiler.stop");
    await writeFile(join(input.profile, `page-${input.page}-${process.pid}.cpuprofile`), JSON.stringify(profile));
  }
  await sending;
  const until = performance.now() + input.graceMs;
  let last = after.figures;
  while (last.received < count && performance.now() < until) {
    await pause(LOOK_MS);
    last = await figuresOf(browser);
  }

  const received = after.figures.received - before.figures.received;
  const usOf = (from: number, to: number): number => ((to - from) * 1e6) / received;
  const seconds = (after.at - before.at) / 1000;
  return {
    receivedPerS: received / seconds,
    perFrame: received / (after.figures.frames - before.figures.frames),
    scriptUs: usOf(before.cost.scriptS, after.cost.scriptS),
    mainThreadUs: usOf(before.cost.tasksS, after.cost.tasksS),
    browserUs: usOf(before.cost.browserS, after.cost.browserS),
    mainThreadShare: (after.cost.tasksS - before.cost.tasksS) / seconds,
    longTasks: after.figures.longTasksMs.length,
    longestTaskMs: Math.max(0, ...after.figures.longTasksMs),
    heapMib: (await browser.heapBytes()) / MIB,
    latencyP50Ms: quantile(last.latencies, 0.5),
    latencyP99Ms: quantile(last.latencies, 0.99),
    // What has not come at the end was not passed over, and is missing all the same.
    lost: count - (last.received - last.doubled),
    doubled: last.doubled,
    generatorCpu: (after.ownCpu - before.ownCpu) / 1e6 / seconds,
  };
}

async function snapshot(browser: OpenPage) {
  const [figures, cost] = await Promise.all([figuresOf(browser), browser.cost()]);
  return { at: performance.now(), figures, cost, ownCpu: cpuMicros(process.pid) };
}

function figuresOf(browser: OpenPage): Promise<ReceiverFigures> {
  return evaluate<Receiver["figures"]>(browser, "figures");
}

/** Calls a method of the page's receiver. */
function evaluate<Method extends (...args: never[]) => unknown>(
  { page }: OpenPage,
  method: keyof Receiver,
  ...args: Parameters<Method>
): Promise<Awaited<ReturnType<Method>>> {
  return page.evaluate(`receiver.${method}(${args.map((value) => JSON.stringify(value)).join(",")})`);
}

type Publish = (n: number) => void;

/** Makes the rooms with the reader in them; one publisher each. */
async function openTrunkline(
  target: TrunklineTarget,
  rooms: readonly string[],
  fail: (reason: string) => void,
): Promise<readonly Publish[]> {
  const tokens = await createTokens(target.keyFile);
  const dial = dialBinary({ port: target.webPort, readBuffer: createReadBuffer() });
  return mapPooled(rooms.length, rooms.length, async (at) => {
    const roomId = rooms[at] ?? "";
    const publisher = await openPublisher(dial, await tokens(`publisher-${at}`), roomId, fail);
    await createRoom(publisher.session, roomId, [READER]);
    return publisher.publish;
  });
}

async function openPeers(
  target: PeerTarget,
  rooms: readonly string[],
  fail: (reason: string) => void,
): Promise<readonly Publish[]> {
  const readBuffer = createReadBuffer();
  return mapPooled(rooms.length, rooms.length, async (at) => {
    const closed = (reason: string): void => fail(`publisher ${at}: ${reason}`);
    const peer = await connectPeer(target, { readBuffer, message: () => undefined, closed });
    return (n) => peer.publish(rooms[at] ?? "", messageText(n));
  });
}
