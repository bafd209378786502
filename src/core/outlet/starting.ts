// The start of an outlet in each shard: what was kept of it is read first, again and again while the store is away.

import type { Timer } from "../../ports/clock.js";
import { TermOver } from "../../ports/term.js";
import type { CoreDependencies } from "../core.js";

const RETRY_MS = 1_000;

interface Coming {
  readonly shard: number;
  /** Where its log ends. */
  end: number;
  over: boolean;
  retry: Timer | undefined;
}

export interface StartingParts {
  readonly outlet: string;
  /** Reads what was kept of a shard whose log ends at `end`; the result begins with it, if the shard still is this node's, told where the log ends then. */
  load(shard: number, end: number): Promise<(end: number) => void>;
}

export class Starting {
  readonly #deps: CoreDependencies;
  readonly #parts: StartingParts;
  /** Shards that have not begun. */
  readonly #coming = new Map<number, Coming>();
  #started = false;

  constructor(deps: CoreDependencies, parts: StartingParts) {
    this.#deps = deps;
    this.#parts = parts;
  }

  /** Begins with the shards that are this node's, and with others as they come. */
  start(): void {
    this.#started = true;
    for (const coming of this.#coming.values()) this.#load(coming);
  }

  /** The shard is this node's. Not of one that has begun. */
  opened(shard: number, end: number): void {
    const known = this.#coming.get(shard);
    if (known !== undefined) {
      known.end = end;
      return;
    }
    const coming: Coming = { shard, end, over: false, retry: undefined };
    this.#coming.set(shard, coming);
    if (this.#started) this.#load(coming);
  }

  /** It has begun and was overtaken: begins once more, a while later. */
  again(shard: number, end: number): void {
    const coming: Coming = { shard, end, over: false, retry: undefined };
    this.#coming.set(shard, coming);
    this.#loadLater(coming);
  }

  /** The shard is another node's. */
  released(shard: number): void {
    const coming = this.#coming.get(shard);
    if (coming === undefined) return;
    this.#coming.delete(shard);
    coming.over = true;
    coming.retry?.cancel();
  }

  stop(): void {
    for (const shard of [...this.#coming.keys()]) this.released(shard);
  }

  #load(coming: Coming): void {
    const { shard } = coming;
    this.#parts.load(shard, coming.end).then(
      (begin) => {
        if (coming.over) return;
        this.#coming.delete(shard);
        begin(coming.end);
      },
      (cause: unknown) => {
        if (coming.over) return;
        // Overtaken: no fault of anybody's.
        if (!(cause instanceof TermOver)) {
          this.#deps.telemetry.emit("fault", { where: `starting the outlet ${this.#parts.outlet}`, cause });
        }
        this.#loadLater(coming);
      },
    );
  }

  #loadLater(coming: Coming): void {
    coming.retry = this.#deps.clock.after(RETRY_MS, () => this.#load(coming));
  }
}
