// sdk: what the browser's client costs the page that receives ten thousand events a second, how it comes back to two hundred rooms, and what it weighs.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { PageName } from "../browser/pages.js";
import type { ReceiveInput, ReceiveOutcome } from "../load/receive.js";
import type { ReconnectOutcome } from "../load/reconnect.js";
import type { Sample } from "../result.js";
import { startPeer, startTrunkline } from "../servers.js";
import type { Target } from "../target.js";
import { askLoad, type Context, type Suite, withServer } from "./suite.js";

const PAGES: readonly { readonly page: ReceiveInput["page"]; readonly server: Target["kind"] }[] = [
  { page: "trunkline-binary", server: "trunkline" },
  { page: "trunkline-shared", server: "trunkline" },
  { page: "trunkline-json", server: "trunkline" },
  { page: "socket-io", server: "socket.io" },
];

const ROOMS = 10;
const RATES = [1_000, 10_000];
const FULL = { warmupMs: 3_000, windowMs: 10_000, graceMs: 20_000 };
const QUICK = { warmupMs: 1_000, windowMs: 3_000, graceMs: 20_000 };
const RECONNECT_ROOMS = 200;
const RTTS_MS = [0, 100];
const RECONNECTS = { full: 30, quick: 8 };
const RECONNECT_DEADLINE_MS = 20_000;
const SETUP_DEADLINE_MS = 60_000;

const SIZES = fileURLToPath(new URL("../../../scripts/client-sizes.js", import.meta.url));
/** Of the binary client, gzipped. */
const MOST_KIB = 30;
const KIB = 1_024;

/** Pages come from another origin than the bridge's. */
const ANY_PAGE = { TRUNKLINE_ALLOWED_ORIGINS: "*" };

export const runSdkSuite: Suite = async (context) => {
  const { options } = context;
  const samples: Sample[] = [];
  for (let run = 1; run <= options.runs; run++) {
    for (const { page, server } of PAGES) {
      for (const rate of RATES.filter((rate) => options.wants(caseName(page, rate)))) {
        context.progress(`run ${run}/${options.runs}: ${page} at ${rate}/s`);
        samples.push(...receiveSamples(caseName(page, rate), await receive(context, page, server, rate)));
      }
    }
    for (const rttMs of RTTS_MS) {
      const name = `reconnect ${RECONNECT_ROOMS} rooms ${rttMs === 0 ? "loopback" : `${rttMs} ms away`}`;
      if (!options.wants(name)) continue;
      context.progress(`run ${run}/${options.runs}: ${name}`);
      samples.push(...reconnectSamples(name, await reconnect(context, rttMs)));
    }
  }
  if (options.wants("size")) samples.push(...(await sizeSamples()));
  return samples;
};

function caseName(page: PageName, rate: number): string {
  return `${page} ${rate}/s`;
}

function receive(
  context: Context,
  page: ReceiveInput["page"],
  server: Target["kind"],
  rate: number,
): Promise<ReceiveOutcome> {
  const { children, options } = context;
  const times = options.quick ? QUICK : FULL;
  const deadlineMs = SETUP_DEADLINE_MS + times.warmupMs + times.windowMs + times.graceMs;
  const profile = options.profile === undefined ? {} : { profile: options.profile };
  const use = (target: Target) =>
    askLoad(context, "receive", { target, page, rooms: ROOMS, rate, ...times, ...profile }, deadlineMs);
  return server === "trunkline"
    ? withServer(() => startTrunkline(children, options.profile, ANY_PAGE), use)
    : withServer(() => startPeer(children, server), use);
}

function reconnect({ children, options, ...context }: Context, rttMs: number): Promise<ReconnectOutcome> {
  const times = options.quick ? RECONNECTS.quick : RECONNECTS.full;
  return withServer(
    () => startTrunkline(children, options.profile, ANY_PAGE),
    (target) =>
      askLoad(
        { children, options, ...context },
        "reconnect",
        { target, rooms: RECONNECT_ROOMS, times, oneWayMs: rttMs / 2, deadlineMs: RECONNECT_DEADLINE_MS },
        SETUP_DEADLINE_MS + times * RECONNECT_DEADLINE_MS,
      ),
  );
}

function receiveSamples(name: string, outcome: ReceiveOutcome): readonly Sample[] {
  const one = (metric: string, unit: string, value: number): Sample => ({ case: name, metric, unit, value });
  return [
    one("received_per_s", "1/s", outcome.receivedPerS),
    one("events_per_frame", "", outcome.perFrame),
    one("script_us_per_event", "µs", outcome.scriptUs),
    one("main_thread_us_per_event", "µs", outcome.mainThreadUs),
    one("main_thread", "cores", outcome.mainThreadShare),
    one("browser_us_per_event", "µs", outcome.browserUs),
    one("long_tasks", "", outcome.longTasks),
    one("longest_task_ms", "ms", outcome.longestTaskMs),
    one("heap", "MiB", outcome.heapMib),
    one("latency_p50_ms", "ms", outcome.latencyP50Ms),
    one("latency_p99_ms", "ms", outcome.latencyP99Ms),
    one("not_arrived", "", outcome.lost),
    one("arrived_twice", "", outcome.doubled),
    one("generator_cpu", "cores", outcome.generatorCpu),
  ];
}

function reconnectSamples(name: string, outcome: ReconnectOutcome): readonly Sample[] {
  const one = (metric: string, unit: string, value: number): Sample => ({ case: name, metric, unit, value });
  return [
    one("dial_to_open_p50_ms", "ms", outcome.dialToOpenMs),
    one("open_to_welcome_p50_ms", "ms", outcome.openToWelcomeMs),
    one("open_to_live_p50_ms", "ms", outcome.openToLiveMs),
    one("open_to_caught_up_p50_ms", "ms", outcome.openToCaughtUpMs),
    { ...one("frames_up", "", outcome.framesUp), aim: "1" },
    one("frames_down", "", outcome.framesDown),
    one("bytes_up", "", outcome.bytesUp),
    one("bytes_down", "", outcome.bytesDown),
    one("lost", "", outcome.lost),
    one("doubled", "", outcome.doubled),
  ];
}

async function sizeSamples(): Promise<readonly Sample[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [SIZES, "--json"]);
  const sizes: readonly { readonly name: string; readonly bytes: number; readonly gzip: number }[] = JSON.parse(stdout);
  return sizes.flatMap(({ name, bytes, gzip }): Sample[] => [
    { case: `size ${name}`, metric: "minified", unit: "KiB", value: bytes / KIB },
    {
      case: `size ${name}`,
      metric: "gzipped",
      unit: "KiB",
      value: gzip / KIB,
      ...(name === "trunkline/client" && { aim: `≤ ${MOST_KIB}` }),
    },
  ]);
}
