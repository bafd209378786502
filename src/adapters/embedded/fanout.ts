// The embedded fan-out: one process, so an announcement is a call.

import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { EncodedFrame } from "../../ports/encoded-frame.js";
import type { Fanout, FanoutListener, FanoutSubscription, GapListener, SignalListener } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";

/** An object of its own for each, so that one listener can subscribe twice. No closure: every user who is there has one. */
class Subscription implements FanoutSubscription {
  readonly listener: FanoutListener;
  readonly onSignal: SignalListener | undefined;
  readonly onGap: GapListener | undefined;
  readonly #fanout: EmbeddedFanout;
  readonly #room: string;

  constructor(
    fanout: EmbeddedFanout,
    room: string,
    listener: FanoutListener,
    onSignal: SignalListener | undefined,
    onGap: GapListener | undefined,
  ) {
    this.listener = listener;
    this.onSignal = onSignal;
    this.onGap = onGap;
    this.#fanout = fanout;
    this.#room = room;
  }

  close(): void {
    this.#fanout.close(this.#room, this);
  }
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
    const subscription = new Subscription(this, room.key, listener, onSignal, onGap);
    subscriptions.add(subscription);
    return subscription;
  }

  /** Ends a subscription of a room. @internal */
  close(room: string, subscription: Subscription): void {
    const subscriptions = this.#rooms.get(room);
    if (subscriptions?.delete(subscription) === true && subscriptions.size === 0) this.#rooms.delete(room);
  }
}
