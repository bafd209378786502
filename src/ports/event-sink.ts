// An event sink: something outside that wants every event of some kinds.

import type { EncodedEvent } from "./encoded-event.js";
import type { RoomRef } from "./room-ref.js";

/** Events that are handed over together. */
export interface EventBatch {
  /** Derived from the content: the same whenever the same events are handed over together. */
  readonly id: string;
  readonly rooms: readonly RoomEvents[];
}

/** Events of one room, in order. */
export interface RoomEvents {
  readonly room: RoomRef;
  readonly events: readonly EncodedEvent[];
}

/** A target that wants every event of some kinds. */
export interface EventSink {
  /**
   * Resolves once the target has taken all of the batch. Rejects, within a deadline of its own, when it has not, or when that is
   * uncertain: the batch, or parts of it, come again. The caller hands over one room's events one after the other.
   */
  deliver(batch: EventBatch): Promise<void>;
}
