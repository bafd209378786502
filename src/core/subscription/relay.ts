// A room as the sessions of one wire read it: told once on the wire, by one subscription for all of them that are up to date.

import type { Clock, Timer } from "../../ports/clock.js";
import type { RoomEventsFrame } from "../fanout/room-events-frame.js";
import type { SignalFrame } from "../fanout/shared-frame.js";
import type { Sight } from "../receipt/sight.js";
import type { SharedWire } from "../session/port.js";
import { type Subscriber, Subscription, type Telling } from "./subscription.js";

export class Relay implements Subscriber, Telling {
  readonly userId = "";
  readonly sight: Sight;
  readonly #wire: SharedWire;
  readonly #number: number;
  readonly #clock: Clock;
  /** Called once, when the last of those it tells has left. */
  readonly #onEmpty: () => void;
  readonly #subscription: Subscription;
  /** Those it tells, and what they are called on the wire. */
  readonly #told = new Map<Subscription, number>();

  /** Begins where this subscription is, and tells others that see as much. */
  constructor({ feed, sent, sight }: Subscription, wire: SharedWire, clock: Clock, onEmpty: () => void) {
    this.sight = sight;
    this.#wire = wire;
    this.#number = wire.openRelay();
    this.#clock = clock;
    this.#onEmpty = onEmpty;
    this.#subscription = new Subscription(this, feed);
    this.#subscription.seeMembers(0, sight !== "nothing");
    this.#subscription.hidesReading = sight !== "all";
    feed.joinRelay(this.#subscription);
    this.#subscription.begin(sent, 0);
  }

  get sent(): number {
    return this.#subscription.sent;
  }

  /** Tells this subscription too, which is live, of the session with this number on the wire. Returns false where it is ahead or behind. */
  tell(subscription: Subscription, session: number): boolean {
    const { sent } = this;
    if (subscription.sent !== sent || this.#subscription.status !== "live") return false;
    const onLeft = (got: number): boolean => {
      if (got > this.sent) return false;
      this.#forget(subscription);
      subscription.tellByFeed(got);
      return true;
    };
    this.#told.set(subscription, this.#wire.attach(session, this.#number, sent, onLeft));
    subscription.tellBy(this);
    return true;
  }

  leave(subscription: Subscription): void {
    const attachment = this.#told.get(subscription);
    if (attachment === undefined) return;
    this.#wire.detach(attachment);
    this.#forget(subscription);
  }

  #forget(subscription: Subscription): void {
    if (!this.#told.delete(subscription) || this.#told.size > 0) return;
    this.#subscription.end();
    this.#onEmpty();
  }

  // — what its subscription asks —

  send(frame: RoomEventsFrame): boolean {
    if (this.#wire.full) return false;
    this.#wire.relay(this.#number, frame.in(this.#wire.encoding), frame.lastSeq);
    return true;
  }

  offer(frame: SignalFrame): void {
    if (!this.#wire.full) this.#wire.relay(this.#number, frame.in(this.#wire.encoding), 0);
  }

  get ready(): boolean {
    return !this.#wire.full;
  }

  wait(subscription: Subscription): void {
    this.#wire.wait(subscription);
  }

  lost(): void {
    this.#release();
  }

  reset(): void {
    this.#release();
  }

  /** A wire that takes no more is its own to report. */
  lagging(): void {}

  upToDate(): void {}

  after(delayMs: number, action: () => void): Timer {
    return this.#clock.after(delayMs, action);
  }

  /** It cannot go on: each of those it told finds out for itself why. */
  #release(): void {
    for (const attachment of this.#told.values()) this.#wire.detach(attachment);
    this.#told.clear();
    this.#onEmpty();
  }
}
