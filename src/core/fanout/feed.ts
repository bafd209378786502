// One room as this node's sessions read it: live events to those who are up to date, pages to those who are not.

import { type Member, Permission } from "../../gen/trunkline/v1/message_pb.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { EncodedFrame } from "../../ports/encoded-frame.js";
import type { FanoutSubscription } from "../../ports/fanout.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import { PAGE_BYTES } from "../limit/limits.js";
import { hasPermission } from "../room/permissions.js";
import type { Listening } from "./doubts.js";
import { Ring } from "./ring.js";
import { RoomEventsFrame } from "./room-events-frame.js";
import type { RootReader, RootWatch } from "./root-watch.js";
import { SignalFrame } from "./shared-frame.js";
import type { UnannouncedEvents } from "./unannounced-events.js";

/** Why a user may no longer read a room. `unknown`: nobody can tell whether they may. */
export type AccessLoss = "access-lost" | "room-deleted" | "unknown";

/** A session's subscription as the feed sees it. */
export interface FeedReader {
  /** Whose it is; empty: a relay's. */
  readonly userId: string;
  /** A live frame. The reader judges by its cursor whether it joins on. */
  offer(frame: RoomEventsFrame): void;
  /** Something ephemeral: a reader that is not up to date, or has no room for it, drops it. */
  signal(frame: SignalFrame): void;
  /** The feed's top has moved without a frame: there are events that were never announced here. */
  behind(): void;
  /** From event `seq`, of the room whose members it has, on the user is this member. */
  become(seq: number, member: Member): void;
  /** From event `seq`, of the room whose members it has, on the user may not read the room. */
  lose(seq: number, loss: AccessLoss): void;
}

export interface FeedDependencies extends UnannouncedEvents {
  readonly ringBytes: number;
  /** Asks for `flush` to be called when the collecting window ends. */
  readonly schedule: (feed: RoomFeed) => void;
  readonly flushed: (events: number, recipients: number) => void;
}

export class RoomFeed implements RootReader, Listening {
  readonly ref: RoomRef;
  /** Of the room that this one is under. */
  readonly root: RootWatch | undefined;
  readonly #deps: FeedDependencies;
  readonly #ring: Ring;
  readonly #readers = new Set<FeedReader>();
  /** Readers that are told by a relay, whatever happens to them alone excepted. */
  readonly #relayed = new Set<FeedReader>();
  readonly #relays = new Set<FeedReader>();
  /** Those that are being read: there with the first. */
  #pages: Map<number, Promise<RoomEventsFrame | undefined>> | undefined;
  #pending: EncodedEvent[] = [];
  /** Whether the ring holds what was deleted since. */
  #forget = false;
  /** The last seq announced. */
  #announced = 0;
  /** The last seq handed to live readers: a reader that has come so far is live. */
  #flushed = 0;
  /** Events that were not announced here, the first and the last: what they take away is found when they are read. */
  #unseen: { readonly from: number; readonly to: number } | undefined;
  /** When it last flushed, monotonic: the collecting window counts from then, so that a quiet room is never delayed. */
  flushedAtMs = Number.NEGATIVE_INFINITY;
  /** Whether a flush has been asked for. */
  scheduled = false;
  /** Set by the hub: the subscription at the fan-out, and the promise of it. */
  subscription: FanoutSubscription | undefined;
  listening: Promise<void> | undefined;

  constructor(ref: RoomRef, deps: FeedDependencies, root?: RootWatch) {
    this.ref = ref;
    this.root = root;
    this.#deps = deps;
    this.#ring = new Ring(ref.roomId, deps.ringBytes);
  }

  get top(): number {
    return this.#flushed;
  }

  /** Readers, relays not counted. */
  get size(): number {
    return this.#readers.size + this.#relayed.size;
  }

  join(reader: FeedReader): void {
    this.#relayed.delete(reader);
    this.#readers.add(reader);
  }

  /** A reader on behalf of others. */
  joinRelay(relay: FeedReader): void {
    this.#relays.add(relay);
  }

  /** A relay tells this reader of events and signals from here on, until it joins again. */
  tellByRelay(reader: FeedReader): void {
    this.#readers.delete(reader);
    this.#relayed.add(reader);
  }

  leave(reader: FeedReader): void {
    this.#readers.delete(reader);
    this.#relayed.delete(reader);
    this.#relays.delete(reader);
  }

  /** The owner has said that the room's durable top is at least this. */
  hear(seq: number): void {
    // What was announced and not flushed goes out by itself.
    if (seq <= this.#announced) return;
    this.flush();
    this.#miss(seq);
    this.#announced = seq;
    this.#flushed = seq;
    this.#tellBehind();
  }

  /** Announced events: they may repeat or leave holes, they never go back. */
  receive(events: readonly EncodedEvent[]): void {
    for (const event of events) {
      if (event.seq <= this.#announced) continue;
      // A hole: what is pending goes out by itself, and the cursors will find the hole and read it from the archive.
      if (event.seq !== this.#announced + 1) {
        this.flush();
        this.#miss(event.seq - 1);
      }
      this.#announced = event.seq;
      this.#pending.push(event);
      this.#watchAccess(event);
    }
    if (this.#pending.length > 0 && !this.scheduled) this.#deps.schedule(this);
  }

  /** Hands something ephemeral to every reader. */
  signal(frame: EncodedFrame): void {
    if (this.size === 0) return;
    const shared = new SignalFrame(frame);
    for (const reader of this.#readers) reader.signal(shared);
    for (const relay of this.#relays) relay.signal(shared);
  }

  /** Hands what was collected to every reader. Returns how many events that were. */
  flush(): number {
    const events = this.#pending;
    const first = events[0];
    const last = events.at(-1);
    if (first === undefined || last === undefined) return 0;
    this.#pending = [];
    if (!this.#mayTell(last)) {
      this.#pass(first.seq, last.seq);
      return 0;
    }
    const frame = new RoomEventsFrame(this.ref.roomId, events);
    this.#flushed = frame.lastSeq;
    this.#ring.add(frame);
    // What a deleted message said must not be told to who comes back: the archive, where it is scrubbed, tells them.
    if (this.#forget) this.#ring.clear();
    this.#forget = false;
    for (const reader of this.#readers) reader.offer(frame);
    for (const relay of this.#relays) relay.offer(frame);
    this.#deps.flushed(events.length, this.size);
    return events.length;
  }

  /**
   * A frame of events that begins after `seq`, from the ring, else from the archive; undefined: there is none. The archive's
   * answer may begin later, where what is older is no longer kept. Readers that ask for the same page share one read.
   */
  after(seq: number): Awaitable<RoomEventsFrame | undefined> {
    const recent = this.#ring.after(seq);
    if (recent !== undefined) return recent;
    const shared = this.#pages?.get(seq);
    if (shared !== undefined) return shared;
    const page = this.#deps.read(this.ref, seq + 1, this.#flushed, this.#deps.recoveryPage, PAGE_BYTES);
    if (!isPromise(page) && this.#mayTell(page.at(-1))) return this.#frame(page);
    const reading = Promise.resolve(page)
      .then(async (events) => {
        await this.root?.reach(events.at(-1)?.event.rootSeq ?? 0);
        return this.#frame(events);
      })
      .finally(() => this.#pages?.delete(seq));
    this.#pages ??= new Map();
    this.#pages.set(seq, reading);
    return reading;
  }

  applyRoot({ seq, event: { kind } }: EncodedEvent): void {
    switch (kind.case) {
      case "memberLeft":
        this.#tellLoss(seq, "access-lost", kind.value.userId);
        return;
      case "memberChanged":
        if (kind.value.member !== undefined && !this.#become(seq, kind.value.member)) {
          this.#tellLoss(seq, "access-lost", kind.value.member.userId);
        }
        return;
      case "roomDeleted":
        this.#tellLoss(seq, "room-deleted", undefined);
        return;
      default:
        return;
    }
  }

  loseRoot(seq: number): void {
    this.#tellLoss(seq, "unknown", undefined);
  }

  /** Whether what the root took away before this event has been applied. */
  #mayTell(event: EncodedEvent | undefined): boolean {
    return this.root === undefined || event === undefined || this.root.has(event.event.rootSeq);
  }

  /** What cannot be told yet is caught up with. */
  #pass(from: number, to: number): void {
    this.#unseen = { from: this.#unseen?.from ?? from, to };
    this.#flushed = to;
    if (this.#forget) this.#ring.clear();
    this.#forget = false;
    this.#tellBehind();
  }

  /** Events up to `to` have passed without an announcement. */
  #miss(to: number): void {
    this.#unseen = { from: this.#unseen?.from ?? this.#announced + 1, to };
  }

  /** A page of the archive. */
  #frame(events: readonly EncodedEvent[]): RoomEventsFrame | undefined {
    if (this.#unseen !== undefined) {
      const { from, to } = this.#unseen;
      for (const event of events) if (event.seq >= from && event.seq <= to) this.#watchAccess(event);
    }
    return events.length === 0 ? undefined : new RoomEventsFrame(this.ref.roomId, events);
  }

  /** Applies what an event takes away: whoever loses the room gets this event, and nothing after it. */
  #watchAccess(event: EncodedEvent): void {
    const { kind } = event.event;
    switch (kind.case) {
      case "memberLeft":
        this.#lose(event.seq, "access-lost", kind.value.userId);
        return;
      case "memberChanged":
        if (kind.value.member !== undefined) this.#changeMember(event.seq, kind.value.member);
        return;
      case "messageDeleted":
        this.#forget = true;
        return;
      case "roomDeleted":
        // Whoever was let in by an event of the root, was let in before this.
        this.#lose(this.root === undefined ? event.seq : Number.POSITIVE_INFINITY, "room-deleted", undefined);
        return;
      default:
        return;
    }
  }

  #changeMember(seq: number, member: Member): void {
    if (!this.#become(seq, member)) this.#lose(seq, "access-lost", member.userId);
  }

  /** Returns whether the member may read the room. */
  #become(seq: number, member: Member): boolean {
    if (!mayRead(member)) return false;
    for (const reader of this.#readers) if (reader.userId === member.userId) reader.become(seq, member);
    for (const reader of this.#relayed) if (reader.userId === member.userId) reader.become(seq, member);
    return true;
  }

  #lose(seq: number, loss: AccessLoss, userId: string | undefined): void {
    this.flush();
    this.#tellLoss(seq, loss, userId);
  }

  #tellLoss(seq: number, loss: AccessLoss, userId: string | undefined): void {
    // Relays last: they end with their last reader.
    for (const reader of [...this.#relayed, ...this.#readers, ...this.#relays]) {
      if (userId === undefined || reader.userId === userId) reader.lose(seq, loss);
    }
  }

  #tellBehind(): void {
    for (const reader of this.#readers) reader.behind();
    for (const relay of this.#relays) relay.behind();
  }
}

function mayRead(member: Member): boolean {
  return hasPermission(member, Permission.READ);
}
