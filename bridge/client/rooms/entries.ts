// The rooms that are known, in order, and whoever wants to hear that they have changed.

import type { Listener } from "../events.js";
import { Changes } from "../people/changes.js";
import type { Platform } from "../platform.js";
import type { RoomEntry } from "./entry.js";

/** Rooms beyond these are left out. */
export const MAX_ROOMS = 10_000;
/** What is told within it is shown together. */
const COLLECT_MS = 50;

export class RoomEntries {
  readonly #changes: Changes<readonly RoomEntry[]>;
  readonly #byId = new Map<string, RoomEntry>();
  #sorted: readonly RoomEntry[] | undefined;

  constructor(platform: Pick<Platform, "after">) {
    this.#changes = new Changes(platform, () => this.all, COLLECT_MS);
  }

  /** The rooms, those first that were active last. Another array after each change; empty until `open`. */
  get all(): readonly RoomEntry[] {
    this.#sorted ??= [...this.#byId.values()].sort(
      (a, b) => b.activeAtMs - a.activeAtMs || (a.roomId < b.roomId ? -1 : 1),
    );
    return this.#sorted;
  }

  /** Undefined: no room of the user, as far as is known. */
  get(roomId: string): RoomEntry | undefined {
    return this.#byId.get(roomId);
  }

  /** Calls `listener` with `all` after it has changed, once for what changes within 50 ms; returns what ends that. */
  onChange(listener: Listener<readonly RoomEntry[]>): () => void {
    return this.#changes.on(listener);
  }

  /** @internal */
  put(entry: RoomEntry): void {
    const held = this.#byId.get(entry.roomId);
    if (held === entry || (held === undefined && this.#byId.size === MAX_ROOMS)) return;
    this.#byId.set(entry.roomId, entry);
    this.changed();
  }

  /** @internal */
  remove(roomId: string): void {
    if (this.#byId.delete(roomId)) this.changed();
  }

  /** @internal */
  clear(): void {
    this.#byId.clear();
    this.changed();
  }

  /** @internal */
  changed(): void {
    this.#sorted = undefined;
    this.#changes.changed();
  }
}
