// leases: what a round of leases costs Redis and a node, by how many nodes and shards there are. Each node begins one a second.

import { startRedis } from "../../test/support/services/redis.js";
import { SERVICES } from "../../test/support/services/service.js";
import type { Sample } from "../result.js";
import { askLoad, type Suite } from "./suite.js";

const CASES = [3, 30, 100].flatMap((nodes) => [256, 1_024].map((shards) => ({ nodes, shards })));
const WINDOW_MS = 15_000;
const QUICK_WINDOW_MS = 5_000;
/** Connections, and every shard at its place. */
const SETTLE_MS = 90_000;
const SLACK_MS = 10_000;

export const runLeasesSuite: Suite = async (context) => {
  const { options } = context;
  const samples: Sample[] = [];
  const redis = await startRedis();
  if (redis === undefined) throw new Error(`install ${SERVICES.redis.needs}`);
  try {
    const windowMs = options.quick ? QUICK_WINDOW_MS : WINDOW_MS;
    for (let run = 1; run <= options.runs; run++) {
      for (const { nodes, shards } of CASES) {
        const name = `${nodes} nodes ${shards} shards`;
        if (!options.wants(name)) continue;
        context.progress(`run ${run}/${options.runs}: ${name}`);
        const input = { redisUrl: redis.url, prefix: `bench-${run}-${nodes}-${shards}`, nodes, shards };
        const deadlineMs = SETTLE_MS + windowMs;
        const [outcome] = await Promise.all([
          askLoad(context, "leases", { ...input, windowMs }, deadlineMs),
          askLoad(context, "other leases", { ...input, deadlineMs }, deadlineMs + SLACK_MS),
        ]);
        const sample = (metric: string, unit: string, value: number): Sample => ({ case: name, metric, unit, value });
        samples.push(
          sample("rounds_per_s", "1/s", outcome.roundsPerS),
          sample("redis_us_per_round", "µs", outcome.redisUs),
          sample("redis_cpu", "% of a core", outcome.redisCpu * 100),
          sample("round_ms", "ms", outcome.latencyMs),
          sample("answer_kib", "KiB", outcome.answerBytes / 1_024),
          sample("node_us_per_round", "µs", outcome.nodeUs),
        );
      }
    }
    return samples;
  } finally {
    await redis.stop();
  }
};
