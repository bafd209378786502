// Looks now and then whether somebody else has written to this node's shards: for a while two nodes may have held one's lease. The log displaces
// whoever writes behind the other; who only reads at it would be shown what is old for as long as nothing is said there.

import type { EventLog } from "../../ports/event-log.js";
import type { CoreDependencies } from "../core.js";
import { Rounds } from "./rounds.js";

/** Between two looks, in milliseconds: for so long more than a lease an owner may not know of what was written by another. */
const INTERVAL_MS = 5_000;

/** A shard as it is watched. */
export interface WatchedShard {
  /** Where its log ends as far as this node knows, while it is open and nothing is on its way there; else undefined. */
  readonly quietEnd: number | undefined;
  /** Events stand at its end that are not this node's: it is opened anew. */
  overtaken(): void;
}

export class EndWatch {
  readonly #log: Pick<EventLog, "ends" | "read">;
  readonly #shards: readonly WatchedShard[];
  readonly #rounds: Rounds;

  constructor(deps: Pick<CoreDependencies, "log" | "clock" | "telemetry">, shards: readonly WatchedShard[]) {
    this.#log = deps.log;
    this.#shards = shards;
    // A log that is away says so to whoever writes.
    const round = () => this.#look().catch(() => {});
    this.#rounds = new Rounds(deps, { intervalMs: INTERVAL_MS, what: "looking at the ends of the log", round });
  }

  start(): void {
    this.#rounds.start();
  }

  stop(): void {
    this.#rounds.stop();
  }

  async #look(): Promise<void> {
    const known = this.#shards.map(({ quietEnd }) => quietEnd);
    if (known.every((end) => end === undefined)) return;
    const ends = await this.#log.ends();
    await Promise.all(
      this.#shards.map(async (shard, index) => {
        const end = known[index];
        // What this node has appended meanwhile stands behind what it knew.
        if (end === undefined || shard.quietEnd !== end || (ends[index] ?? 0) <= end) return;
        const others = await this.#log.read(index, end, 1);
        if (others.length > 0 && shard.quietEnd === end && !this.#rounds.stopped) shard.overtaken();
      }),
    );
  }
}
