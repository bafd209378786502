// The rooms a session is subscribed to: opened, moved, taken away, and fed in turn.

import { create } from "@bufbuild/protobuf";
import { CloseCode } from "../../gen/trunkline/v1/error_pb.js";
import { PositionSchema, type Room } from "../../gen/trunkline/v1/message_pb.js";
import * as wire from "../../gen/trunkline/v1/session_pb.js";
import type { Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";
import type { AccessLoss } from "../fanout/feed.js";
import type { RoomEventsFrame } from "../fanout/room-events-frame.js";
import type { SignalFrame } from "../fanout/shared-frame.js";
import { AccessWatch } from "../hook/access-watch.js";
import type { Caller } from "../room/calls.js";
import { inboxRef, isInbox, systemOf } from "../room/inbox.js";
import { authorizeReading, type Opened, openSubscription } from "../subscription/open.js";
import type { Subscriber, Subscription } from "../subscription/subscription.js";
import { validateId } from "../validate.js";
import type { LiveConnection } from "./live-connection.js";
import type { SessionServices } from "./services.js";

/** The session, as its subscriptions see it. */
export interface SubscribingSession {
  readonly id: string;
  /** A subscription has ended that nobody asked to end. */
  subscriptionLost(roomId: string): void;
}

export class RoomSubscriptions implements Subscriber {
  readonly #services: SessionServices;
  readonly #connection: LiveConnection;
  readonly #session: SubscribingSession;
  #caller: Caller;
  readonly #rooms = new Map<string, Subscription>();
  // What most sessions have none of is made when it is needed, and let go of with the last.
  /** Those that will take the place of the room's once they can: until then, and where they are refused, that one goes on. */
  #moving: Map<string, Subscription> | undefined;
  /** Those that wait for the outbox, the next first. */
  #waiting: Subscription[] | undefined;
  /** Up to date, and to be told by the wire that the session shares once all that was said to it before is written. */
  #upToDate: Set<Subscription> | undefined;
  #ended = false;
  /** Undefined: nobody outside has a say in who reads. */
  readonly #access: AccessWatch | undefined;

  constructor(services: SessionServices, connection: LiveConnection, session: SubscribingSession, caller: Caller) {
    this.#services = services;
    this.#connection = connection;
    this.#session = session;
    this.#caller = caller;
    const { access } = services.owner;
    if (access !== undefined) this.#access = new AccessWatch(services.deps.clock, access, services.wheel, this);
  }

  get caller(): Caller {
    return this.#caller;
  }

  /** The user has shown another token. */
  set caller(caller: Caller) {
    this.#caller = caller;
  }

  /** The user has changed whether their reading is to be seen. */
  set hidesReading(hidden: boolean) {
    for (const subscription of this.#rooms.values()) subscription.hidesReading = hidden;
  }

  get roomIds(): Iterable<string> {
    return new Set([...this.#rooms.keys(), ...(this.#moving?.keys() ?? [])]);
  }

  has(roomId: string): boolean {
    return this.#rooms.has(roomId);
  }

  /** Ends them all. */
  end(): void {
    this.#ended = true;
    this.#access?.end();
    for (const subscription of [...this.#rooms.values(), ...(this.#moving?.values() ?? [])]) this.#end(subscription);
    this.#rooms.clear();
    this.#moving = undefined;
    this.#waiting = undefined;
    this.#upToDate = undefined;
  }

  /** Subscribes, or moves the subscription, to after this position. `field` is what a refusal of the room's id names. */
  async open(roomId: string, after: wire.Subscribe["after"], ref: number, field: string): Promise<void> {
    validateId(field, roomId);
    if (this.#ended) return;
    const { maxRoomsPerSession } = this.#services.deps.limits;
    if (!this.#rooms.has(roomId) && this.#rooms.size >= maxRoomsPerSession) {
      throw new TrunklineError(ErrorCode.LIMIT_EXCEEDED, "too many rooms subscribed", {
        details: { limit: String(maxRoomsPerSession) },
      });
    }
    const room = roomRef(this.#caller.identity.tenantId, roomId);
    if (this.#isOwnInbox(room)) {
      await this.#openInbox(room);
      // The session may have ended meanwhile, and with it whoever would end the subscription.
      if (this.#ended) return;
    }
    await openSubscription(this.#services, this, room, this.#caller, after, {
      opening: (subscription) => this.#open(subscription),
      ended: () => {
        const moving = this.#takeMoving(roomId);
        if (moving === undefined) this.close(roomId);
        else this.#end(moving);
      },
      opened: (opened) => {
        this.#move(roomId);
        this.#watchAccess(room, opened.room);
        this.#opened(roomId, opened, ref);
      },
    });
  }

  #isOwnInbox(room: RoomRef): boolean {
    const { tenantId, userId } = this.#caller.identity;
    return isInbox(room) && room.roomId === inboxRef(this.#services.deps.ids, tenantId, userId).roomId;
  }

  #open(subscription: Subscription): void {
    // The feed's string of it: one for all that read the room.
    const { roomId } = subscription.feed.ref;
    if (!this.#rooms.has(roomId)) this.#rooms.set(roomId, subscription);
    else {
      this.#moving ??= new Map();
      this.#moving.set(roomId, subscription);
    }
  }

  #move(roomId: string): void {
    const subscription = this.#takeMoving(roomId);
    if (subscription === undefined) return;
    this.close(roomId);
    this.#rooms.set(subscription.feed.ref.roomId, subscription);
  }

  #takeMoving(roomId: string): Subscription | undefined {
    const subscription = this.#moving?.get(roomId);
    this.#moving?.delete(roomId);
    if (this.#moving?.size === 0) this.#moving = undefined;
    return subscription;
  }

  /** Ends the subscription, if there is one. */
  close(roomId: string): void {
    const subscription = this.#rooms.get(roomId);
    if (subscription === undefined) return;
    this.#rooms.delete(roomId);
    this.#access?.unwatch(roomId);
    this.#end(subscription);
  }

  #watchAccess(ref: RoomRef, room: Room | undefined): void {
    if (this.#services.owner.access?.covers(room, this.#caller)) this.#access?.watch(ref);
  }

  /** Nobody can say just now whether the user may read on. */
  unanswered({ roomId }: RoomRef): void {
    const subscription = this.#rooms.get(roomId);
    if (subscription === undefined) return;
    subscription.end();
    this.#forget(subscription);
    const reason = wire.UnsubscribeReason.UNAVAILABLE;
    this.#connection.send({ case: "unsubscribed", value: create(wire.UnsubscribedSchema, { roomId, reason }) });
  }

  #end(subscription: Subscription): void {
    subscription.end();
    this.#services.hub.release(subscription.feed);
  }

  /** Ends the subscription unless the user may read the room as what they are now. Never rejects. */
  async authorizeAgain(roomId: string): Promise<void> {
    const subscription = this.#rooms.get(roomId);
    if (subscription === undefined) return;
    try {
      const { room } = await authorizeReading(this.#services, subscription.feed.ref, this.#caller);
      if (this.#rooms.get(roomId) === subscription) this.#watchAccess(subscription.feed.ref, room);
    } catch (error) {
      if (this.#rooms.get(roomId) === subscription) this.#readingRefused(subscription, TrunklineError.from(error));
    }
  }

  #readingRefused(subscription: Subscription, refusal: TrunklineError): void {
    switch (refusal.code) {
      case ErrorCode.NOT_A_MEMBER:
      case ErrorCode.PERMISSION_DENIED:
      case ErrorCode.NOT_FOUND:
        subscription.end();
        this.lost(subscription, "access-lost");
        return;
      default:
        // Nobody can tell whether the user may read the room: a fresh session of the same token will find out, and misses nothing.
        this.#connection.close(CloseCode.UNAVAILABLE, "the rooms could not be authorized anew", refusal);
    }
  }

  /** A user's inbox is there from the first time that they ask for it, whether or not anything has come. */
  async #openInbox(inbox: RoomRef): Promise<void> {
    const { owner } = this.#services;
    const { userId } = this.#caller.identity;
    await owner.submit(inbox, systemOf(inbox), { kind: "openInbox", key: "~open", attempt: 1, userId }).outcome;
  }

  #opened(roomId: string, { top, room, member, outcome, marker, markers }: Opened, ref: number): void {
    // A subscription that nobody wants an answer to still begins with its outcome: the events after it mean nothing without.
    this.#connection.send(
      {
        case: "subscribed",
        value: create(wire.SubscribedSchema, { roomId, top, room, member, outcome, marker, markers }),
      },
      ref,
    );
  }

  /** The outbox is ready: those that waited go on, in turn. */
  onReady(): void {
    // Whoever has filled the outbox waits behind those that had no turn yet, or a busy room would starve the others.
    while (this.#waiting !== undefined && this.ready) {
      const next = this.#waiting.shift();
      if (next === undefined) this.#waiting = undefined;
      else next.resume();
    }
    this.#tellByWire();
  }

  #tellByWire(): void {
    const { outbox, shared } = this.#connection;
    const upToDate = this.#upToDate;
    if (shared === undefined || upToDate === undefined || outbox.bytes > 0) return;
    for (const each of upToDate) {
      // One that the wire cannot tell yet is looked at again after the next write.
      if (each.status !== "live" || this.#services.relays.tell(each, shared.wire, shared.session))
        upToDate.delete(each);
    }
    if (upToDate.size === 0) this.#upToDate = undefined;
  }

  // — what subscriptions ask —

  get userId(): string {
    return this.#caller.identity.userId;
  }

  send(frame: RoomEventsFrame): boolean {
    const { outbox } = this.#connection;
    if (outbox.full) return false;
    outbox.push(this.#connection.encodeShared(frame));
    return true;
  }

  offer(frame: SignalFrame): void {
    this.#connection.outbox.offer(this.#connection.encodeShared(frame));
  }

  get ready(): boolean {
    return this.#connection.outbox.ready;
  }

  wait(subscription: Subscription): void {
    this.#waiting ??= [];
    if (!this.#waiting.includes(subscription)) this.#waiting.push(subscription);
  }

  upToDate(subscription: Subscription): void {
    const { outbox, shared } = this.#connection;
    if (shared === undefined) return;
    this.#upToDate ??= new Set();
    this.#upToDate.add(subscription);
    outbox.flushSoon();
  }

  lost(subscription: Subscription, loss: Exclude<AccessLoss, "unknown">): void {
    const { roomId } = subscription.feed.ref;
    this.#forget(subscription);
    const reason = loss === "room-deleted" ? wire.UnsubscribeReason.ROOM_DELETED : wire.UnsubscribeReason.ACCESS_LOST;
    this.#connection.send({ case: "unsubscribed", value: create(wire.UnsubscribedSchema, { roomId, reason }) });
  }

  #forget(subscription: Subscription): void {
    const { roomId } = subscription.feed.ref;
    if (this.#rooms.get(roomId) === subscription) {
      this.#rooms.delete(roomId);
      this.#access?.unwatch(roomId);
    }
    this.#services.hub.release(subscription.feed);
    this.#session.subscriptionLost(roomId);
  }

  reset(subscription: Subscription): void {
    const { ref, top } = subscription.feed;
    this.#forget(subscription);
    this.#connection.send({
      case: "subscribed",
      value: create(wire.SubscribedSchema, {
        roomId: ref.roomId,
        top: create(PositionSchema, { seq: top }),
        outcome: { case: "reset", value: create(wire.ResetSchema, { reason: wire.ResetReason.EXPIRED }) },
      }),
    });
  }

  lagging(subscription: Subscription, behind: number): void {
    this.#services.deps.telemetry.emit("session.lagging", {
      sessionId: this.#session.id,
      roomId: subscription.feed.ref.roomId,
      behind,
    });
  }

  after(delayMs: number, action: () => void): Timer {
    return this.#services.deps.clock.after(delayMs, action);
  }
}
