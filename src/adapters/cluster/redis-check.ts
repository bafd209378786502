// Whether a Redis is one that a cluster can stand on.

import type { Redis } from "ioredis";

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
}

/** Rejects with RedisUnfit that says what does not fit, or with Redis's own error. */
export async function checkRedis(redis: Pick<Redis, "info">, allowUnsafe: boolean): Promise<void> {
  const reasons = redisMisfits(factsOf(`${await redis.info("server")}\n${await redis.info("memory")}`), allowUnsafe);
  if (reasons.length > 0) throw new RedisUnfit(`does not fit: ${reasons.join("; ")}`);
}

/** Why it does not fit, in words for an operator; none: it fits. */
export function redisMisfits({ version, maxMemory, policy }: RedisFacts, allowUnsafe: boolean): readonly string[] {
  const reasons: string[] = [];
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
export function factsOf(info: string): RedisFacts {
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
  };
}
