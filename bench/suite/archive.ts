// archive: what a shard's new owner needs to take it over and to catch its archive up, by how much the archive lacks; how far the archive is
// behind live publishing, and how it catches up after MongoDB was away.

import { type BenchServices, startServices } from "../cluster/services.js";
import type { ArchiveOutcome } from "../load/archive.js";
import type { Sample } from "../result.js";
import { BESIDE, measureBeside } from "./archive-beside.js";
import { askLoad, type Context, type Suite, sampleCases } from "./suite.js";

const ROOMS = 20;
const TAKE_OVERS: readonly { readonly name: string; readonly events: number }[] = [
  { name: "nothing", events: 0 },
  { name: "1000 events", events: 1_000 },
  { name: "100000 events", events: 100_000 },
  { name: "a whole tail", events: Number.MAX_SAFE_INTEGER },
];
const QUICK_TAKE_OVERS = 2;
const DEADLINE_MS = 600_000;

interface Case {
  readonly name: string;
  readonly measure: (context: Context, services: BenchServices) => Promise<readonly Sample[]>;
}

export const runArchiveSuite: Suite = async (context) => {
  const { options } = context;
  const takeOvers: readonly Case[] = TAKE_OVERS.slice(0, options.quick ? QUICK_TAKE_OVERS : undefined).map((one) => ({
    name: one.name,
    measure: (context, services) => measureTakeOver(context, services, one),
  }));
  const beside: readonly Case[] = BESIDE.map((one) => ({
    name: one.name,
    measure: (context, services) => measureBeside(context, services, one),
  }));
  const services = await startServices();
  try {
    return await sampleCases(context, [...takeOvers, ...beside], ({ measure }) => measure(context, services));
  } finally {
    await services.stop();
  }
};

async function measureTakeOver(
  context: Context,
  services: BenchServices,
  { name, events }: { readonly name: string; readonly events: number },
): Promise<readonly Sample[]> {
  const input = {
    brokers: services.urlOf("kafka"),
    mongoUrl: services.urlOf("mongo"),
    mongoPid: services.all.find((service) => service.name === "mongo")?.pid,
    events,
    rooms: ROOMS,
  };
  return toSamples(name, await askLoad(context, "archive", input, DEADLINE_MS));
}

function toSamples(name: string, outcome: ArchiveOutcome): readonly Sample[] {
  const { events, mib, appendMs, openMs, recoverMs, archiveMs, ownCpuUsPerEvent, mongoCpuUsPerEvent } = outcome;
  const perS = (ms: number): number => (events === 0 ? Number.NaN : (events * 1_000) / ms);
  const sample = (metric: string, unit: string, value: number): Sample => ({ case: name, metric, unit, value });
  return [
    sample("events", "", events),
    sample("log_mib", "MiB", mib),
    sample("appended_per_s", "1/s", perS(appendMs)),
    sample("open_ms", "ms", openMs),
    sample("fold_ms", "ms", recoverMs),
    sample("archived_after_ms", "ms", archiveMs),
    sample("taken_over_per_s", "1/s", perS(archiveMs)),
    sample("take_over_us_node", "µs", events === 0 ? Number.NaN : ownCpuUsPerEvent),
    sample("take_over_us_mongo", "µs", events === 0 ? Number.NaN : mongoCpuUsPerEvent),
  ];
}
