// Holds everything that is seen of a core against what its log holds, as it happens. Pure: no I/O, no clock.
//
// Two places of a receiver are watched: the wire, where each subscription is dense from where it began and ends with the right to
// read; and the application, which is handed each event once.

import type { Message, RoomEvent } from "../../src/gen/trunkline/v1/message_pb.js";
import { BlockRecords } from "./block-records.js";
import { DueInInboxes } from "./inbox-records.js";
import { textOf } from "./message-record.js";
import { changedWords, GOVERNED_TENANT, RoomRecord } from "./room-record.js";
import { Violation } from "./violation.js";

export interface Place {
  readonly seq: number;
  readonly tag: number;
}

/** A change that was answered as done. */
export interface Acknowledgement extends Place {
  readonly roomKey: string;
  readonly eventId: string;
  /** Empty: no message. */
  readonly clientMessageId: string;
  readonly text: string;
}

export type Outcome =
  | { readonly is: "caught-up" }
  | { readonly is: "replaying"; readonly count: number }
  | { readonly is: "gap"; readonly from: number; readonly to: number }
  | { readonly is: "reset"; readonly reason: "beyond-end" | "other-history" | "expired" };

export interface Subscribed {
  readonly roomKey: string;
  readonly userId: string;
  /** What the client had stated; undefined: from now on. */
  readonly after: Place | undefined;
  readonly top: Place;
  readonly outcome: Outcome;
}

/** What was known of a room when somebody asked. */
export interface Asked {
  /** The last seq that was acknowledged to anybody. */
  readonly known: number;
  /** The same of the room that it is under, if it is under one. */
  readonly knownOfRoot: number;
  /** How often whose the rooms are had been in doubt by then. */
  readonly doubts: number;
}

/** A subscription on the wire. */
interface Wire {
  readonly userId: string;
  /** The seq that comes next. */
  next: number;
  /** As of which event, of the room whose members it has, the user was found to have the right. */
  readonly authorizedAt: number;
}

function keyOf(event: RoomEvent): string {
  return event.kind.case === "messageCreated" ? event.kind.value.clientMessageId : "";
}

/** The message that an event says something of. */
function messageOf(event: RoomEvent): string {
  return event.kind.case === "messageEdited" ? event.kind.value.messageId : event.eventId;
}

/** Of a room's key, and somebody of its tenant. */
function userKey(roomKey: string, userId: string): string {
  return `${tenantOf(roomKey)}/${userId}`;
}

function tenantOf(roomKey: string): string {
  return roomKey.slice(0, roomKey.indexOf("/"));
}

/** The key of the room that one is under; undefined: it is under none. Ids of the system begin with the mark. */
function rootKeyOf(roomKey: string): string | undefined {
  const at = roomKey.indexOf("~", roomKey.indexOf("/") + 2);
  return at < 0 ? undefined : roomKey.slice(0, at);
}

function roomIdOf(roomKey: string): string {
  return roomKey.slice(roomKey.indexOf("/") + 1);
}

export class Checker {
  /** Users who may do anything. */
  readonly #trusted: ReadonlySet<string>;
  #rooms = new Map<string, RoomRecord>();
  /** By room, then by event id. */
  #acknowledged = new Map<string, Map<string, Acknowledgement>>();
  /** By tenant and user: their inboxes. */
  readonly #inboxes = new Map<string, RoomRecord>();
  readonly #wires = new Map<string, Wire>();
  readonly #applications = new Map<string, number>();
  /** The last seq that was acknowledged to anybody, by room. */
  readonly #known = new Map<string, number>();
  /** The last seq that is no longer kept, by room. */
  readonly #purged = new Map<string, number>();
  /** The same in any history: a backup that is put back brings back what was purged after it was taken. */
  readonly #oncePurged = new Map<string, number>();
  readonly blocks = new BlockRecords(
    (tenantId, userId) => this.inbox(tenantId, userId)?.user,
    () => (this.#inDoubt ? 0 : this.#doubts + 1),
  );
  #restored = false;
  #inDoubt = false;
  #doubts = 0;

  constructor(trusted: ReadonlySet<string> = new Set()) {
    this.#trusted = trusted;
  }

  get rooms(): ReadonlyMap<string, RoomRecord> {
    return this.#rooms;
  }

  room(roomKey: string): RoomRecord {
    const found = this.#rooms.get(roomKey);
    if (found !== undefined) return found;
    const rootKey = rootKeyOf(roomKey);
    const room = new RoomRecord(roomKey, rootKey === undefined ? undefined : this.room(rootKey));
    this.#rooms.set(roomKey, room);
    return room;
  }

  // — the log —

  /** The log has this event now. */
  logged(roomKey: string, event: RoomEvent): void {
    this.#take(roomKey, event);
    this.blocks.logged(tenantOf(roomKey), event);
  }

  #take(roomKey: string, event: RoomEvent): void {
    const room = this.room(roomKey);
    const wrong = room.take(event, this.#trusted);
    if (wrong === undefined) {
      if (room.user !== undefined) this.#inboxes.set(userKey(roomKey, room.user.userId), room);
      // Whatever a room was goes with it.
      if (room.deletedAt !== undefined) this.purged(roomKey, room.deletedAt - 1);
      return;
    }
    const kind = wrong.includes("twice") ? "doubled" : wrong.includes("may not") ? "not permitted" : "not as logged";
    throw new Violation(kind, `${roomKey}: ${wrong}`);
  }

  /** Events up to here are no longer kept. */
  purged(roomKey: string, through: number): void {
    this.#purged.set(roomKey, Math.max(through, this.#purged.get(roomKey) ?? 0));
    this.#oncePurged.set(roomKey, Math.max(through, this.#oncePurged.get(roomKey) ?? 0));
  }

  /** The last seq of a room that is no longer kept; 0: all is. */
  purgedThrough(roomKey: string): number {
    return this.#purged.get(roomKey) ?? 0;
  }

  /** As `purgedThrough`, also before a backup was put back: who read on then has passed over what has come back. */
  oncePurgedThrough(roomKey: string): number {
    return this.#oncePurged.get(roomKey) ?? 0;
  }

  /** An older state of the log was put back: this is what it holds, and how far each room was purged then. */
  restored(events: Iterable<readonly [string, RoomEvent]>, purged: ReadonlyMap<string, number>): void {
    this.#restored = true;
    const before = this.#acknowledged;
    this.#rooms = new Map();
    this.#inboxes.clear();
    this.#purged.clear();
    this.#wires.clear();
    for (const [roomKey, event] of events) this.#take(roomKey, event);
    for (const [roomKey, through] of purged) this.purged(roomKey, through);
    this.#acknowledged = new Map();
    this.#known.clear();
    for (const acknowledged of [...before.values()].flatMap((ofRoom) => [...ofRoom.values()])) {
      const room = this.#rooms.get(acknowledged.roomKey);
      // What came after the backup is gone; what came before it still holds.
      if (room !== undefined && acknowledged.seq <= room.top) this.acknowledged(acknowledged);
    }
  }

  // — answers —

  acknowledged(acknowledged: Acknowledgement): void {
    this.#standsAsAcknowledged(acknowledged);
    const { roomKey, eventId } = acknowledged;
    const ofRoom = this.#acknowledged.get(roomKey) ?? new Map<string, Acknowledgement>();
    this.#acknowledged.set(roomKey, ofRoom);
    const before = ofRoom.get(eventId);
    if (before !== undefined && before.seq !== acknowledged.seq) {
      throw new Violation("doubled", `${eventId} was acknowledged at ${before.seq} and at ${acknowledged.seq}`);
    }
    ofRoom.set(eventId, acknowledged);
    this.#known.set(roomKey, Math.max(acknowledged.seq, this.#known.get(roomKey) ?? 0));
  }

  /** Two nodes may own a shard, and both have reason to believe it: what one of them acknowledges the other does not know until it writes. */
  set inDoubt(inDoubt: boolean) {
    if (inDoubt && !this.#inDoubt) this.#doubts += 1;
    this.#inDoubt = inDoubt;
  }

  /** Somebody asks for a room: they are to see as much as anybody knows whose change was answered. */
  asked(roomKey: string): Asked {
    const rootKey = rootKeyOf(roomKey);
    return {
      known: this.#known.get(roomKey) ?? 0,
      knownOfRoot: rootKey === undefined ? 0 : (this.#known.get(rootKey) ?? 0),
      doubts: this.#inDoubt ? 0 : this.#doubts,
    };
  }

  /** A room was shown as of `top` to who has asked. Returns whether that is older than what was known then, and may be. */
  shownTo(roomKey: string, userId: string, top: Place, { known, knownOfRoot, doubts }: Asked): boolean {
    const isExcused = this.#inDoubt || doubts !== this.#doubts;
    if (this.room(roomKey).root?.mayReadFrom(userId, knownOfRoot) === false) {
      if (isExcused) return true;
      throw new Violation(
        "not permitted",
        `${roomKey}: ${userId} had lost the room above at ${knownOfRoot}, as was known`,
      );
    }
    if (top.seq >= known) return false;
    if (isExcused) return true;
    throw new Violation("stale", `${roomKey}: shown at ${top.seq} to who asked when ${known} was acknowledged`);
  }

  #standsAsAcknowledged({ roomKey, seq, tag, eventId, clientMessageId, text }: Acknowledgement): void {
    const named = `${roomKey}: ${clientMessageId || eventId}, acknowledged at ${seq}`;
    const event = this.#rooms.get(roomKey)?.at(seq);
    if (event === undefined) throw new Violation("lost", `${named}, is not in the log`);
    const message = clientMessageId !== "";
    if (message && (event.eventId !== eventId || keyOf(event) !== clientMessageId)) {
      throw new Violation("lost", `${named}: ${keyOf(event) || event.eventId} stands there`);
    }
    if (event.position?.tag !== tag) throw new Violation("different", `${named}, has another tag in the log`);
    // What the application makes of it is its own to say.
    const isSaid =
      textOf(event) === text || (tenantOf(roomKey) === GOVERNED_TENANT && textOf(event) === changedWords(text));
    if (message && !isSaid && !this.#mayBeScrubbed(roomKey, event))
      throw new Violation("different", `${named}, says something else`);
  }

  /** A change was refused for good: it must not be in the log, unless what it was is gone with its room. */
  refused(roomKey: string, eventId: string): void {
    const room = this.#rooms.get(roomKey);
    if (room?.eventIds.has(eventId) !== true || room.deletedAt !== undefined) return;
    const seq = room.events.findIndex((event) => event.eventId === eventId) + 1;
    if (seq <= (this.#purged.get(roomKey) ?? 0)) return;
    throw new Violation("taken back", `${roomKey}: ${eventId} was refused for good and stands at ${seq}`);
  }

  /** Somebody was shown the room as of this place: a history page, a page of events. */
  shown(roomKey: string, userId: string, top: Place, events: readonly RoomEvent[]): void {
    this.#requireReadable(roomKey, userId, top);
    for (const event of events) {
      if ((event.position?.seq ?? 0) > top.seq) throw new Violation("phantom", `${roomKey}: a page beyond its top`);
      this.requireLogged(roomKey, event);
    }
  }

  /** Somebody was shown messages as of this place. */
  history(roomKey: string, userId: string, asOf: Place, messages: readonly Message[]): void {
    this.#requireReadable(roomKey, userId, asOf);
    // Those that were hidden while the page was read may be shown or not.
    const hidden = this.#inboxes.get(userKey(roomKey, userId))?.user?.hidden.get(roomIdOf(roomKey));
    let index: number | undefined;
    for (const message of messages) {
      const { seq = 0, tag = 0 } = message.position ?? {};
      const event = this.room(roomKey).at(seq);
      const named = `${roomKey}: message ${message.messageIndex} at ${seq} as of ${asOf.seq}`;
      if (seq > asOf.seq || event?.kind.case !== "messageCreated") throw new Violation("phantom", named);
      const same =
        event.position?.tag === tag &&
        event.eventId === message.messageId &&
        this.room(roomKey).messages.isShownAsItWas(message, asOf.seq);
      if (!same || event.kind.value.messageIndex !== message.messageIndex) throw new Violation("different", named);
      const { messages: records } = this.room(roomKey);
      if (index !== undefined && !records.mayFollow(index, message.messageIndex, hidden))
        throw new Violation("hole", `${named} after ${index}`);
      index = message.messageIndex;
    }
  }

  // — inboxes —

  /** The user's inbox, if there is one. */
  inbox(tenantId: string, userId: string): RoomRecord | undefined {
    return this.#inboxes.get(`${tenantId}/${userId}`);
  }

  get inboxes(): ReadonlyMap<string, RoomRecord> {
    return this.#inboxes;
  }

  /** A change of an inbox was answered as done: it is in the log. */
  keptForUser(inboxKey: string, eventId: string): void {
    if (this.#rooms.get(inboxKey)?.eventIds.has(eventId) === true) return;
    throw new Violation("lost", `${inboxKey}: ${eventId} was acknowledged and is not in the log`);
  }

  /**
   * Everything is followed: whoever was added to a room by somebody else, removed from one, or named, was told so once for each time. Returns how
   * often users were told that they are named.
   */
  toldInInboxes(): number {
    const due = new DueInInboxes((tenantId, userId, message) => this.blocks.hears(tenantId, userId, message));
    for (const [roomKey, room] of this.#rooms) {
      if (room.user === undefined) due.add(tenantOf(roomKey), roomIdOf(roomKey), room);
    }
    let mentions = 0;
    for (const user of new Set([...due.users, ...this.#inboxes.keys()])) {
      const told = this.#inboxes.get(user)?.user?.told ?? new Map<string, number>();
      const wrong = due.wrong(user, told);
      if (wrong !== undefined) throw new Violation(wrong.kind, wrong.what);
      for (const what of told.keys()) if (what.startsWith("mentioned ")) mentions += 1;
    }
    return mentions;
  }

  #requireReadable(roomKey: string, userId: string, top: Place): void {
    const room = this.room(roomKey);
    if (room.tagAt(top.seq) !== top.tag) throw new Violation("phantom", `${roomKey}: a top at ${top.seq}/${top.tag}`);
    if (!room.mayRead(userId, top.seq)) {
      throw new Violation("not permitted", `${roomKey}: ${userId} reads at ${top.seq}`);
    }
  }

  /** The event is as the log has it, but for words that had to be taken away since. */
  requireLogged(roomKey: string, event: RoomEvent): void {
    const { seq = 0, tag = 0 } = event.position ?? {};
    const original = this.#rooms.get(roomKey)?.at(seq);
    if (original === undefined) throw new Violation("phantom", `${roomKey}: ${seq} was shown and is not in the log`);
    const same =
      original.position?.tag === tag &&
      original.eventId === event.eventId &&
      original.kind.case === event.kind.case &&
      keyOf(original) === keyOf(event) &&
      (textOf(original) === textOf(event) || this.#mayBeScrubbed(roomKey, event));
    if (!same) {
      const told = (each: RoomEvent) => `${each.kind.case} ${each.eventId}/${each.position?.tag} "${textOf(each)}"`;
      throw new Violation(
        "different",
        `${roomKey}: ${seq} was shown as ${told(event)}, the log holds ${told(original)}`,
      );
    }
  }

  /** Whether the event may be shown without its words, and is. */
  #mayBeScrubbed(roomKey: string, event: RoomEvent): boolean {
    return textOf(event) === "" && this.room(roomKey).messages.isDeleted(messageOf(event));
  }

  // — the wire —

  /** A subscription begins on a connection. */
  subscribed(connection: string, { roomKey, userId, after, top, outcome }: Subscribed): void {
    const named = `${connection} ${roomKey}: after ${after?.seq}/${after?.tag}, top ${top.seq}`;
    this.#requireReadable(roomKey, userId, top);
    const wrong = this.#wrongOutcome(roomKey, after, top, outcome);
    if (wrong !== undefined) throw new Violation("wrong outcome", `${named}: ${outcome.is}, but ${wrong}`);
    const next = outcome.is === "replaying" && after !== undefined ? after.seq + 1 : top.seq + 1;
    // Whoever is told to reload gets nothing until they subscribe again.
    if (outcome.is === "reset") this.#wires.delete(`${connection} ${roomKey}`);
    else
      this.#wires.set(`${connection} ${roomKey}`, {
        userId,
        next,
        authorizedAt: this.room(roomKey).authorizedAt(userId, top.seq),
      });
  }

  #wrongOutcome(roomKey: string, after: Place | undefined, top: Place, outcome: Outcome): string | undefined {
    const room = this.room(roomKey);
    if (after === undefined) return outcome.is === "caught-up" ? undefined : "from now on misses nothing";
    const same = room.tagAt(after.seq) === after.tag;
    const purged = this.#purged.get(roomKey) ?? 0;
    switch (outcome.is) {
      case "caught-up":
        return same && after.seq === top.seq ? undefined : "the position is not the top";
      case "replaying":
        if (!same || after.seq >= top.seq) return "the position is not of this history";
        return outcome.count === top.seq - after.seq ? undefined : `${outcome.count} follow`;
      case "gap":
        if (!same) return "the position is not of this history";
        return outcome.from === after.seq + 1 && outcome.to === top.seq ? undefined : "it is another gap";
      case "reset":
        if (outcome.reason === "beyond-end") {
          // Only what was restored may have lost what the client has, and come to have it again.
          if (same && !this.#restored) return "the position is of this history";
          return after.seq > top.seq ? undefined : "the position is not beyond the end";
        }
        if (outcome.reason === "other-history") return same ? "the position is of this history" : undefined;
        return purged < Math.max(after.seq, 1) ? "what follows the position is kept" : undefined;
    }
  }

  /** The server ends a subscription, because what comes next is no longer kept. */
  resetWhileLive(connection: string, roomKey: string): void {
    const wire = this.#wires.get(`${connection} ${roomKey}`);
    if (wire === undefined) throw new Violation("wrong outcome", `${connection} ${roomKey}: a reset out of nothing`);
    // Nobody knows who may read a room under another, where what happened to that one's members is no longer kept.
    const { root } = this.room(roomKey);
    if (root !== undefined && (this.#purged.get(root.key) ?? 0) > 0) {
      this.#wires.delete(`${connection} ${roomKey}`);
      return;
    }
    if (wire.next > (this.#purged.get(roomKey) ?? 0)) {
      throw new Violation("wrong outcome", `${connection} ${roomKey}: reset, but ${wire.next} is kept`);
    }
    this.#wires.delete(`${connection} ${roomKey}`);
  }

  /** Events leave for a connection. */
  sent(connection: string, roomKey: string, events: readonly RoomEvent[]): void {
    const wire = this.#wires.get(`${connection} ${roomKey}`);
    const named = `${connection} ${roomKey}`;
    if (wire === undefined) throw new Violation("not permitted", `${named}: events without a subscription`);
    for (const event of events) {
      const seq = event.position?.seq ?? 0;
      this.requireLogged(roomKey, event);
      if (seq < wire.next) throw new Violation("doubled", `${named}: ${seq} where ${wire.next} comes next`);
      if (seq > wire.next) throw new Violation("hole", `${named}: ${seq} where ${wire.next} comes next`);
      const loss = this.room(roomKey).lossSince(wire.userId, wire.authorizedAt);
      if (loss?.isAfter(event) === true) {
        throw new Violation("not permitted", `${named}: ${seq} after ${loss.seq} took the right away`);
      }
      wire.next = seq + 1;
    }
  }

  /** A subscription has ended, by the client or because the right was lost. */
  unsubscribed(connection: string, roomKey: string, lost: boolean): void {
    const wire = this.#wires.get(`${connection} ${roomKey}`);
    if (lost && wire === undefined) throw new Violation("wrong outcome", `${connection} ${roomKey} has lost nothing`);
    if (lost && wire !== undefined && this.room(roomKey).lossSince(wire.userId, wire.authorizedAt) === undefined) {
      throw new Violation("wrong outcome", `${connection} ${roomKey}: nothing took the right away`);
    }
    this.#wires.delete(`${connection} ${roomKey}`);
  }

  gone(connection: string, roomKeys: Iterable<string>): void {
    for (const roomKey of roomKeys) this.#wires.delete(`${connection} ${roomKey}`);
  }

  // — the application —

  /** The application begins after this seq, having nothing or having loaded a history. */
  begins(device: string, roomKey: string, seq: number): void {
    this.#applications.set(`${device} ${roomKey}`, seq);
  }

  /** The application is handed an event. */
  handed(device: string, roomKey: string, event: RoomEvent): void {
    const id = `${device} ${roomKey}`;
    const seq = event.position?.seq ?? 0;
    const last = this.#applications.get(id);
    if (last === undefined) throw new Violation("phantom", `${id} was handed ${seq} of a room it does not hold`);
    if (seq === last) throw new Violation("doubled", `${id} was handed ${seq} twice`);
    if (seq < last) throw new Violation("reordered", `${id} was handed ${seq} after ${last}`);
    if (seq > last + 1) throw new Violation("hole", `${id} was handed ${seq} after ${last}`);
    this.#applications.set(id, seq);
  }

  /** Everything is healed, and the device has long been back. */
  healed(device: string, roomKey: string, position: Place): void {
    const room = this.room(roomKey);
    if (position.seq === room.top && position.tag === room.tag) return;
    const has = `${position.seq}/${position.tag}`;
    throw new Violation("not healed", `${device} stands at ${has} of ${roomKey}, the log at ${room.top}/${room.tag}`);
  }

  /** The store, read in full at the end: everything that was ever logged and is not purged, as it was. */
  stored(roomKey: string, events: readonly RoomEvent[]): void {
    const room = this.room(roomKey);
    const through = this.#purged.get(roomKey) ?? 0;
    const first = events[0]?.position?.seq ?? room.top + 1;
    if (first > through + 1) {
      throw new Violation(
        "taken back",
        `${roomKey}: ${through + 1} to ${first - 1} of ${room.top} were logged and are gone`,
      );
    }
    if (events.length !== room.top - first + 1) throw new Violation("taken back", `${roomKey}: events are gone`);
    for (const event of events) {
      this.requireLogged(roomKey, event);
      if (textOf(event) !== "" && room.messages.isDeleted(messageOf(event))) {
        throw new Violation("taken back", `${roomKey}: ${event.position?.seq} still says what was deleted`);
      }
    }
    for (const acknowledged of this.#acknowledged.get(roomKey)?.values() ?? [])
      this.#standsAsAcknowledged(acknowledged);
  }
}
