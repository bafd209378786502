// Which node of a Redis Cluster serves a slot, as far as is known.

import type { RedisCommands } from "./redis.js";

interface Range {
  readonly first: number;
  readonly last: number;
  readonly address: string;
}

export class RedisSlotMap {
  #ranges: readonly Range[] = [];
  /** What nodes have said since the map was read. */
  readonly #moved = new Map<number, string>();

  /** `host:port` of the slot's master; undefined: nobody's, as far as is known. */
  nodeOf(slot: number): string | undefined {
    return this.#moved.get(slot) ?? this.#ranges.find(({ first, last }) => first <= slot && slot <= last)?.address;
  }

  /** A node has said who serves the slot now. */
  moved(slot: number, address: string): void {
    this.#moved.set(slot, address);
  }

  /** Reads the map as a node sees it: `host` is that node's, for what it says of itself without a name. */
  async learn(redis: RedisCommands, host = ""): Promise<void> {
    const answer: unknown = await redis.cluster("SLOTS");
    if (!Array.isArray(answer)) throw new Error("the Redis Cluster does not say who serves its slots");
    this.#ranges = answer.flatMap((item) => rangeOf(item, host));
    this.#moved.clear();
  }
}

/** `[first, last, [host, port, …] of the master, …]`. */
function rangeOf(item: unknown, host: string): readonly Range[] {
  if (!Array.isArray(item)) return [];
  const [first, last, master] = item as readonly unknown[];
  if (!Array.isArray(master)) return [];
  const [at, port] = master as readonly unknown[];
  const named = typeof at === "string" && at !== "" && at !== "?" ? at : host;
  return named === "" ? [] : [{ first: Number(first), last: Number(last), address: `${named}:${Number(port)}` }];
}
