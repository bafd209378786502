// The relays of this node's rooms, by the wires that they are told on.

import type { Clock } from "../../ports/clock.js";
import type { RoomFeed } from "../fanout/feed.js";
import type { SharedWire } from "../session/port.js";
import { Relay } from "./relay.js";
import type { Subscription } from "./subscription.js";

export class Relays {
  readonly #clock: Clock;
  /** Those of a wire by what they read: one for each sight, of which there are few. */
  readonly #relays = new Map<SharedWire, Map<RoomFeed, Relay[]>>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** How many there are. */
  get size(): number {
    let size = 0;
    for (const feeds of this.#relays.values()) for (const relays of feeds.values()) size += relays.length;
    return size;
  }

  /**
   * Lets the wire tell a live subscription of the session with this number there. What was written to the session before is on the wire. Returns false
   * where the wire is not as far: the feed goes on telling it.
   */
  tell(subscription: Subscription, wire: SharedWire, session: number): boolean {
    return this.#relay(subscription, wire).tell(subscription, session);
  }

  #relay(subscription: Subscription, wire: SharedWire): Relay {
    const { feed, sight } = subscription;
    let feeds = this.#relays.get(wire);
    if (feeds === undefined) {
      feeds = new Map();
      this.#relays.set(wire, feeds);
    }
    let relays = feeds.get(feed);
    if (relays === undefined) {
      relays = [];
      feeds.set(feed, relays);
    }
    let relay = relays.find((each) => each.sight === sight);
    if (relay === undefined) {
      const made = new Relay(subscription, wire, this.#clock, () => this.#forget(made, feed, wire));
      relays.push(made);
      relay = made;
    }
    return relay;
  }

  #forget(relay: Relay, feed: RoomFeed, wire: SharedWire): void {
    const feeds = this.#relays.get(wire);
    const relays = feeds?.get(feed);
    if (feeds === undefined || relays === undefined) return;
    relays.splice(relays.indexOf(relay), 1);
    if (relays.length > 0) return;
    feeds.delete(feed);
    if (feeds.size === 0) this.#relays.delete(wire);
  }
}
