// Tells tabs where rooms stand that they do not read themselves: to the server the session reads what one of its tabs reads, and it says nothing.

import type { RoomEvents, RoomTop } from "../gen/types.js";
import type { Platform, Timer } from "../platform.js";
import { type Seat, sendAll } from "./seat.js";

/** As often as the server says it of a room. */
const INTERVAL_MS = 1_000;

export class Tops {
  readonly #platform: Pick<Platform, "after">;
  /** Of rooms that have moved a short while ago: what is to be told, if they have moved again. */
  readonly #rooms = new Map<string, { top: RoomTop | undefined; readonly timer: Timer }>();

  constructor(platform: Pick<Platform, "after">) {
    this.#platform = platform;
  }

  /** @param others Those that do not read the room. */
  moved({ roomId = "", events = [] }: RoomEvents, others: () => readonly Seat[]): void {
    const top = events.at(-1)?.position;
    const lastMessageIndex = Math.max(0, ...events.map(({ messageCreated }) => messageCreated?.messageIndex ?? 0));
    const told = others();
    // Without a message it is not known how many there are.
    if (told.length === 0 || lastMessageIndex === 0) return;
    const recent = this.#rooms.get(roomId);
    if (recent !== undefined) {
      recent.top = { roomId, top, lastMessageIndex };
      return;
    }
    sendAll(told, { signals: { top: { roomId, top, lastMessageIndex } } });
    const timer = this.#platform.after(INTERVAL_MS, () => {
      const later = this.#rooms.get(roomId)?.top;
      this.#rooms.delete(roomId);
      if (later !== undefined) sendAll(others(), { signals: { top: later } });
    });
    this.#rooms.set(roomId, { top: undefined, timer });
  }

  end(): void {
    for (const { timer } of this.#rooms.values()) timer.cancel();
    this.#rooms.clear();
  }
}
