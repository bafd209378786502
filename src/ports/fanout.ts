// Fan-out: from a room's owner to every node that has a subscriber.

import type { EncodedEvent } from "./encoded-event.js";
import type { EncodedFrame } from "./encoded-frame.js";
import type { Awaitable, RoomRef } from "./room-ref.js";

/** Called with a room's durable events. */
export type FanoutListener = (events: readonly EncodedEvent[]) => void;

/** Called with what is said to a room and not kept. */
export type SignalListener = (frame: EncodedFrame) => void;

/**
 * Called when announcements may have been lost: with how far the room has come at least, or without where that is not known, as after the
 * connection to the fan-out was lost. Whoever must have everything asks the room's owner.
 */
export type GapListener = (top: number | undefined) => void;

export interface FanoutSubscription {
  /** After it returns the listener is not called again. Idempotent. */
  close(): void;
}

export interface Fanout {
  /** Whether announcements can be lost: then the owner says `top` now and then. */
  readonly lossy: boolean;

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

  /**
   * Says again how far the room has come, by its owner: whoever has missed the last announcement learns of it. Resolves whether it is on its
   * way, though it may be lost too; what is not was said to nobody on other nodes. Never rejects.
   */
  top(room: RoomRef, seq: number): Awaitable<boolean>;

  /**
   * Resolves once announcements and signals made from then on reach the listeners; rejects with UNAVAILABLE. Listeners must not throw, and
   * are not called before it resolves.
   */
  subscribe(
    room: RoomRef,
    listener: FanoutListener,
    onSignal?: SignalListener,
    onGap?: GapListener,
  ): Promise<FanoutSubscription>;
}
