// Fan-out: from a room's owner to every node that has a subscriber.

import type { EncodedEvent } from "./encoded-event.js";
import type { RoomRef } from "./room-ref.js";

/** Called with a room's durable events. */
export type FanoutListener = (events: readonly EncodedEvent[]) => void;

export interface FanoutSubscription {
  /** After it returns the listener is not called again. Idempotent. */
  close(): void;
}

export interface Fanout {
  /**
   * Tells every subscriber of the room. Only called with durable events, by the room's owner, in seq order. May lose events
   * (a receiver sees the hole in seq and reads the archive), may repeat them, never reorders them.
   */
  announce(room: RoomRef, events: readonly EncodedEvent[]): void;

  /** Resolves once announcements made from then on reach the listener. The listener must not throw. */
  subscribe(room: RoomRef, listener: FanoutListener): Promise<FanoutSubscription>;
}
