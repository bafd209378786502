// cluster: one to three nodes on Redis, Kafka and MongoDB, all on this machine: acknowledged publishes a second, how late a message is at
// another node, what a publish costs each process, what a node costs that has nothing to do, and how long rooms wait when a node goes.

import { setTimeout as pause } from "node:timers/promises";
import { type BenchCluster, startCluster } from "../cluster/nodes.js";
import { type BenchServices, startServices } from "../cluster/services.js";
import type { RateOutcome } from "../load/crossing.js";
import type { PublishOutcome } from "../load/publish.js";
import type { SilenceOutcome } from "../load/silence.js";
import { cpuMicros } from "../process/proc.js";
import type { Sample } from "../result.js";
import { askLoad, type Context, type Suite } from "./suite.js";

const NODES = [1, 2, 3];
const PUBLISH = { transport: "websocket", concurrency: 1_024, rooms: 64 } as const;
const RATES = [100, 1_000];
const ROOMS = 16;
const SEEK_WITHIN = 500;
/** What is later than this is no chat. */
const KEPT_UP_MS = 250;
const CONNECT_DEADLINE_MS = 120_000;
/** Of rates that are sought, at most. */
const SEEKS = 12;

const FULL = { warmMs: 40_000, warmupMs: 4_000, windowMs: 8_000, graceMs: 30_000, settleMs: 10_000, idleMs: 30_000 };
const QUICK = { warmMs: 15_000, warmupMs: 1_500, windowMs: 3_000, graceMs: 30_000, settleMs: 5_000, idleMs: 10_000 };
/** While a node goes: two rooms a shard. */
const GOING_ROOMS = 32;
const GOING = { beforeMs: 3_000, afterMs: 8_000 };

/** Aims on two cores that nodes, services and generator share. */
const AIMS = { acksOfTwo: "≥ 8,000", p50: "< 8", p99: "< 40", idle: "< 1", leave: "< 500", kill: "< 6,000" };
const AIMED_RATE = 1_000;

export const runClusterSuite: Suite = async (context) => {
  const { options } = context;
  const samples: Sample[] = [];
  const services = await startServices();
  try {
    for (let run = 1; run <= options.runs; run++) {
      for (const one of CASES.filter(({ names }) => names.some((name) => options.wants(name)))) {
        context.progress(`run ${run}/${options.runs}: ${one.names.join(", ")}`);
        const cluster = await startCluster(context, services, one.nodes);
        try {
          const measured = await one.measure(context, services, cluster, one);
          samples.push(...measured);
        } finally {
          await cluster.stop();
        }
      }
    }
    return samples;
  } finally {
    await services.stop();
  }
};

interface Case {
  /** The names of its rows. */
  readonly names: readonly string[];
  readonly nodes: number;
  readonly measure: (
    context: Context,
    services: BenchServices,
    cluster: BenchCluster,
    one: Case,
  ) => Promise<readonly Sample[]>;
}

const HIGHEST = "across highest";
const CASES: readonly Case[] = [
  ...NODES.map((nodes) => ({ names: [`publish ${counted(nodes)}`], nodes, measure: measurePublish })),
  { names: [...RATES.map(crossingName), HIGHEST], nodes: 2, measure: measureCrossing },
  ...NODES.map((nodes) => ({ names: [`idle ${counted(nodes)}`], nodes, measure: measureIdle })),
  { names: ["leave", "kill"], nodes: 3, measure: measureGoing },
];

function counted(nodes: number): string {
  return nodes === 1 ? "1 node" : `${nodes} nodes`;
}

function crossingName(rate: number): string {
  return `across ${rate}/s`;
}

async function measurePublish(
  context: Context,
  services: BenchServices,
  { nodes }: BenchCluster,
  { names: [name = ""] }: Case,
): Promise<readonly Sample[]> {
  const times = context.options.quick ? QUICK : FULL;
  const outcome: PublishOutcome = await askLoad(
    context,
    "publish",
    { targets: nodes, beside: pidsOf(services), ...PUBLISH, ...times },
    CONNECT_DEADLINE_MS + times.warmupMs + times.windowMs,
  );
  return [
    {
      case: name,
      metric: "publishes_per_s",
      unit: "1/s",
      value: outcome.acksPerS,
      ...(nodes.length === 2 ? { aim: AIMS.acksOfTwo } : {}),
    },
    { case: name, metric: "latency_p50_ms", unit: "ms", value: outcome.latencyP50Ms },
    { case: name, metric: "latency_p99_ms", unit: "ms", value: outcome.latencyP99Ms },
    ...cpuSamples(name, services, outcome.cpuUsPerAck, outcome.besideCpuUsPerAck),
    { case: name, metric: "generator_cpu", unit: "cores", value: outcome.generatorCpu },
  ];
}

async function measureCrossing(
  context: Context,
  services: BenchServices,
  { nodes }: BenchCluster,
): Promise<readonly Sample[]> {
  const { options } = context;
  const [from, to] = nodes;
  if (from === undefined || to === undefined) throw new Error("a message crosses between two nodes");
  const times = options.quick ? QUICK : FULL;
  const seeks = options.wants(HIGHEST);
  const { rates, highest } = await askLoad(
    context,
    "crossing",
    {
      from,
      to,
      nodes: nodes.map(({ pid }) => pid),
      beside: pidsOf(services),
      rooms: ROOMS,
      rates: RATES.filter((rate) => options.wants(crossingName(rate))),
      seekWithin: seeks ? SEEK_WITHIN : undefined,
      keptUpMs: KEPT_UP_MS,
      ...times,
    },
    CONNECT_DEADLINE_MS + times.warmMs + (1 + RATES.length + SEEKS) * (times.warmupMs + times.windowMs + times.graceMs),
  );
  const samples = rates.flatMap((outcome) => crossingSamples(crossingName(outcome.rate), services, outcome));
  return highest === undefined ? samples : [...samples, ...crossingSamples(HIGHEST, services, highest)];
}

function crossingSamples(name: string, services: BenchServices, outcome: RateOutcome): readonly Sample[] {
  const aimed = outcome.rate === AIMED_RATE;
  return [
    { case: name, metric: "publishes_per_s", unit: "1/s", value: outcome.rate },
    {
      case: name,
      metric: "latency_p50_ms",
      unit: "ms",
      value: outcome.latencyP50Ms,
      ...(aimed ? { aim: AIMS.p50 } : {}),
    },
    {
      case: name,
      metric: "latency_p99_ms",
      unit: "ms",
      value: outcome.latencyP99Ms,
      ...(aimed ? { aim: AIMS.p99 } : {}),
    },
    ...cpuSamples(name, services, outcome.nodesCpuUsPerPublish, outcome.besideCpuUsPerPublish),
    { case: name, metric: "generator_cpu", unit: "cores", value: outcome.generatorCpu },
  ];
}

async function measureIdle(
  context: Context,
  services: BenchServices,
  { nodes }: BenchCluster,
  { names: [name = ""] }: Case,
): Promise<readonly Sample[]> {
  const times = context.options.quick ? QUICK : FULL;
  await pause(times.settleMs);
  const pids = [...nodes.map(({ pid }) => pid), ...pidsOf(services)];
  const startedAt = performance.now();
  const before = pids.map(cpuMicros);
  await pause(times.idleMs);
  const percents = pids.map((pid, at) => {
    return (cpuMicros(pid) - (before[at] ?? 0)) / 10 / (performance.now() - startedAt);
  });
  const ofNodes = percents.slice(0, nodes.length).reduce((sum, percent) => sum + percent, 0);
  return [
    {
      case: name,
      metric: "idle_cpu_per_node",
      unit: "% of a core",
      value: ofNodes / nodes.length,
      aim: AIMS.idle,
    },
    ...ours(services).map((service, at) => ({
      case: name,
      metric: `idle_cpu_${service}`,
      unit: "% of a core",
      value: percents[nodes.length + at] ?? Number.NaN,
    })),
  ];
}

/** The last node leaves, then the one before it is killed; everybody speaks at the first. */
async function measureGoing(
  context: Context,
  _services: BenchServices,
  { nodes }: BenchCluster,
): Promise<readonly Sample[]> {
  const [at, killed, leaving] = nodes;
  if (at === undefined || killed === undefined || leaving === undefined)
    throw new Error("three nodes, of which two go");
  const ways = [
    { name: "leave", goes: leaving.pid, signal: "SIGTERM", aim: AIMS.leave },
    { name: "kill", goes: killed.pid, signal: "SIGKILL", aim: AIMS.kill },
  ] as const;
  const samples: Sample[] = [];
  for (const { aim, ...way } of ways.filter(({ name }) => context.options.wants(name))) {
    const outcome: SilenceOutcome = await askLoad(
      context,
      "silence",
      { at, rooms: GOING_ROOMS, ...way, ...GOING },
      CONNECT_DEADLINE_MS + GOING.beforeMs + GOING.afterMs,
    );
    samples.push(
      { case: way.name, metric: "rooms_wait_longest_ms", unit: "ms", value: outcome.longestMs, aim },
      { case: way.name, metric: "rooms_wait_p50_ms", unit: "ms", value: outcome.medianMs },
    );
  }
  return samples;
}

function cpuSamples(
  name: string,
  services: BenchServices,
  ofNodes: number,
  beside: readonly number[],
): readonly Sample[] {
  return [
    { case: name, metric: "cpu_us_nodes", unit: "µs", value: ofNodes },
    ...ours(services).map((service, at) => ({
      case: name,
      metric: `cpu_us_${service}`,
      unit: "µs",
      value: beside[at] ?? Number.NaN,
    })),
  ];
}

/** The services whose CPU can be read, in order. */
function ours(services: BenchServices): readonly string[] {
  return services.all.filter(({ pid }) => pid !== undefined).map(({ name }) => name);
}

function pidsOf(services: BenchServices): readonly number[] {
  return services.all.flatMap(({ pid }) => (pid === undefined ? [] : [pid]));
}
