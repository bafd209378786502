// archive: what a shard's new owner needs to take it over and to catch its archive up, by how much the archive lacks.

import { startServices } from "../cluster/services.js";
import type { ArchiveOutcome } from "../load/archive.js";
import type { Sample } from "../result.js";
import { askLoad, type Suite } from "./suite.js";

const ROOMS = 20;
const CASES: readonly { readonly name: string; readonly events: number }[] = [
  { name: "nothing", events: 0 },
  { name: "1000 events", events: 1_000 },
  { name: "100000 events", events: 100_000 },
  { name: "a whole tail", events: Number.MAX_SAFE_INTEGER },
];
const QUICK_CASES = 2;
const DEADLINE_MS = 600_000;

export const runArchiveSuite: Suite = async (context) => {
  const { options } = context;
  const samples: Sample[] = [];
  const services = await startServices();
  try {
    const mongoPid = services.all.find(({ name }) => name === "mongo")?.pid;
    const cases = CASES.slice(0, options.quick ? QUICK_CASES : undefined).filter(({ name }) => options.wants(name));
    for (let run = 1; run <= options.runs; run++) {
      for (const { name, events } of cases) {
        context.progress(`run ${run}/${options.runs}: ${name}`);
        const input = {
          brokers: services.urlOf("kafka"),
          mongoUrl: services.urlOf("mongo"),
          mongoPid,
          events,
          rooms: ROOMS,
        };
        samples.push(...toSamples(name, await askLoad(context, "archive", input, DEADLINE_MS)));
      }
    }
    return samples;
  } finally {
    await services.stop();
  }
};

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
    sample("archived_per_s", "1/s", perS(archiveMs)),
    sample("cpu_us_node", "µs", events === 0 ? Number.NaN : ownCpuUsPerEvent),
    sample("cpu_us_mongo", "µs", events === 0 ? Number.NaN : mongoCpuUsPerEvent),
  ];
}
