// leases: what a round of leases costs Redis and a node, by how many nodes and shards there are. Each node begins one a second.

import { startRedis } from "../../test/support/services/redis.js";
import { SERVICES } from "../../test/support/services/service.js";
import { askLoad, type Suite, sampleCases } from "./suite.js";

const CASES = [3, 30, 100].flatMap((nodes) =>
  [256, 1_024].map((shards) => ({ name: `${nodes} nodes ${shards} shards`, nodes, shards })),
);
const WINDOW_MS = 15_000;
const QUICK_WINDOW_MS = 5_000;
/** Connections, and every shard at its place. */
const SETTLE_MS = 90_000;
const SLACK_MS = 10_000;

export const runLeasesSuite: Suite = async (context) => {
  const redis = await startRedis();
  if (redis === undefined) throw new Error(`install ${SERVICES.redis.needs}`);
  const windowMs = context.options.quick ? QUICK_WINDOW_MS : WINDOW_MS;
  try {
    return await sampleCases(context, CASES, async ({ name, nodes, shards }, run) => {
      const input = { redisUrl: redis.url, prefix: `bench-${run}-${nodes}-${shards}`, nodes, shards };
      const deadlineMs = SETTLE_MS + windowMs;
      const [outcome] = await Promise.all([
        askLoad(context, "leases", { ...input, windowMs }, deadlineMs),
        askLoad(context, "other leases", { ...input, deadlineMs }, deadlineMs + SLACK_MS),
      ]);
      return [
        { case: name, metric: "rounds_per_s", unit: "1/s", value: outcome.roundsPerS },
        { case: name, metric: "redis_us_per_round", unit: "µs", value: outcome.redisUs },
        { case: name, metric: "redis_cpu", unit: "% of a core", value: outcome.redisCpu * 100 },
        { case: name, metric: "round_ms", unit: "ms", value: outcome.latencyMs },
        { case: name, metric: "answer_kib", unit: "KiB", value: outcome.answerBytes / 1_024 },
        { case: name, metric: "node_us_per_round", unit: "µs", value: outcome.nodeUs },
      ];
    });
  } finally {
    await redis.stop();
  }
};
