// What is said to a user and not kept: heard once per node, handed to each of the user's sessions here.

import type { Clock, Timer } from "../../ports/clock.js";
import type { EncodedFrame } from "../../ports/encoded-frame.js";
import type { Fanout, FanoutSubscription } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { SignalFrame } from "../fanout/shared-frame.js";

const RETRY_MS = 1_000;

/** A session as its user's channel sees it. */
export interface ChannelReader {
  /** Something ephemeral: dropped where much waits. */
  offer(frame: SignalFrame): void;
}

/** Those of one user. */
export interface ChannelReaders {
  readonly sessions: readonly ChannelReader[];
}

export class UserChannel {
  #subscription: FanoutSubscription | undefined;
  #retry: Timer | undefined;
  #closed = false;

  /** Hears soon; while the fan-out is away, tries again. `inbox`: the user's, whose fan-out carries the signals. */
  open(inbox: RoomRef, fanout: Fanout, clock: Clock, user: ChannelReaders): void {
    fanout.subscribe(inbox, ignore, handTo(user)).then(
      (subscription) => {
        if (this.#closed) subscription.close();
        else this.#subscription = subscription;
      },
      () => {
        if (!this.#closed) this.#retry = clock.after(RETRY_MS, () => this.open(inbox, fanout, clock, user));
      },
    );
  }

  close(): void {
    this.#closed = true;
    this.#retry?.cancel();
    this.#subscription?.close();
  }
}

/** Of a function of its own, which is kept: it holds nothing but the user. */
function handTo(user: ChannelReaders): (frame: EncodedFrame) => void {
  return (frame) => {
    const shared = new SignalFrame(frame);
    for (const reader of user.sessions) reader.offer(shared);
  };
}

function ignore(): void {}
