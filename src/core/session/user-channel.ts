// What is said to a user and not kept: heard once per node, handed to each of the user's sessions here.

import type { Fanout, FanoutSubscription } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { SignalFrame } from "../fanout/shared-frame.js";

/** A session as its user's channel sees it. */
export interface ChannelReader {
  /** Something ephemeral: dropped where much waits. */
  offer(frame: SignalFrame): void;
}

export class UserChannel {
  /** The user's inbox, whose fan-out carries the signals. */
  readonly inbox: RoomRef;
  #subscription: FanoutSubscription | undefined;
  #closed = false;

  constructor(inbox: RoomRef) {
    this.inbox = inbox;
  }

  /** Hears from when it resolves. Rejects where the fan-out is away. */
  async open(fanout: Fanout, readers: Iterable<ChannelReader>): Promise<void> {
    const subscription = await fanout.subscribe(this.inbox, ignore, (frame) => {
      const shared = new SignalFrame(frame);
      for (const reader of readers) reader.offer(shared);
    });
    if (this.#closed) subscription.close();
    else this.#subscription = subscription;
  }

  close(): void {
    this.#closed = true;
    this.#subscription?.close();
  }
}

function ignore(): void {}
