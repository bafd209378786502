// Whether a Redis is another than it was: one that has started again, was restored, or took its master's place may lack what the last one took.

import { Cluster } from "ioredis";
import type { RedisCommands } from "./redis.js";

export class RedisWatch {
  readonly #redis: RedisCommands;
  #known: ReadonlySet<string> | undefined;

  constructor(redis: RedisCommands) {
    this.#redis = redis;
  }

  /** Whether there is a master that was not there when this was last asked. One that does not answer is there when it does. */
  async isAnother(): Promise<boolean> {
    const nodes = this.#redis instanceof Cluster ? this.#redis.nodes("master") : [this.#redis];
    const answers = await Promise.allSettled(nodes.map((node) => node.info("replication")));
    // A replication id is of one history: it changes at a start and a promotion.
    const ids = answers.flatMap((answer) =>
      answer.status === "rejected" ? [] : (/^master_replid:(\w+)/m.exec(answer.value)?.slice(1) ?? []),
    );
    const known = this.#known;
    // Those that are silent now may come back as they were.
    this.#known = new Set([...(known ?? []), ...ids].slice(-MOST_KNOWN));
    return known !== undefined && ids.some((id) => !known.has(id));
  }
}

/** Masters that were there before. */
const MOST_KNOWN = 1_000;
