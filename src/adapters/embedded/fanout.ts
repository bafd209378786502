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
  /** A room's only subscriber, or all of them: most rooms have one, and so has each user who is there. */
  readonly #rooms = new Map<string, Subscription | Set<Subscription>>();

  /** Loses nothing: listeners are called before it returns. One that closes another meanwhile stops it in time. */
  announce(room: RoomRef, events: readonly EncodedEvent[]): void {
    const subscribed = this.#rooms.get(room.key);
    if (subscribed instanceof Subscription) subscribed.listener(events);
    // A Set's iteration skips what is deleted during it.
    else if (subscribed !== undefined) for (const { listener } of subscribed) listener(events);
  }

  /** Loses nothing: listeners are called before it returns. */
  signal(room: RoomRef, frame: EncodedFrame): void {
    const subscribed = this.#rooms.get(room.key);
    if (subscribed instanceof Subscription) subscribed.onSignal?.(frame);
    else if (subscribed !== undefined) for (const { onSignal } of subscribed) onSignal?.(frame);
  }

  top(room: RoomRef, seq: number): boolean {
    const subscribed = this.#rooms.get(room.key);
    if (subscribed instanceof Subscription) subscribed.onGap?.(seq);
    else if (subscribed !== undefined) for (const { onGap } of subscribed) onGap?.(seq);
    return true;
  }

  async subscribe(
    room: RoomRef,
    listener: FanoutListener,
    onSignal?: SignalListener,
    onGap?: GapListener,
  ): Promise<FanoutSubscription> {
    const subscription = new Subscription(this, room.key, listener, onSignal, onGap);
    const subscribed = this.#rooms.get(room.key);
    if (subscribed === undefined) this.#rooms.set(room.key, subscription);
    else if (subscribed instanceof Subscription) this.#rooms.set(room.key, new Set([subscribed, subscription]));
    else subscribed.add(subscription);
    return subscription;
  }

  /** Ends a subscription of a room. @internal */
  close(room: string, subscription: Subscription): void {
    const subscribed = this.#rooms.get(room);
    if (subscribed === subscription) this.#rooms.delete(room);
    else if (subscribed instanceof Set && subscribed.delete(subscription) && subscribed.size === 0) {
      this.#rooms.delete(room);
    }
  }
}
