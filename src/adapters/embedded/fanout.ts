// The embedded fan-out: one process, so an announcement is a call.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { EncodedFrame } from "../../ports/encoded-frame.js";
import type { Fanout, FanoutListener, FanoutSubscription, GapListener, SignalListener } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";

/** An object of its own for each, so that one listener can subscribe twice. */
interface Subscription {
  readonly listener: FanoutListener;
  readonly onSignal: SignalListener | undefined;
  readonly onGap: GapListener | undefined;
}

export class EmbeddedFanout implements Fanout {
  readonly lossy = false;
  readonly #rooms = new Map<string, Set<Subscription>>();

  /** Loses nothing: listeners are called before it returns. One that closes another meanwhile stops it in time. */
  announce(room: RoomRef, events: readonly EncodedEvent[]): void {
    const subscriptions = this.#rooms.get(room.key);
    if (subscriptions === undefined) return;
    // A Set's iteration skips what is deleted during it; one added during it hears this announcement too.
    for (const { listener } of subscriptions) listener(events);
  }

  /** Loses nothing: listeners are called before it returns. */
  signal(room: RoomRef, frame: EncodedFrame): void {
    for (const { onSignal } of this.#rooms.get(room.key) ?? []) onSignal?.(frame);
  }

  top(room: RoomRef, seq: number): boolean {
    for (const { onGap } of this.#rooms.get(room.key) ?? []) onGap?.(seq);
    return true;
  }

  async subscribe(
    room: RoomRef,
    listener: FanoutListener,
    onSignal?: SignalListener,
    onGap?: GapListener,
  ): Promise<FanoutSubscription> {
    const subscriptions = this.#rooms.get(room.key) ?? new Set();
    this.#rooms.set(room.key, subscriptions);
    const subscription = { listener, onSignal, onGap };
    subscriptions.add(subscription);
    return {
      close: () => {
        subscriptions.delete(subscription);
        if (subscriptions.size === 0 && this.#rooms.get(room.key) === subscriptions) this.#rooms.delete(room.key);
      },
    };
  }
}
