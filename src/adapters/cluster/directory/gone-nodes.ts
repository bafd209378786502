// What nodes had that are gone is taken out of Redis.

import type { Clock } from "../../../ports/clock.js";
import type { Placement } from "../../../ports/placement.js";
import type { LastSeenWriter } from "../../last-seen-writer.js";
import type { RedisCommands } from "../redis.js";
import type { DirectoryKeys } from "./keys.js";
import type { DirectoryScripts } from "./scripts.js";

export class GoneNodes {
  readonly #redis: RedisCommands;
  readonly #keys: DirectoryKeys;
  readonly #scripts: DirectoryScripts;
  readonly #lastSeen: LastSeenWriter;
  readonly #placement: Pick<Placement, "nodeId" | "nodes">;
  readonly #clock: Clock;
  #sweeping = false;

  constructor(
    redis: RedisCommands,
    keys: DirectoryKeys,
    scripts: DirectoryScripts,
    lastSeen: LastSeenWriter,
    placement: Pick<Placement, "nodeId" | "nodes">,
    clock: Clock,
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#scripts = scripts;
    this.#lastSeen = lastSeen;
    this.#placement = placement;
    this.#clock = clock;
  }

  /** Forgets the nodes that are gone, unless that is under way or another node's to do. */
  async sweep(): Promise<void> {
    const live = this.#placement.nodes().map(({ nodeId }) => nodeId);
    // One of them is enough.
    if (this.#sweeping || live[0] !== this.#placement.nodeId) return;
    this.#sweeping = true;
    try {
      for (const nodeId of await this.#redis.hkeys(this.#keys.nodes)) {
        if (live.includes(nodeId)) continue;
        await this.forget(nodeId, await this.#redis.smembers(this.#keys.partsOf(nodeId)), this.#clock.now());
        await this.#redis.hdel(this.#keys.nodes, nodeId);
      }
    } finally {
      this.#sweeping = false;
    }
  }

  /** Removes what a node that is gone had in these parts of tenants. May be done by several, and again. */
  async forget(nodeId: string, tags: readonly string[], atMs: number): Promise<void> {
    for (const tag of tags) {
      const tenantId = tag.slice(0, tag.lastIndexOf("/"));
      for (const userId of await this.#redis.smembers(this.#keys.usersOf(nodeId, tag))) {
        const place = { tenantId, userId, tag };
        const answer = await this.#scripts.run("forgetNode", place, nodeId, this.#clock.now(), nodeId);
        const [offline, sessions] = answer as [number, string[]];
        if (offline === 1) this.#lastSeen.saw(tenantId, userId, atMs);
        for (const sessionId of sessions) await this.#redis.del(this.#keys.session(tenantId, sessionId));
      }
    }
    await this.#redis.del(this.#keys.partsOf(nodeId));
  }
}
