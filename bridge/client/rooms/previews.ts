// The last messages of rooms that have moved on and are not open here: fetched one after the other, five a second at most.

import { isFinal } from "../error.js";
import type { Actor, ClientFrame, RoomTop, ServerFrame } from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";
import type { RoomEntries } from "./entries.js";
import { moved, placed, previewed, unsorted } from "./entry.js";

export interface PreviewsContext {
  readonly platform: Pick<Platform, "after">;
  readonly request: (frame: ClientFrame) => Promise<ServerFrame>;
  readonly self: () => Actor;
}

interface Behind {
  readonly top: RoomTop;
  /** It was not messages alone. */
  readonly changed: boolean;
}

/** Between two of them. */
const PREVIEW_MS = 200;

export class Previews {
  readonly #context: PreviewsContext;
  readonly #entries: RoomEntries;
  /** Rooms whose last message is to be fetched, and where they stand. */
  readonly #behind = new Map<string, Behind>();
  /** There until what is fetched has come. */
  #timer: Timer | undefined;
  /** Counts connections: an answer of an older one is told apart. */
  #epoch = 0;

  constructor(context: PreviewsContext, entries: RoomEntries) {
    this.#context = context;
    this.#entries = entries;
  }

  /** How many rooms wait. */
  get waiting(): number {
    return this.#behind.size;
  }

  /** Fetches the room's last message; and the room where not messages alone have changed. */
  fetch(roomId: string, top: RoomTop, changed: boolean): void {
    this.#behind.set(roomId, { top, changed: changed || this.#behind.get(roomId)?.changed === true });
    this.#next(0);
  }

  /** There is no connection: what waits is read with the list. */
  disconnected(): void {
    this.#epoch++;
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#behind.clear();
  }

  #next(afterMs: number): void {
    if (this.#behind.size === 0) return;
    this.#timer ??= this.#context.platform.after(afterMs, () => {
      const epoch = this.#epoch;
      void this.#first(epoch).then(() => {
        if (epoch !== this.#epoch) return;
        this.#timer = undefined;
        this.#next(PREVIEW_MS);
      });
    });
  }

  /** Never rejects. */
  async #first(epoch: number): Promise<void> {
    const { request, self } = this.#context;
    const entries = this.#entries;
    const [next] = this.#behind;
    if (next === undefined) return;
    const [roomId, { top, changed }] = next;
    this.#behind.delete(roomId);
    const before = entries.get(roomId);
    if (before === undefined) return;
    const limit = unsorted(moved(before, top));
    try {
      const getHistory = { roomId, limit };
      const [history, got] = await Promise.all([
        request({ call: { getHistory } }),
        changed ? request({ call: { getRoom: { roomId } } }) : undefined,
      ]);
      const entry = entries.get(roomId);
      if (epoch !== this.#epoch || entry === undefined) return;
      const current = placed(moved(entry, top), got?.callResult?.getRoom?.room);
      const shown = previewed(current, history.callResult?.getHistory ?? {}, self().userId ?? "");
      entries.put(shown);
      // More came meanwhile than were asked for.
      if (unsorted(shown) > limit) this.fetch(roomId, top, false);
    } catch (error) {
      const entry = entries.get(roomId);
      if (epoch !== this.#epoch || entry === undefined) return;
      if (isFinal(error)) entries.remove(roomId);
      else entries.put(moved(entry, top));
    }
  }
}
