// Markers as they are held against what users have marked: never behind what counted, never beyond what was said, and what is unread follows.

import type { Marker } from "../../src/gen/trunkline/v1/message_pb.js";
import type { Checker } from "./checker.js";
import type { RoomRecord } from "./room-record.js";
import { Violation } from "./violation.js";

export interface Marked {
  readonly delivered: number;
  readonly read: number;
}

/** A room as a user is told of it. */
export interface MarkedRoom {
  readonly marker: Marker | undefined;
  readonly unreadCount: number;
}

const NOTHING: Marked = { delivered: 0, read: 0 };
/** Messages after the marker among which the user's own are left out. */
const COUNTED = 1_000;

export class MarkerRecords {
  readonly #checker: Checker;
  /** By room and user: the farthest that was said, in whatever history. */
  readonly #asked = new Map<string, Marked>();
  /** What counts at least. */
  #counted = new Map<string, Marked>();
  /** What is on disk at least. */
  #stored = new Map<string, Marked>();

  #losses = 0;

  constructor(checker: Checker) {
    this.#checker = checker;
  }

  /** How often some were lost. */
  get losses(): number {
    return this.#losses;
  }

  /** A device says how far its user has come. */
  asked(roomKey: string, userId: string, marked: Marked): void {
    raise(this.#asked, `${roomKey} ${userId}`, marked);
  }

  /** That was answered as done. */
  counted(roomKey: string, userId: string, marked: Marked): void {
    raise(this.#counted, `${roomKey} ${userId}`, marked);
  }

  /** All that counts has been written to disk by now. */
  settled(): void {
    this.#stored = new Map(this.#counted);
  }

  /** The process has died, or has lost the rooms that are named: what was not written is gone. */
  lost(isLost: (roomKey: string) => boolean = () => true): void {
    this.#losses += 1;
    for (const id of this.#counted.keys()) {
      const stored = this.#stored.get(id);
      if (!isLost(id.slice(0, id.indexOf(" ")))) continue;
      if (stored === undefined) this.#counted.delete(id);
      else this.#counted.set(id, stored);
    }
  }

  /** An older state of the store was put back. */
  restored(): void {
    this.#counted.clear();
    this.#stored.clear();
  }

  /** Somebody is told of markers of a room. */
  shown(roomKey: string, markers: readonly Marker[]): void {
    for (const { userId, deliveredSeq, readSeq } of markers) {
      const most = this.#asked.get(`${roomKey} ${userId}`) ?? NOTHING;
      const named = `${roomKey}: ${userId} is said to be at ${deliveredSeq}/${readSeq}`;
      if (readSeq > deliveredSeq) throw new Violation("different", `${named}: more read than received`);
      if (deliveredSeq > most.delivered || readSeq > most.read) {
        throw new Violation("phantom", `${named}, and has said ${most.delivered}/${most.read}`);
      }
    }
  }

  /** A user is told how far they are and what they have not read, while nothing else happens. */
  stands(roomKey: string, userId: string, { marker, unreadCount }: MarkedRoom): void {
    const least = this.#counted.get(`${roomKey} ${userId}`) ?? NOTHING;
    const { deliveredSeq = 0, readSeq = 0, readMessageIndex = 0 } = marker ?? {};
    const named = `${roomKey}: ${userId} stands at ${deliveredSeq}/${readSeq}`;
    if (marker !== undefined) this.shown(roomKey, [marker]);
    if (deliveredSeq < least.delivered || readSeq < least.read) {
      throw new Violation("lost", `${named}, and ${least.delivered}/${least.read} counted`);
    }
    const room = this.#checker.room(roomKey);
    const purged = this.#checker.purgedThrough(roomKey);
    const index = messagesOf(room).filter(({ seq }) => seq <= readSeq).length;
    // Where the place itself is no longer kept, nobody knows exactly which message was the last before it.
    if (purged === 0 ? readMessageIndex !== index : readMessageIndex > index) {
      throw new Violation("different", `${named}, message ${readMessageIndex} is said to be there, not ${index}`);
    }
    const own = messagesOf(room)
      .slice(readMessageIndex, readMessageIndex + COUNTED)
      .filter(({ senderId, seq }) => senderId === userId && seq > purged).length;
    const unread = room.lastMessageIndex - readMessageIndex - own;
    if (unreadCount !== unread) throw new Violation("different", `${named}, ${unreadCount} unread, not ${unread}`);
  }
}

function raise(marks: Map<string, Marked>, id: string, { delivered, read }: Marked): void {
  const before = marks.get(id) ?? NOTHING;
  // What is read has been received.
  marks.set(id, { delivered: Math.max(before.delivered, delivered, read), read: Math.max(before.read, read) });
}

function messagesOf({ events }: RoomRecord): readonly { readonly seq: number; readonly senderId: string }[] {
  return events.flatMap(({ kind, position, actor }) =>
    kind.case === "messageCreated" ? [{ seq: position?.seq ?? 0, senderId: actor?.userId ?? "" }] : [],
  );
}
