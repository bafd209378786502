// Notices that logs have grown to which other nodes append: one question for all shards and all tails of this node.

import type { CoreDependencies } from "../core.js";
import { Rounds } from "../room/rounds.js";

/** Between two looks, in milliseconds. */
const INTERVAL_MS = 500;
/** So often a shard that has grown is told of, look by look: what others have appended may be read as late as a second after. */
const TIMES = 3;
/** After so long without a change everything before a log's end can be read, by a read that was begun then, in milliseconds. */
const SETTLED_MS = 10_000;

export interface GrowthParts {
  /** Whether anybody wants to know. */
  wanted(): boolean;
  /** There may be more to read. */
  grown(shard: number): void;
  /** Whoever reads the shard from now on, and is shown no more, has come to `end`. */
  settled(shard: number, end: number): void;
}

export class Growth {
  readonly #deps: Pick<CoreDependencies, "log" | "clock" | "telemetry">;
  readonly #parts: GrowthParts;
  readonly #rounds: Rounds;
  /** By shard: where it ended when it was looked at last; since when, monotonic; how often it is still to be told of; and whether of that. */
  readonly #ends: number[];
  readonly #sinceMs: number[];
  readonly #left: number[];
  readonly #settled: boolean[];

  constructor(deps: Pick<CoreDependencies, "log" | "clock" | "telemetry">, parts: GrowthParts) {
    this.#deps = deps;
    this.#parts = parts;
    this.#ends = Array.from({ length: deps.log.shards }, () => -1);
    this.#sinceMs = this.#ends.map(() => 0);
    this.#left = this.#ends.map(() => 0);
    this.#settled = this.#ends.map(() => false);
    const round = () => this.#look();
    this.#rounds = new Rounds(deps, { intervalMs: INTERVAL_MS, what: "looking where the logs end", round });
  }

  start(): void {
    this.#rounds.start();
  }

  stop(): void {
    this.#rounds.stop();
  }

  /** Somebody begins to read, and may be shown less than there is. */
  begun(): void {
    this.#left.fill(TIMES);
    this.#settled.fill(false);
  }

  async #look(): Promise<void> {
    if (!this.#parts.wanted()) return;
    const ends = await this.#deps.log.ends();
    const nowMs = this.#deps.clock.monotonic();
    for (const [shard, end] of ends.entries()) {
      if (end !== this.#ends[shard]) {
        this.#left[shard] = TIMES;
        this.#sinceMs[shard] = nowMs;
        this.#settled[shard] = false;
      }
      this.#ends[shard] = end;
      if (this.#settled[shard] === false && nowMs - (this.#sinceMs[shard] ?? 0) >= SETTLED_MS) {
        this.#settled[shard] = true;
        this.#parts.settled(shard, end);
      }
      const left = this.#left[shard] ?? 0;
      if (left === 0) continue;
      this.#left[shard] = left - 1;
      this.#parts.grown(shard);
    }
  }
}
