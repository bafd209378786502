// What leaves the server by itself: for each target a reader of the log of its own, so that none is in another's way.

import type { LogReader } from "../follow/follower.js";

/** A day: longer than a target is away, shorter than what is said stays worth telling. */
export const GIVE_UP_AFTER_MS = 86_400_000;

/** One outlet at work. */
export interface Outlet {
  /** What reads the log for it. */
  readonly reader: LogReader;
  /** Begins with the shards that are this node's, and with others as they come. */
  start(): void;
  /**
   * The shard is about to be this node's, and its log ends at `end`: one that has never run begins there, and that is remembered before more
   * is appended, so that whoever has the shard next begins there too. Rejects where the archive is away.
   */
  opening(shard: number, end: number): Promise<void>;
  /** The shard is this node's, its log ends at `end`: takes up where the shard was left. One that has never run begins there. */
  opened(shard: number, end: number): void;
  /** The shard is to be another node's: remembers where it is. Never rejects. */
  yielding(shard: number): Promise<void>;
  /** The shard is another node's: nothing more is kept of it. */
  released(shard: number): void;
  /** A shard's log has grown. */
  appended(shard: number): void;
  /** Remembers where it is. What is being handed over is not waited for. */
  stop(): Promise<void>;
}
