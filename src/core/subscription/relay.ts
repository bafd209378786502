// A room as the sessions of one wire read it: told once on the wire, by one subscription for all of them that are up to date.

import type { Clock, Timer } from "../../ports/clock.js";
import type { RoomEventsFrame } from "../fanout/room-events-frame.js";
import type { SignalFrame } from "../fanout/shared-frame.js";
import type { Sight } from "../receipt/sight.js";
import type { Relayed, SharedWire } from "../session/port.js";
import { type Subscriber, Subscription, type Telling } from "./subscription.js";

/** A subscription that a relay tells, of a session of its wire. */
class Told implements Telling, Relayed {
  readonly session: number;
  attachment = 0;
  readonly #relay: Relay;
  readonly #subscription: Subscription;

  constructor(relay: Relay, subscription: Subscription, session: number) {
    this.#relay = relay;
    this.#subscription = subscription;
    this.session = session;
  }

  get sight(): Sight {
    return this.#relay.sight;
  }

  get sent(): number {
    return this.#relay.sent;
  }

  leave(): void {
    this.#relay.detach(this);
    this.#relay.leave(this);
  }

  left(sent: number): boolean {
    if (sent > this.#relay.sent) return false;
    this.#relay.leave(this);
    this.#subscription.tellByFeed(sent);
    return true;
  }
}

export class Relay implements Subscriber {
  readonly userId = "";
  readonly sight: Sight;
  readonly #wire: SharedWire;
  readonly #number: number;
  readonly #clock: Clock;
  /** Called once, when the last of those it tells has left. */
  readonly #onEmpty: () => void;
  readonly #subscription: Subscription;
  readonly #told = new Set<Told>();

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
    const told = new Told(this, subscription, session);
    told.attachment = this.#wire.attach(told, this.#number, sent);
    this.#told.add(told);
    subscription.tellBy(told);
    return true;
  }

  /** This one is not at the relay any more. */
  leave(told: Told): void {
    if (!this.#told.delete(told) || this.#told.size > 0) return;
    this.#subscription.end();
    this.#onEmpty();
  }

  detach({ attachment }: Told): void {
    this.#wire.detach(attachment);
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
    for (const told of this.#told) this.#wire.detach(told.attachment);
    this.#told.clear();
    this.#onEmpty();
  }
}
