// compression: what the events of chat messages take in the log, and what a publish costs, by how batches are compressed and how many
// messages a second there are: batches are as large as the rate makes them.

import { LogReader } from "../cluster/log-batches.js";
import { type BenchCluster, startCluster } from "../cluster/nodes.js";
import { type BenchServices, startServices } from "../cluster/services.js";
import type { Sample } from "../result.js";
import { askLoad, type Context, type Suite } from "./suite.js";

const COMPRESSIONS = ["none", "gzip", "zstd"] as const;
const RATES: readonly { readonly name: string; readonly rate: number | undefined }[] = [
  { name: "100/s", rate: 100 },
  { name: "1000/s", rate: 1_000 },
  { name: "full speed", rate: undefined },
];
const NODES = 2;
const ROOMS = 64;
const CONCURRENCY = 1_024;
const CONNECT_MS = 60_000;
const FULL = { warmupMs: 4_000, windowMs: 12_000, graceMs: 30_000 };
const QUICK = { warmupMs: 1_500, windowMs: 3_000, graceMs: 30_000 };

export const runCompressionSuite: Suite = async (context) => {
  const { options } = context;
  const samples: Sample[] = [];
  const services = await startServices();
  try {
    for (let run = 1; run <= options.runs; run++) {
      for (const compression of COMPRESSIONS) {
        const rates = RATES.map((one) => ({ ...one, name: `${compression} ${one.name}` }));
        const wanted = rates.filter(({ name }) => options.wants(name));
        if (wanted.length === 0) continue;
        context.progress(`run ${run}/${options.runs}: ${wanted.map(({ name }) => name).join(", ")}`);
        const environment = { TRUNKLINE_KAFKA_COMPRESSION: compression };
        const cluster = await startCluster(context, services, NODES, { environment });
        try {
          for (const { name, rate } of wanted) samples.push(...(await measure(context, services, cluster, name, rate)));
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

async function measure(
  context: Context,
  services: BenchServices,
  cluster: BenchCluster,
  name: string,
  rate: number | undefined,
): Promise<readonly Sample[]> {
  const times = context.options.quick ? QUICK : FULL;
  const ours = services.all.flatMap(({ name, pid }) => (pid === undefined ? [] : [{ name, pid }]));
  const reader = await LogReader.open(services.urlOf("kafka"), `${cluster.name}.events`);
  try {
    const from = await reader.ends();
    const outcome = await askLoad(
      context,
      "ingest",
      {
        targets: cluster.nodes,
        beside: ours.map(({ pid }) => pid),
        prefix: name.replaceAll(/[^a-z0-9]/g, "-"),
        rooms: ROOMS,
        rate,
        concurrency: CONCURRENCY,
        ...times,
      },
      CONNECT_MS + times.warmupMs + times.windowMs + times.graceMs,
    );
    const refused = Object.keys(outcome.refusals);
    if (refused.length > 0) throw new Error(`publishes were refused: ${JSON.stringify(outcome.refusals)}`);
    const { batches, events, bytes } = await reader.sums(from, await reader.ends());
    if (events < outcome.acked) throw new Error(`${outcome.acked} were acknowledged, ${events} are in the log`);
    const kafka = outcome.besideCpuUsPerAck[ours.findIndex((service) => service.name === "kafka")] ?? Number.NaN;
    const sample = (metric: string, unit: string, value: number): Sample => ({ case: name, metric, unit, value });
    return [
      sample("publishes_per_s", "1/s", outcome.acksPerS),
      sample("events_per_batch", "", events / batches),
      sample("log_bytes_per_event", "bytes", bytes / events),
      sample("cpu_us_nodes", "µs", outcome.cpuUsPerAck),
      sample("cpu_us_kafka", "µs", kafka),
      sample("latency_p50_ms", "ms", outcome.latencyP50Ms),
      sample("latency_p99_ms", "ms", outcome.latencyP99Ms),
    ];
  } finally {
    reader.close();
  }
}
