// Reads many hashes at once.

import { Cluster } from "ioredis";
import type { RedisCommands } from "./redis.js";

/** What each key's hash holds, in the order of the keys; empty for a key that is not there. Rejects where one cannot be read. */
export async function readHashes(
  redis: RedisCommands,
  keys: readonly string[],
): Promise<readonly Readonly<Record<string, string>>[]> {
  // A pipeline of a Redis Cluster takes keys of one slot, and reads nothing where half of it has moved: each command finds its own way.
  if (redis instanceof Cluster) return await Promise.all(keys.map((key) => redis.hgetall(key)));
  const pipeline = redis.pipeline();
  for (const key of keys) pipeline.hgetall(key);
  const answers = (await pipeline.exec()) ?? [];
  return answers.map(([error, stored]) => {
    if (error !== null) throw error;
    return stored as Record<string, string>;
  });
}
