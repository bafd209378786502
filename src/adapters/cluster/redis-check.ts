// Whether a Redis is one that a cluster can stand on.

import { Cluster } from "ioredis";
import type { RedisCommands } from "./redis.js";

/** Sharded pub/sub came with it. */
const LEAST_VERSION = 7;

/** A Redis that does not fit. */
export class RedisUnfit extends Error {
  override readonly name = "RedisUnfit";
}

export interface RedisFacts {
  readonly version: string;
  /** `maxmemory` in bytes; 0: no bound. */
  readonly maxMemory: number;
  /** `maxmemory-policy` */
  readonly policy: string;
  readonly clusterEnabled: boolean;
}

/** Rejects with RedisUnfit that says what does not fit, or with Redis's own error. Each master of a Redis Cluster is to fit. */
export async function checkRedis(redis: RedisCommands, allowUnsafe: boolean): Promise<void> {
  const nodes = redis instanceof Cluster ? redis.nodes("master") : [redis];
  const reasons = await Promise.all(
    nodes.map(async (node) => {
      const facts = factsOf(
        `${await node.info("server")}\n${await node.info("memory")}\n${await node.info("cluster")}`,
      );
      const isClustered = redis instanceof Cluster;
      return redisMisfits(facts, { allowUnsafe, isClustered }).map((reason) =>
        isClustered ? `${node.options.host}:${node.options.port}: ${reason}` : reason,
      );
    }),
  );
  if (reasons.flat().length > 0) throw new RedisUnfit(`does not fit: ${reasons.flat().join("; ")}`);
}

/** Why it does not fit, in words for an operator; none: it fits. */
export function redisMisfits(
  { version, maxMemory, policy, clusterEnabled }: RedisFacts,
  { allowUnsafe, isClustered }: { readonly allowUnsafe: boolean; readonly isClustered: boolean },
): readonly string[] {
  const reasons: string[] = [];
  // It would refuse most keys.
  if (clusterEnabled && !isClustered) reasons.push("it is a node of a Redis Cluster, and was given as a single Redis");
  if (!(Number.parseInt(version, 10) >= LEAST_VERSION))
    reasons.push(`it is Redis ${version}, older than ${LEAST_VERSION}`);
  // Leases and sessions that vanish one by one are noticed by nobody.
  if (!allowUnsafe && maxMemory > 0 && policy !== "noeviction") {
    reasons.push(
      `maxmemory-policy is ${policy}, not noeviction: it removes leases and sessions when memory runs short`,
    );
  }
  return reasons;
}

/** Reads what INFO says. */
function factsOf(info: string): RedisFacts {
  const values = new Map(
    info.split(/\r?\n/).flatMap((line) => {
      const at = line.indexOf(":");
      return at < 0 ? [] : [[line.slice(0, at), line.slice(at + 1).trim()] as const];
    }),
  );
  return {
    version: values.get("redis_version") ?? "of an unknown version",
    maxMemory: Number(values.get("maxmemory") ?? 0),
    policy: values.get("maxmemory_policy") ?? "noeviction",
    clusterEnabled: values.get("cluster_enabled") === "1",
  };
}
