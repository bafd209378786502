// The fan-out of a node among several: whoever listens to rooms is also told how far they have come whenever their shard has another owner. The one
// before may have stored what it told nobody of, as one that died, or whose way out was cut.

import type { Clock } from "../../ports/clock.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { EncodedFrame } from "../../ports/encoded-frame.js";
import type { Fanout, FanoutListener, FanoutSubscription, GapListener, SignalListener } from "../../ports/fanout.js";
import type { Placement } from "../../ports/placement.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { watchOwners } from "../cluster/new-owners.js";
import { shardOf } from "../room/position.js";
import { Doubts, type Listening, type TopOf } from "./doubts.js";

export interface OwnedFanoutDependencies {
  readonly fanout: Fanout;
  readonly clock: Clock;
  readonly placement: Pick<Placement, "shards" | "ownerOf" | "onChanged">;
}

/** A room that somebody here listens to. */
class Heard implements Listening {
  readonly ref: RoomRef;
  readonly subscribers = new Set<{ readonly onGap: GapListener }>();

  constructor(ref: RoomRef) {
    this.ref = ref;
  }

  hear(top: number): void {
    for (const { onGap } of [...this.subscribers]) onGap(top);
  }
}

export class OwnedFanout implements Fanout {
  readonly lossy: boolean;
  readonly #fanout: Fanout;
  readonly #doubts: Doubts;
  readonly #rooms = new Map<string, Heard>();

  constructor({ fanout, clock, placement }: OwnedFanoutDependencies, topOf: TopOf) {
    this.lossy = fanout.lossy;
    this.#fanout = fanout;
    this.#doubts = new Doubts(clock, topOf);
    watchOwners(placement, (shards) => {
      for (const room of this.#rooms.values()) {
        if (shards.has(shardOf(room.ref.key, placement.shards))) this.#doubts.add(room);
      }
    });
  }

  stop(): void {
    this.#doubts.stop();
    this.#rooms.clear();
  }

  announce(room: RoomRef, events: readonly EncodedEvent[]): void {
    this.#fanout.announce(room, events);
  }

  signal(room: RoomRef, frame: EncodedFrame): void {
    this.#fanout.signal(room, frame);
  }

  top(room: RoomRef, seq: number) {
    return this.#fanout.top(room, seq);
  }

  async subscribe(
    room: RoomRef,
    listener: FanoutListener,
    onSignal?: SignalListener,
    onGap?: GapListener,
  ): Promise<FanoutSubscription> {
    const subscription = await this.#fanout.subscribe(room, listener, onSignal, onGap);
    if (onGap === undefined) return subscription;
    const heard = this.#rooms.get(room.key) ?? new Heard(room);
    this.#rooms.set(room.key, heard);
    const subscriber = { onGap };
    heard.subscribers.add(subscriber);
    return {
      close: () => {
        heard.subscribers.delete(subscriber);
        if (heard.subscribers.size === 0 && this.#rooms.get(room.key) === heard) {
          this.#rooms.delete(room.key);
          this.#doubts.forget(heard);
        }
        subscription.close();
      },
    };
  }
}
