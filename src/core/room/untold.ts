// What stands in the log of a shard, and nobody was told of: its append was not answered, or the owner before died. Told as soon as the shard is
// open, since nobody else will, and whoever resends it is only told where it stands.

import type { LogRecord, NewRecord } from "../../ports/event-log.js";
import type { Fanout } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { RoomReading } from "../archive/room-reading.js";
import { PAGE_BYTES } from "../limit/limits.js";
import type { Room } from "./room.js";

/** Events read at once. */
const PAGE = 500;
/** Above every seq. */
const LAST_SEQ = 0xffff_ffff;

export interface UntoldParts {
  /** What is stored of the shard's rooms, archived or not. */
  readonly stored: Pick<RoomReading, "events">;
  readonly fanout: Fanout;
  /** Told of events that are durable, after they were announced, or after how far their rooms have come was. */
  readonly late: (records: readonly NewRecord[]) => void;
}

export class Untold {
  readonly #parts: UntoldParts;
  /** Rooms whose append failed, with the last seq announced. */
  readonly #rooms = new Map<string, { readonly ref: RoomRef; readonly announced: number }>();

  constructor(parts: UntoldParts) {
    this.#parts = parts;
  }

  /** What stands behind the last durable event of these rooms may have been stored. */
  note(rooms: Iterable<Room>): void {
    for (const { ref, durableSeq } of rooms) this.#rooms.set(ref.key, { ref, announced: durableSeq });
  }

  /** Whoever opens the shard next finds it. */
  clear(): void {
    this.#rooms.clear();
  }

  /** Announces what turns out to be stored of the rooms that were noted, unless that is over meanwhile. */
  async tell(isOver: () => boolean): Promise<void> {
    const { stored, fanout, late } = this.#parts;
    for (const [key, { ref, announced }] of this.#rooms) {
      let from = announced + 1;
      for (;;) {
        const range = { from, to: LAST_SEQ, limit: PAGE, maxBytes: PAGE_BYTES };
        const events = await stored.events(ref, range);
        // What is noted by now is another opening's.
        if (isOver()) return;
        const last = events.at(-1);
        if (last === undefined) break;
        fanout.announce(ref, events);
        late(events.map((event) => ({ room: ref, event })));
        from = last.seq + 1;
      }
      this.#rooms.delete(key);
    }
  }

  /** Says how far the rooms have come of what the archive did not have: whoever owned the shard before may have died before it told of it. */
  tellTops(tail: readonly LogRecord[]): void {
    const tops = new Map(tail.map(({ room, event }) => [room.key, { room, seq: event.seq }]));
    for (const { room, seq } of tops.values()) this.#parts.fanout.top(room, seq);
    this.#parts.late(tail);
  }
}
