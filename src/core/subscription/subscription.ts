// A session's subscription to a room: opening → catching up ⇄ live ⇄ relayed → ended.
//
// Coming back, lagging and joining late are the same thing: the session is behind, is fed from the ring or the archive as fast as it
// reads, and is live from the moment its cursor meets the feed's top. There is no buffer to merge and so no seam to get wrong.
// A session that shares a wire with others lets a relay tell it while it is live: it goes over where both cursors are the same.

import { type Member, Permission } from "../../gen/trunkline/v1/message_pb.js";
import type { Timer } from "../../ports/clock.js";
import type { Awaitable } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { AccessLoss, FeedReader, RoomFeed } from "../fanout/feed.js";
import type { RoomEventsFrame } from "../fanout/room-events-frame.js";
import type { SignalFrame } from "../fanout/shared-frame.js";
import { type Sight, sightOf } from "../receipt/sight.js";
import { hasPermission } from "../room/permissions.js";
import { judge } from "./cursor.js";

/** Wait before the archive is asked again after it failed, in milliseconds. */
const RETRY_READ_MS = 1_000;

/** The session as its subscriptions see it. */
export interface Subscriber {
  readonly userId: string;
  /** Hands a frame to the outbox. Returns false when the outbox is full: nothing was handed over. */
  send(frame: RoomEventsFrame): boolean;
  /** Something ephemeral: dropped where much waits. */
  offer(frame: SignalFrame): void;
  /** Whether the outbox takes more of what is being caught up with. If not, `resume` of the subscription is called when it does. */
  readonly ready: boolean;
  /** Asks for `resume` when the outbox is ready again. */
  wait(subscription: Subscription): void;
  /** The user has lost the room; the subscription has ended. */
  lost(subscription: Subscription, loss: Exclude<AccessLoss, "unknown">): void;
  /** What comes next is no longer kept: the client must reload. The subscription has ended: nobody knows what the user lost meanwhile. */
  reset(subscription: Subscription): void;
  lagging(subscription: Subscription, behind: number): void;
  /** The subscription is up to date, from now until it lags or ends. */
  upToDate(subscription: Subscription): void;
  after(delayMs: number, action: () => void): Timer;
}

/** What tells a live subscription of events and signals in the feed's place. */
export interface Telling {
  readonly sight: Sight;
  /** The last event that it has told. */
  readonly sent: number;
  /** It is to tell no more, and to call `tellByFeed` when it does not, unless the session has ended. */
  leave(): void;
}

type Status = "opening" | "catching-up" | "live" | "relayed" | "ended";

export class Subscription implements FeedReader {
  readonly feed: RoomFeed;
  readonly #session: Subscriber;
  #status: Status = "opening";
  /** The last event handed over, or told by a relay before it left. */
  #sent = 0;
  /** Of the room whose members the room has. */
  #authorizedSeq = 0;
  #loss: { readonly seq: number; readonly loss: AccessLoss } | undefined;
  /** Set while the status is `relayed`. */
  #relay: Telling | undefined;
  #hidesReading: boolean | undefined;
  #seesMembers = false;
  /** The event as of which that was last said. */
  #seesMembersSeq = 0;
  #reading = false;
  #retry: Timer | undefined;

  constructor(session: Subscriber, feed: RoomFeed) {
    this.#session = session;
    this.feed = feed;
  }

  get userId(): string {
    return this.#session.userId;
  }

  get status(): Status {
    return this.#status;
  }

  /** The last event handed over. */
  get sent(): number {
    return this.#relay?.sent ?? this.#sent;
  }

  get sight(): Sight {
    return sightOf(this.#seesMembers, this.#hidesReading !== false);
  }

  /** Whether the user's reading is hidden: others' is then not told. Undefined: not known yet. */
  get hidesReading(): boolean | undefined {
    return this.#hidesReading;
  }

  set hidesReading(hidden: boolean | undefined) {
    this.#hidesReading = hidden;
    this.#lookAnew();
  }

  /** The loss of access that came after the position at which the user was found to have it. */
  lostSince(authorizedSeq: number): AccessLoss | undefined {
    return this.#loss !== undefined && this.#loss.seq > authorizedSeq ? this.#loss.loss : undefined;
  }

  /** Begins after `sent`, as what the user was found to be at `authorizedSeq`. Events that follow are pushed from this call on. */
  begin(sent: number, authorizedSeq: number): void {
    this.#sent = sent;
    this.#authorizedSeq = authorizedSeq;
    this.#status = "catching-up";
    this.resume();
  }

  end(): void {
    this.#status = "ended";
    this.#retry?.cancel();
    this.feed.leave(this);
    this.#relay?.leave();
    this.#relay = undefined;
  }

  /** From here on the relay tells it: it is live, and both have come equally far. */
  tellBy(relay: Telling): void {
    this.#status = "relayed";
    this.#relay = relay;
    this.feed.tellByRelay(this);
  }

  /** The relay tells it no more, and has told it the events up to `sent`. */
  tellByFeed(sent: number): void {
    if (this.#status === "ended") return;
    this.#relay = undefined;
    this.#sent = sent;
    this.#status = "catching-up";
    this.feed.join(this);
    this.resume();
  }

  offer(frame: RoomEventsFrame): void {
    if (this.#status !== "live") return;
    switch (judge(this.#sent, frame.firstSeq, frame.lastSeq)) {
      case "send":
        if (this.#session.send(frame)) this.#sent = frame.lastSeq;
        else this.#lag();
        return;
      case "behind":
        this.#lag();
        return;
      case "skip":
        return;
    }
  }

  signal(frame: SignalFrame): void {
    if (this.#status !== "live") return;
    const seen = frame.seenWith(this.sight);
    if (seen !== undefined) this.#session.offer(seen);
  }

  become(seq: number, member: Member): void {
    this.seeMembers(seq, hasPermission(member, Permission.SEE_MEMBERS));
  }

  /** Whether, as of event `seq`, the user may know who is in the room. */
  seeMembers(seq: number, may: boolean): void {
    if (seq < this.#seesMembersSeq) return;
    this.#seesMembersSeq = seq;
    this.#seesMembers = may;
    this.#lookAnew();
  }

  /** What the relay tells is not for this reader any more. */
  #lookAnew(): void {
    if (this.#relay !== undefined && this.#relay.sight !== this.sight) this.#relay.leave();
  }

  behind(): void {
    if (this.#status === "live" && this.#sent < this.feed.top) this.#lag();
  }

  lose(seq: number, loss: AccessLoss): void {
    if (this.#status === "opening") {
      this.#loss = { seq, loss };
      return;
    }
    if (this.#status === "ended" || seq <= this.#authorizedSeq) return;
    this.end();
    if (loss === "unknown") this.#session.reset(this);
    else this.#session.lost(this, loss);
  }

  /** Feeds the session until it is up to date, its outbox is full, or the archive must be waited for. */
  resume(): void {
    while (this.#status === "catching-up" && !this.#reading) {
      if (this.#sent >= this.feed.top) {
        this.#status = "live";
        this.#session.upToDate(this);
        return;
      }
      if (!this.#session.ready) {
        this.#session.wait(this);
        return;
      }
      let page: Awaitable<RoomEventsFrame | undefined>;
      try {
        page = this.feed.after(this.#sent);
      } catch {
        this.#readLater();
        return;
      }
      if (isPromise(page)) this.#await(page);
      // What stands in the page may have taken the room away.
      else if (this.#status === "catching-up") this.#hand(page);
    }
  }

  #await(page: PromiseLike<RoomEventsFrame | undefined>): void {
    this.#reading = true;
    page.then(
      (frame) => {
        this.#reading = false;
        if (this.#status !== "catching-up") return;
        this.#hand(frame);
        this.resume();
      },
      () => {
        if (this.#status === "catching-up") this.#readLater();
      },
    );
  }

  /** The store is away: the session stays, and misses nothing when it is back. */
  #readLater(): void {
    this.#reading = true;
    this.#retry = this.#session.after(RETRY_READ_MS, () => {
      this.#reading = false;
      this.resume();
    });
  }

  #hand(frame: RoomEventsFrame | undefined): void {
    // A frame that begins late, or none, where the feed says there are events: they are no longer kept.
    if (frame === undefined || judge(this.#sent, frame.firstSeq, frame.lastSeq) !== "send") {
      this.end();
      this.#session.reset(this);
      return;
    }
    if (this.#session.send(frame)) this.#sent = frame.lastSeq;
  }

  #lag(): void {
    this.#status = "catching-up";
    this.#session.lagging(this, this.feed.top - this.#sent);
    this.resume();
  }
}
