// A room whose history a test makes up, a feed of it, and readers that take what they are given.

import { create, toBinary } from "@bufbuild/protobuf";
import { RoomFeed } from "../../../src/core/fanout/feed.js";
import type { RoomEventsFrame } from "../../../src/core/fanout/room-events-frame.js";
import { type Subscriber, Subscription } from "../../../src/core/subscription/subscription.js";
import { Permission, Role, type RoomEvent, RoomEventSchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";
import { type Awaitable, roomRef } from "../../../src/ports/room-ref.js";
import type { WireModel } from "./wire-model.js";

export const LOBBY = roomRef("acme", "lobby");

/** The event at `seq`: a message unless said otherwise. */
export function event(seq: number, kind?: RoomEvent["kind"]): EncodedEvent {
  const made = create(RoomEventSchema, {
    eventId: `e-${seq}`,
    position: { seq, tag: seq },
    kind: kind ?? { case: "messageCreated", value: { messageIndex: seq } },
  });
  return new EncodedEvent(seq, seq, toBinary(RoomEventSchema, made), made);
}

export function events(from: number, to: number): readonly EncodedEvent[] {
  return Array.from({ length: Math.max(to - from + 1, 0) }, (_, index) => event(from + index));
}

function kindOf(init: NonNullable<Parameters<typeof create<typeof RoomEventSchema>>[1]>): RoomEvent["kind"] {
  return create(RoomEventSchema, init).kind;
}

export function left(userId: string): RoomEvent["kind"] {
  return kindOf({ kind: { case: "memberLeft", value: { userId } } });
}

export function deniedReading(userId: string): RoomEvent["kind"] {
  const member = { userId, role: Role.MEMBER, denied: [Permission.READ] };
  return kindOf({ kind: { case: "memberChanged", value: { member } } });
}

export function deleted(): RoomEvent["kind"] {
  return kindOf({ kind: { case: "roomDeleted", value: {} } });
}

export function promoted(userId: string): RoomEvent["kind"] {
  return kindOf({ kind: { case: "memberChanged", value: { member: { userId, role: Role.ADMIN } } } });
}

/** How the archive answers what it is asked next. */
export type Answers = "now" | "later" | "throws";

export class RoomModel {
  readonly feed: RoomFeed;
  readonly history: EncodedEvent[] = [];
  /** The first seq that the archive still has. */
  firstKept = 1;
  answers: Answers = "now";
  reads = 0;
  /** Whether the feed waits for its flush. */
  scheduled = false;
  /** Reads that wait for their answer. */
  #waiting: { readonly answer: () => void; readonly fail: () => void }[] = [];
  timers: { readonly atMs: number; readonly action: () => void }[] = [];

  constructor(ringBytes = 1_000, page = 4) {
    this.feed = new RoomFeed(LOBBY, {
      ringBytes,
      recoveryPage: page,
      read: (_, from, to, limit) => this.#read(from, to, limit),
      schedule: () => {
        this.scheduled = true;
      },
      flushed: () => {},
    });
  }

  get top(): number {
    return this.history.length;
  }

  /** Something happens in the room; nobody is told yet. */
  happen(kind?: RoomEvent["kind"]): EncodedEvent {
    const next = event(this.top + 1, kind);
    this.history.push(next);
    return next;
  }

  grow(count: number): readonly EncodedEvent[] {
    return Array.from({ length: count }, () => this.happen());
  }

  announce(from: number, to = from): void {
    this.feed.receive(this.history.slice(from - 1, to));
  }

  flush(): void {
    this.scheduled = false;
    this.feed.flush();
  }

  /** The oldest read under way is answered, or fails. */
  answer(fails = false): void {
    const oldest = this.#waiting.shift();
    if (fails) oldest?.fail();
    else oldest?.answer();
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  fireTimers(): void {
    const { timers } = this;
    this.timers = [];
    for (const { action } of timers) action();
  }

  #read(from: number, to: number, limit: number): Awaitable<readonly EncodedEvent[]> {
    this.reads++;
    const page = (): readonly EncodedEvent[] => {
      const begin = Math.max(from, this.firstKept);
      return this.history.slice(begin - 1, Math.max(Math.min(to, begin + limit - 1), begin - 1));
    };
    if (this.answers === "throws") throw new Error("the archive is away");
    if (this.answers === "now") return page();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ answer: () => resolve(page()), fail: () => reject(new Error("the archive is away")) });
    });
  }
}

/** A session with an outbox of so many frames. */
export class ReaderModel implements Subscriber {
  readonly userId: string;
  readonly subscription: Subscription;
  readonly room: RoomModel;
  /** The seqs that came, in order. */
  readonly seqs: number[] = [];
  /** The frames that came. */
  readonly frames: RoomEventsFrame[] = [];
  resets = 0;
  readonly losses: string[] = [];
  lags = 0;
  /** Signals that came. */
  signals = 0;
  capacity: number;
  #queued = 0;
  #waits = false;

  /** The wire that it shares, and its number there. */
  readonly #wire: { readonly wire: WireModel; readonly session: number } | undefined;
  /** Whether the wire is to tell it as soon as it can. */
  #upToDate = false;

  constructor(room: RoomModel, userId: string, capacity = Number.POSITIVE_INFINITY, wire?: WireModel) {
    this.room = room;
    this.userId = userId;
    this.capacity = capacity;
    this.#wire = wire && { wire, session: wire.join(this) };
    this.subscription = new Subscription(this, room.feed);
    room.feed.join(this.subscription);
  }

  /** Opens after `sent`, as somebody who was found to have access at the room's top. */
  begin(sent = this.room.top): this {
    const { top } = this.room;
    this.room.feed.hear(top);
    this.subscription.begin(sent, top);
    return this;
  }

  get ready(): boolean {
    return this.#queued < this.capacity;
  }

  send(frame: RoomEventsFrame): boolean {
    if (this.subscription.status === "ended") throw new Error("sent after the end");
    // Full is later than not ready: a live push may still fit.
    if (this.#queued > this.capacity) return false;
    this.#queued++;
    this.frames.push(frame);
    this.seqs.push(...frame.events.map(({ seq }) => seq));
    return true;
  }

  offer(): void {
    this.signals++;
  }

  wait(): void {
    this.#waits = true;
  }

  /** The client reads everything. */
  drain(): void {
    this.#queued = 0;
    if (!this.#waits) return;
    this.#waits = false;
    this.subscription.resume();
  }

  lost(_: Subscription, loss: string): void {
    this.losses.push(loss);
  }

  reset(): void {
    this.resets++;
  }

  lagging(): void {
    this.lags++;
  }

  upToDate(): void {
    this.#upToDate = true;
  }

  /** What was sent is on the wire. */
  written(): void {
    if (this.#wire === undefined || !this.#upToDate || this.subscription.status !== "live") return;
    const { wire, session } = this.#wire;
    this.#upToDate = !wire.relays.tell(this.subscription, wire, session);
  }

  /** A frame that came by the wire. Returns false, and has not got it, where it reads too slowly. */
  relayed(seqs: readonly number[]): boolean {
    if (this.#queued > this.capacity) return false;
    if (seqs.length === 0) this.signals++;
    else this.#queued++;
    this.seqs.push(...seqs);
    return true;
  }

  after(delayMs: number, action: () => void) {
    const timer = { atMs: delayMs, action };
    this.room.timers.push(timer);
    return {
      cancel: () => {
        this.room.timers = this.room.timers.filter((each) => each !== timer);
      },
    };
  }
}
