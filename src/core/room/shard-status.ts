// How a shard stands on this node, for operators.

/** What is durable in the log and not archived yet. */
export interface ArchiveLag {
  readonly events: number;
  readonly bytes: number;
  /** Since when the oldest of it waits, in milliseconds; 0: nothing does. */
  readonly ageMs: number;
}

export interface ShardStatus {
  readonly shard: number;
  /** closed: it is another node's, or nobody's. away: its log failed, and is opened again by itself. */
  readonly is: "closed" | "opening" | "open" | "away";
  /** All zero where the engine archives with the log. */
  readonly lag: ArchiveLag;
}

export const NO_LAG: ArchiveLag = { events: 0, bytes: 0, ageMs: 0 };
