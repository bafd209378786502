// What others are told of a tenant's users: their sessions, and what they show.

import { PresenceStatus } from "../../../gen/trunkline/v1/session_pb.js";
import type { Clock } from "../../../ports/clock.js";
import type { Placement } from "../../../ports/placement.js";
import type { UserPresence } from "../../../ports/session-directory.js";
import type { LastSeenWriter } from "../../last-seen-writer.js";
import type { RedisCommands } from "../redis.js";
import { readHashes } from "../redis-hashes.js";
import { type Entry, readEntry, shownBy } from "./entry.js";
import type { DirectoryKeys } from "./keys.js";

/** Users asked for in one command. */
const COUNTED_AT_ONCE = 1_000;

export class DirectoryReading {
  readonly #redis: RedisCommands;
  readonly #keys: DirectoryKeys;
  readonly #lastSeen: LastSeenWriter;
  readonly #placement: Pick<Placement, "nodeId" | "nodes">;
  readonly #clock: Clock;

  constructor(
    redis: RedisCommands,
    keys: DirectoryKeys,
    lastSeen: LastSeenWriter,
    placement: Pick<Placement, "nodeId" | "nodes">,
    clock: Clock,
  ) {
    this.#redis = redis;
    this.#keys = keys;
    this.#lastSeen = lastSeen;
    this.#placement = placement;
    this.#clock = clock;
  }

  /** As SessionDirectory's. */
  async presences(tenantId: string, userIds: readonly string[]): Promise<readonly UserPresence[]> {
    const all = await this.#entries(tenantId, userIds);
    const nowMs = this.#clock.now();
    const shown = all.map((entries) => shownBy(entries, nowMs));
    const offline = userIds.filter((_, index) => shown[index]?.status === PresenceStatus.OFFLINE);
    const seen = offline.length === 0 ? new Map<string, number>() : await this.#lastSeen.read(tenantId, offline);
    return userIds.map((userId, index) => ({
      ...(shown[index] ?? shownBy([], nowMs)),
      userId,
      lastSeenMs: seen.get(userId),
    }));
  }

  /** As SessionDirectory's. */
  async countOnline(tenantId: string, userIds: Iterable<string>): Promise<number> {
    const byTag = new Map<string, string[]>();
    for (const userId of userIds) {
      const { tag } = this.#keys.place(tenantId, userId);
      const users = byTag.get(tag) ?? [];
      byTag.set(tag, users);
      users.push(userId);
    }
    let count = 0;
    for (const [tag, users] of byTag) {
      for (let from = 0; from < users.length; from += COUNTED_AT_ONCE) {
        const some = users.slice(from, from + COUNTED_AT_ONCE);
        const scores = await this.#redis.zmscore(this.#keys.online(tag), ...some);
        count += scores.filter((score) => score !== null).length;
      }
    }
    return count;
  }

  /** As SessionDirectory's. */
  async online(tenantId: string, after: string, limit: number): Promise<readonly UserPresence[]> {
    if (limit <= 0) return [];
    const found: UserPresence[] = [];
    let start = after === "" ? "-" : `(${after}`;
    // Who has come back or gone meanwhile may be listed or not; a page that is not full says that it is the last.
    for (;;) {
      const pages = await Promise.all(
        this.#keys
          .tags(tenantId)
          .map((tag) => this.#redis.zrangebylex(this.#keys.online(tag), start, "+", "LIMIT", 0, limit)),
      );
      const users = pages.flat().sort().slice(0, limit);
      const presences = await this.presences(tenantId, users);
      for (const presence of presences) {
        if (presence.status !== PresenceStatus.OFFLINE) found.push({ ...presence, lastSeenMs: undefined });
      }
      const last = users.at(-1);
      if (found.length >= limit || users.length < limit || last === undefined) return found.slice(0, limit);
      start = `(${last}`;
    }
  }

  /** A user's sessions that are not lost; the one that connected first first. */
  async live(tenantId: string, userId: string): Promise<readonly Entry[]> {
    const [entries = []] = await this.#entries(tenantId, [userId]);
    return entries
      .filter(({ due }) => due === undefined)
      .sort((one, other) => one.c - other.c || (one.s < other.s ? -1 : 1));
  }

  async #entries(tenantId: string, userIds: readonly string[]): Promise<readonly (readonly Entry[])[]> {
    if (userIds.length === 0) return [];
    const nodes = new Set(this.#placement.nodes().map(({ nodeId }) => nodeId));
    nodes.add(this.#placement.nodeId);
    const keys = userIds.map((userId) => this.#keys.user(this.#keys.place(tenantId, userId)));
    const all = await readHashes(this.#redis, keys);
    return all.map((stored) => {
      const fields = Object.entries(stored);
      // What a node had that is gone is gone with it, swept or not.
      return fields.flatMap(([field, text]) => readEntry(field, text)).filter(({ n }) => nodes.has(n));
    });
  }
}
