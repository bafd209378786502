// edge: 36,000 people on three bridges and one node, in one channel and in rooms of ten, beside as many on the node alone as it can hold.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { type ArrivalFigures, type EdgeFigures, monotonicMs } from "../load/edge.js";
import { ROOM_SIZE } from "../load/edge-rooms.js";
import { collectedBytes } from "../process/collected.js";
import { mostOpenFiles } from "../process/limits.js";
import { metricIn, metricsOf } from "../process/metrics.js";
import { cpuMicros } from "../process/proc.js";
import type { Sample } from "../result.js";
import { type Running, startBridge, startNode } from "../servers.js";
import { LatencyHistogram } from "../stats.js";
import type { BridgeTarget, TrunklineTarget } from "../target.js";
import { Crowds } from "./edge-crowds.js";
import type { Context, Suite } from "./suite.js";

const BRIDGES = 3;
const SECRET = "the links of a benchmark";
const FULL = { perBridge: 12_000, settleMs: 5_000, warmupMs: 3_000, windowMs: 12_000, graceMs: 30_000 };
const QUICK = { perBridge: 1_200, settleMs: 1_500, warmupMs: 1_000, windowMs: 4_000, graceMs: 15_000 };
/** Files that a node has open beside its connections. */
const OTHER_FILES = 1_500;
/** From the moment a phase is asked for until its first message. */
const LEAD_MS = 500;
/** Before the first measured message of the channel: nothing of the one before is under way. */
const BOUNDARY_MS = 20;

interface Size {
  readonly perBridge: number;
  readonly settleMs: number;
  readonly warmupMs: number;
  readonly windowMs: number;
  readonly graceMs: number;
}

/** What is said. Last, nothing: code that the collections before have thrown away is compiled again by then. */
const PHASES = [
  { name: "channel 1/s", channelRate: 1, roomsRate: 0 },
  { name: "rooms 200/s", channelRate: 0, roomsRate: 200 },
  { name: "both", channelRate: 1, roomsRate: 200 },
  { name: "quiet", channelRate: 0, roomsRate: 0 },
] as const;

export const runEdgeSuite: Suite = async (context) => {
  const { options } = context;
  const given = options.quick ? QUICK : FULL;
  const wanted = options.connections ?? given.perBridge;
  const size = { ...given, perBridge: wanted - (wanted % ROOM_SIZE) };
  const samples: Sample[] = [];
  for (let run = 1; run <= options.runs; run++) {
    for (const bridges of [BRIDGES, 0]) {
      const name = bridges === 0 ? "no bridge" : `${bridges} bridges`;
      if (!options.wants(name)) continue;
      const members = bridges === 0 ? mostAlone(size) : bridges * size.perBridge;
      context.progress(`run ${run}/${options.runs}: ${name}, ${members} connections`);
      samples.push(...(await take(context, `${name} ${members}`, bridges, members, size)));
    }
  }
  return samples;
};

/** As many as on all bridges, or as one process may hold. */
function mostAlone({ perBridge }: Size): number {
  const most = Math.min(BRIDGES * perBridge, mostOpenFiles() - OTHER_FILES);
  return most - (most % (BRIDGES * ROOM_SIZE));
}

async function take(
  context: Context,
  name: string,
  bridgeCount: number,
  members: number,
  size: Size,
): Promise<readonly Sample[]> {
  const { children, options, progress } = context;
  const data = await mkdtemp(join(tmpdir(), "trunkline-bench-"));
  const running: Running<unknown>[] = [];
  const crowds = new Crowds(children);
  try {
    const environment = {
      TRUNKLINE_LINK_SECRET: SECRET,
      TRUNKLINE_MAX_CONNECTIONS: `${members + ROOM_SIZE}`,
      TRUNKLINE_METRICS_PORT: "0",
    };
    const { profile } = options;
    const node = await startNode(children, data, environment, profile);
    running.push(node);
    const bridges: BridgeTarget[] = [];
    for (let number = 1; number <= bridgeCount; number++) {
      const bridge = await startBridge(children, {
        node: node.target,
        secret: SECRET,
        name: `bridge-${number}`,
        ...(profile === undefined ? {} : { profile }),
      });
      running.unshift(bridge);
      bridges.push(bridge.target);
    }
    const servers: Servers = { node: node.target, bridges };
    const ports = bridges.length > 0 ? bridges.map(({ webPort }) => webPort) : Array(BRIDGES).fill(node.target.webPort);
    await crowds.begin(ports, node.target.keyFile, members);
    progress("the rooms are there");
    await crowds.warm();
    await pause(size.settleMs);
    const before = await memoriesOf(servers, size.settleMs);
    await crowds.open();
    await pause(size.settleMs);
    const after = await memoriesOf(servers, size.settleMs);
    const samples = [...memorySamples(name, members, before, after)];
    for (const phase of PHASES) {
      progress(phase.name);
      const outcome = await runPhase(servers, crowds, phase, size);
      samples.push(...phaseSamples(`${name} ${phase.name}`, outcome));
    }
    return samples;
  } finally {
    await crowds.stop();
    for (const server of running) await server.stop();
    await rm(data, { recursive: true, force: true });
  }
}

interface Servers {
  readonly node: TrunklineTarget;
  readonly bridges: readonly BridgeTarget[];
}

/** In bytes, after a full collection. */
interface Memory {
  /** As the kernel counts it. */
  readonly resident: number;
  /** What JavaScript holds, in the heap and beside it. */
  readonly held: number;
}

interface Memories {
  readonly node: Memory;
  /** Of all of them. */
  readonly bridges: Memory;
}

async function memoriesOf({ node, bridges }: Servers, settleMs: number): Promise<Memories> {
  const [ofNode, ...ofBridges] = await Promise.all([node, ...bridges].map((each) => memoryOf(each, settleMs)));
  if (ofNode === undefined) throw new Error("there is a node");
  return {
    node: ofNode,
    bridges: { resident: sum(ofBridges.map((each) => each.resident)), held: sum(ofBridges.map((each) => each.held)) },
  };
}

async function memoryOf(
  { pid, metricsPort }: Pick<BridgeTarget | TrunklineTarget, "pid" | "metricsPort">,
  settleMs: number,
): Promise<Memory> {
  const resident = await collectedBytes(pid, settleMs);
  const metrics = await metricsOf(metricsPort);
  const held = metricIn(metrics, "nodejs_heap_size_used_bytes") + metricIn(metrics, "nodejs_external_memory_bytes");
  return { resident, held };
}

function memorySamples(name: string, members: number, before: Memories, after: Memories): readonly Sample[] {
  const kib = (from: number, to: number) => (to - from) / 1024 / members;
  const one = (metric: string, value: number, aim?: string): Sample => ({
    case: name,
    metric,
    unit: "KiB",
    value,
    ...(aim !== undefined && { aim }),
  });
  const ofNode = [
    one("node_rss_per_connection", kib(before.node.resident, after.node.resident), "≤ 4"),
    one("node_heap_per_connection", kib(before.node.held, after.node.held)),
  ];
  if (before.bridges.resident === 0) return ofNode.map(({ aim: _, ...sample }) => sample);
  return [
    one("bridge_rss_per_connection", kib(before.bridges.resident, after.bridges.resident), "≤ 12"),
    one("bridge_heap_per_connection", kib(before.bridges.held, after.bridges.held)),
    ...ofNode,
  ];
}

type Phase = (typeof PHASES)[number];

interface Snapshot {
  readonly at: number;
  readonly nodeCpu: number;
  readonly bridgesCpu: number;
  readonly generatorCpu: number;
  readonly linkBytes: number;
  readonly linkDeliveries: number;
}

interface PhaseOutcome {
  readonly before: Snapshot;
  readonly after: Snapshot;
  readonly crowds: readonly EdgeFigures[];
}

async function runPhase(
  servers: Servers,
  crowds: Crowds,
  { channelRate, roomsRate }: Phase,
  { warmupMs, windowMs, graceMs }: Size,
): Promise<PhaseOutcome> {
  const startAt = monotonicMs() + LEAD_MS;
  const asked = crowds.run({ startAt, channelRate, roomsRate, warmupMs, windowMs, graceMs, boundaryMs: BOUNDARY_MS });
  const taken = async (atMs: number): Promise<Snapshot> => {
    await pause(startAt + atMs - BOUNDARY_MS - monotonicMs());
    return snapshot(servers, crowds);
  };
  const [figures, before, after] = await Promise.all([asked, taken(warmupMs), taken(warmupMs + windowMs)]);
  return { before, after, crowds: figures };
}

async function snapshot({ node, bridges }: Servers, crowds: Crowds): Promise<Snapshot> {
  const cpus = {
    at: performance.now(),
    nodeCpu: cpuMicros(node.pid),
    bridgesCpu: sum(bridges.map(({ pid }) => cpuMicros(pid))),
    generatorCpu: sum(crowds.pids.map(cpuMicros)),
  };
  const metrics = await Promise.all(bridges.map(({ metricsPort }) => metricsOf(metricsPort)));
  return {
    ...cpus,
    linkBytes: sum(metrics.map((text) => metricIn(text, "trunkline_link_received_bytes_total"))),
    linkDeliveries: sum(metrics.map((text) => metricIn(text, "trunkline_link_deliveries_total"))),
  };
}

function phaseSamples(name: string, { before, after, crowds }: PhaseOutcome): readonly Sample[] {
  const one = (metric: string, unit: string, value: number): Sample => ({ case: name, metric, unit, value });
  const seconds = (after.at - before.at) / 1000;
  const deliveries = sum(crowds.map((crowd) => crowd.deliveries));
  const perDelivery = (cpu: number) => (deliveries === 0 ? Number.NaN : cpu / deliveries);
  const cores = (cpu: number) => cpu / 1e6 / seconds;
  const [node, bridges] = [after.nodeCpu - before.nodeCpu, after.bridgesCpu - before.bridgesCpu];
  const channel = gather(crowds.map((crowd) => crowd.channel));
  const rooms = gather(crowds.map((crowd) => crowd.rooms));
  return [
    one("deliveries_per_s", "1/s", deliveries / seconds),
    one("node_cpu_us_per_delivery", "µs", perDelivery(node)),
    one("bridges_cpu_us_per_delivery", "µs", after.bridgesCpu === 0 ? Number.NaN : perDelivery(bridges)),
    one(
      "link_bytes_per_delivery",
      "B",
      (after.linkBytes - before.linkBytes) / (after.linkDeliveries - before.linkDeliveries),
    ),
    one("channel_p50_ms", "ms", channel.latencies.quantile(0.5)),
    one("channel_p99_ms", "ms", channel.latencies.quantile(0.99)),
    one("rooms_p50_ms", "ms", rooms.latencies.quantile(0.5)),
    one("rooms_p99_ms", "ms", rooms.latencies.quantile(0.99)),
    one("delivered_ratio", "", (channel.arrived + rooms.arrived) / (channel.due + rooms.due)),
    one("node_cpu", "cores", cores(node)),
    one("bridges_cpu", "cores", after.bridgesCpu === 0 ? Number.NaN : cores(bridges)),
    one("generator_cpu", "cores", cores(after.generatorCpu - before.generatorCpu)),
  ];
}

function gather(figures: readonly ArrivalFigures[]) {
  const latencies = new LatencyHistogram();
  for (const { latencies: counted } of figures) latencies.add(counted);
  return { latencies, due: sum(figures.map(({ due }) => due)), arrived: sum(figures.map(({ arrived }) => arrived)) };
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
