// Fan-out: from a room's owner to every node that has a subscriber.

import type { EncodedEvent } from "./encoded-event.js";
import type { EncodedFrame } from "./encoded-frame.js";
import type { RoomRef } from "./room-ref.js";

/** Called with a room's durable events. */
export type FanoutListener = (events: readonly EncodedEvent[]) => void;

/** Called with what is said to a room and not kept. */
export type SignalListener = (frame: EncodedFrame) => void;

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

  /**
   * Says something ephemeral to every subscriber of the room. By any node, of any room, also one that does not exist. May lose frames,
   * never repeats them, keeps the order of one caller's frames to one room; between signals and announcements there is none.
   */
  signal(room: RoomRef, frame: EncodedFrame): void;

  /** Resolves once announcements and signals made from then on reach the listeners. Listeners must not throw. */
  subscribe(room: RoomRef, listener: FanoutListener, onSignal?: SignalListener): Promise<FanoutSubscription>;
}
