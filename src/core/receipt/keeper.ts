// Stores markers that have moved: once a second for all, not once per frame.

import type { Timer } from "../../ports/clock.js";
import type { CoreDependencies } from "../core.js";
import type { Tracked } from "./tracker.js";

/** How long a marker may be in memory alone, in milliseconds: what a crash takes, clients mark again. */
const INTERVAL_MS = 1_000;
/** Markers stored at once: more would hold up the commits of messages. */
const BATCH = 250;

export class MarkerKeeper {
  readonly #deps: CoreDependencies;
  readonly #moved = new Set<Tracked>();
  #timer: Timer | undefined;
  #writing: Promise<void> | undefined;
  #stopped = false;

  constructor(deps: CoreDependencies) {
    this.#deps = deps;
  }

  moved(tracked: Tracked): void {
    this.#moved.add(tracked);
    this.#schedule();
  }

  /** Stores what is left. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#writing;
    await this.#write();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#writing !== undefined || this.#stopped) return;
    this.#timer = this.#deps.clock.after(INTERVAL_MS, () => {
      this.#timer = undefined;
      this.#writing = this.#write().finally(() => {
        this.#writing = undefined;
        if (this.#moved.size > 0) this.#schedule();
      });
    });
  }

  /** Never rejects: what could not be stored is tried again. */
  async #write(): Promise<void> {
    const moved = [...this.#moved];
    this.#moved.clear();
    for (let from = 0; from < moved.length; from += BATCH) {
      const batch = moved.slice(from, from + BATCH);
      const changes = batch.map(({ room, marker }) => ({ room: room.ref, document: marker.document() }));
      try {
        await this.#deps.archive.putMarkers(changes);
        for (const [index, tracked] of batch.entries()) tracked.stored = changes[index]?.document.revision ?? 0;
      } catch (cause) {
        for (const tracked of moved.slice(from)) this.#moved.add(tracked);
        this.#deps.telemetry.emit("fault", { where: "storing markers", cause });
        return;
      }
    }
  }
}
