// How events are read that nobody has announced here.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";

export interface UnannouncedEvents {
  /** Events of one page. */
  readonly recoveryPage: number;
  /** Events of the archive from `from` on, up to `to`. */
  readonly read: (
    ref: RoomRef,
    from: number,
    to: number,
    limit: number,
    maxBytes: number,
  ) => Awaitable<readonly EncodedEvent[]>;
}
