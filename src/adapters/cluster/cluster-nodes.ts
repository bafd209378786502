// The nodes of a cluster as Redis knows them, for somebody who looks on.

import type { RedisCommands } from "./redis.js";

/** A live node. */
export interface NodeReport {
  /** This incarnation of it. */
  readonly id: string;
  /** What it is called, whichever incarnation it is. */
  readonly name: string;
  /** Where other nodes reach it. */
  readonly address: string;
  /** When it came, in milliseconds since 1970. */
  readonly since: number;
  /** It takes no more shards and is about to go. */
  readonly leaving: boolean;
  /** Whether it can write: one that cannot takes no shards, and hands over those it has. */
  readonly able: boolean;
  /** How many shards it owns. */
  readonly shards: number;
  /** Live sessions, as it said last. */
  readonly sessions: number;
  /** How busy it is, 0 to 1, as it said last. */
  readonly load: number;
  /** Names of live nodes that it cannot ask, eight at most, as it said last. */
  readonly unreached: readonly string[];
}

/** In the order of their names. Rejects with Redis's error. */
export async function readNodes(
  redis: Pick<RedisCommands, "hgetall" | "time">,
  prefix: string,
): Promise<readonly NodeReport[]> {
  const [[seconds], nodes, leases] = await Promise.all([
    redis.time(),
    redis.hgetall(`${prefix}:{placement}:nodes`),
    redis.hgetall(`${prefix}:{placement}:leases`),
  ]);
  const nowMs = Number(seconds) * 1_000;
  const owned = new Map<string, number>();
  for (const lease of Object.values(leases)) {
    const [owner = "", expiry = ""] = lease.split(" ");
    if (Number(expiry) > nowMs) owned.set(owner, (owned.get(owner) ?? 0) + 1);
  }
  return Object.entries(nodes)
    .flatMap(([id, said]) => {
      const [expiry, address = "", since, leaving, vitals = ""] = said.split(" ");
      if (!(Number(expiry) > nowMs)) return [];
      const [sessions, load, ...unreached] = vitals.split(",");
      return [
        {
          id,
          name: nameOf(id),
          address,
          since: Number(since),
          leaving: leaving === "1",
          able: leaving !== "3",
          shards: owned.get(id) ?? 0,
          sessions: Number(sessions ?? 0),
          load: Number(load ?? 0),
          unreached: unreached.map(nameOf),
        },
      ];
    })
    .sort((one, other) => (one.name === other.name ? one.since - other.since : one.name < other.name ? -1 : 1));
}

function nameOf(id: string): string {
  return id.slice(0, Math.max(id.lastIndexOf("."), 0)) || id;
}
