// The memory engine's fan-out: listeners are called within `announce`.

import type { EncodedEvent } from "../../src/ports/encoded-event.js";
import type { EncodedFrame } from "../../src/ports/encoded-frame.js";
import type {
  Fanout,
  FanoutListener,
  FanoutSubscription,
  GapListener,
  SignalListener,
} from "../../src/ports/fanout.js";
import type { RoomRef } from "../../src/ports/room-ref.js";
import type { MemoryEngine } from "./memory-engine.js";

interface Subscription {
  readonly listener: FanoutListener;
  readonly onSignal: SignalListener | undefined;
  readonly onGap: GapListener | undefined;
}

export class MemoryFanout implements Fanout {
  readonly lossy = true;
  readonly #engine: MemoryEngine;
  readonly #rooms = new Map<string, Set<Subscription>>();

  constructor(engine: MemoryEngine) {
    this.#engine = engine;
  }

  announce(room: RoomRef, events: readonly EncodedEvent[]): void {
    if (this.#engine.lostAnnouncements > 0) {
      this.#engine.lostAnnouncements -= 1;
      return;
    }
    const subscriptions = this.#rooms.get(room.key);
    for (const subscription of [...(subscriptions ?? [])]) {
      if (subscriptions?.has(subscription)) subscription.listener(events);
    }
  }

  signal(room: RoomRef, frame: EncodedFrame): void {
    const subscriptions = this.#rooms.get(room.key);
    for (const subscription of [...(subscriptions ?? [])]) {
      if (subscriptions?.has(subscription)) subscription.onSignal?.(frame);
    }
  }

  top(room: RoomRef, seq: number): boolean {
    for (const { onGap } of [...(this.#rooms.get(room.key) ?? [])]) onGap?.(seq);
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

  /** Nobody knows what was lost. */
  loseConnections(): void {
    for (const subscriptions of [...this.#rooms.values()])
      for (const { onGap } of [...subscriptions]) onGap?.(undefined);
  }

  /** The process has died: nobody hears anything any more. */
  end(): void {
    for (const subscriptions of this.#rooms.values()) subscriptions.clear();
    this.#rooms.clear();
  }
}
