// Stores markers that have moved: once a second for all, not once per frame.

import type { Timer } from "../../ports/clock.js";
import type { RoomRef } from "../../ports/room-ref.js";
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

  /** Stores what is left of these rooms now. Never rejects. */
  async flush(isWanted: (ref: RoomRef) => boolean): Promise<void> {
    const wanted = () => [...this.#moved].filter(({ room }) => isWanted(room.ref));
    // What is forgotten meanwhile is to be stored all the same; what could not be, just now, is tried again.
    const left = wanted();
    await this.#writing;
    await this.#write([...new Set([...left, ...wanted()])]);
  }

  /** Forgets what nobody looks for here any more, stored or not. */
  forgetGone(): void {
    for (const tracked of this.#moved) if (tracked.room.gone) this.#moved.delete(tracked);
  }

  /** Stores what is left. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#timer?.cancel();
    await this.#writing;
    await this.#write([...this.#moved]);
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#writing !== undefined || this.#stopped) return;
    this.#timer = this.#deps.clock.after(INTERVAL_MS, () => {
      this.#timer = undefined;
      this.#writing = this.#write([...this.#moved]).finally(() => {
        this.#writing = undefined;
        if (this.#moved.size > 0) this.#schedule();
      });
    });
  }

  /** Never rejects: what could not be stored is tried again. */
  async #write(moved: readonly Tracked[]): Promise<void> {
    for (const tracked of moved) this.#moved.delete(tracked);
    for (let from = 0; from < moved.length; from += BATCH) {
      const batch = moved.slice(from, from + BATCH);
      const changes = batch.map(({ room, marker }) => ({ room: room.ref, document: marker.document() }));
      try {
        await this.#deps.archive.putMarkers(changes);
        for (const [index, tracked] of batch.entries()) tracked.stored = changes[index]?.document.revision ?? 0;
      } catch (cause) {
        for (const tracked of moved.slice(from)) if (!tracked.room.gone) this.#moved.add(tracked);
        this.#deps.telemetry.emit("fault", { where: "storing markers", cause });
        return;
      }
    }
  }
}
