// How a node of a cluster stands: what keeps it from serving, and what only limits it.

import type { ShardStatus } from "../core/room/shard-status.js";
import type { DependencyName } from "../core/telemetry.js";
import type { DependencyState } from "./dependencies.js";

export interface Standing {
  /** Why clients had better go elsewhere, in words for an operator; empty: nothing is in the way. */
  readonly reasons: readonly string[];
  /** What does not work as it should while clients are served. */
  readonly limits: readonly string[];
}

export const GOOD_STANDING: Standing = { reasons: [], limits: [] };

/** A shard that changes its owner is opened within far less, in milliseconds. */
const OPENING_MS = 5_000;
/** The archive is behind in earnest when the oldest of what it lacks waits for so long, in milliseconds. */
const LAG_MS = 30_000;

/** Without these no session can be opened, or nothing can be said. Without the archive what is recent still works. */
const NEEDED: ReadonlySet<DependencyName> = new Set(["redis", "kafka"]);
const NAMES: Readonly<Record<DependencyName, string>> = { redis: "Redis", kafka: "Kafka", mongodb: "MongoDB" };

export interface ClusterFacts {
  readonly dependencies: readonly DependencyState[];
  /** Whether what is published in Redis has reached this node lately. */
  readonly hears: boolean;
  /** Whether the cluster knows that this node lives. */
  readonly known: boolean;
  readonly shards: readonly ShardStatus[];
  /** How many shards hold events of a newer version than this node's. */
  readonly tooNew: number;
  /** How many shards no live node owns, as far as is known. */
  readonly unowned: number;
  /** Whether every shard has had an owner since this node came. */
  readonly settled: boolean;
  /** Other nodes that live and cannot be asked: where, and why. */
  readonly unreached: readonly { readonly address: string; readonly reason: string }[];
  /** For how long some shard of this node has not been open, in milliseconds. */
  readonly notOpenMs: number;
}

export function standingOf({
  dependencies,
  hears,
  known,
  shards,
  tooNew,
  unowned,
  unreached,
  settled,
  notOpenMs,
}: ClusterFacts): Standing {
  const away = dependencies.filter((dependency) => dependency.away);
  const told = (needed: boolean): readonly string[] =>
    away
      .filter(({ name }) => NEEDED.has(name) === needed)
      .map(({ name, reason }) => `${NAMES[name]} is away: ${reason}`);
  const reasons = [...told(true)];
  if (!hears) reasons.push("what is published in Redis does not arrive here");
  if (!settled) reasons.push(`${unowned} shards have no owner yet`);
  if (!known) reasons.push("this node's lease in Redis is over");
  const own = shards.filter(({ is }) => is !== "closed");
  const shut = own.filter(({ is }) => is !== "open");
  if (shut.length > 0 && notOpenMs > OPENING_MS) {
    reasons.push(`${shut.length} of ${own.length} shards of this node are not open`);
  }
  const limits = [...told(false)];
  if (settled && unowned > 0) limits.push(`${unowned} shards have no owner at the moment`);
  if (tooNew > 0)
    limits.push(`${tooNew} shards hold events of a newer version than this node's, which cannot own them`);
  // The sessions here read and write all other rooms; and if it is the other one's fault, all nodes say so.
  for (const { address, reason } of unreached) limits.push(`the node at ${address} cannot be asked: ${reason}`);
  const lagMs = Math.max(0, ...shards.map(({ lag }) => lag.ageMs));
  if (lagMs > LAG_MS) limits.push(`the archive is ${Math.round(lagMs / 1_000)} s behind`);
  return { reasons, limits };
}

/** Whether a shard of this node is not open. */
export function isShut({ is }: ShardStatus): boolean {
  return is === "opening" || is === "away";
}
