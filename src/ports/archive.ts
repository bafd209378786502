// The archive: rooms, members and messages as folded from the log, and the events by position.
//
// Readers may call any method at any time. They see all that was durable before the call, each document whole and as of its
// `appliedSeq`; documents of one room may be of different moments. Methods reject with UNAVAILABLE when the store is away;
// where an answer is no promise, the refusal is thrown.
// What a method returns belongs to the caller; byte arrays are copies.

import type {
  MarkerDocument,
  MemberDocument,
  MessageDocument,
  RoomDocument,
} from "../gen/trunkline/store/v1/documents_pb.js";
import type { EncodedEvent } from "./encoded-event.js";
import type { Awaitable, RoomRef } from "./room-ref.js";
import type { Term } from "./term.js";
import type { UserArchive } from "./user-archive.js";

/** What follows from a batch of events: whole documents, so that writing them twice changes nothing. */
export interface ArchiveChanges {
  readonly events: readonly EventChange[];
  readonly rooms: readonly { readonly room: RoomRef; readonly document: RoomDocument }[];
  readonly members: readonly { readonly room: RoomRef; readonly document: MemberDocument }[];
  /** One whose creating event is no longer kept is left out. */
  readonly messages: readonly MessageChange[];
  /** Stored events whose content is taken away: same place, id and tag, other bytes. One that is no longer kept is left out. */
  readonly scrubs: readonly EventScrub[];
  /** One of messages that were purged is left out. */
  readonly hidden: readonly HiddenMessage[];
  /** Asked for beside those that there are. */
  readonly idleLooks: readonly IdleLook[];
}

/** When it is to be seen whether a room is idle, in whole milliseconds since 1970. A room may have several. */
export interface IdleLook {
  readonly room: RoomRef;
  readonly atMs: number;
}

/** A message that a user, whose inbox it is, has hidden from themselves. */
export interface HiddenMessage {
  readonly inbox: RoomRef;
  readonly roomId: string;
  readonly messageIndex: number;
}

export interface EventScrub {
  readonly room: RoomRef;
  readonly event: EncodedEvent;
}

/** An event, indexed by position, by id, and, where it created a message, by message index. */
export interface EventChange {
  readonly room: RoomRef;
  readonly event: EncodedEvent;
  readonly eventId: string;
  /** When it was accepted, in milliseconds since 1970: retention goes by it. */
  readonly createdAtMs: number;
  /** 0: it created no message. */
  readonly messageIndex: number;
  /** When the message it created expires, in milliseconds since 1970; undefined: never, or it created none. */
  readonly expiresAtMs: number | undefined;
}

/** A message that has changed since it was created. */
export interface MessageChange {
  readonly room: RoomRef;
  readonly messageIndex: number;
  readonly document: MessageDocument;
}

/** How far a user has come in a room. */
export interface MarkerChange {
  readonly room: RoomRef;
  readonly document: MarkerDocument;
}

/** A message whose time is over. */
export interface ExpiredMessage {
  readonly room: RoomRef;
  readonly messageId: string;
}

/** A message: the event that created it, and what became of it since. */
export interface StoredMessage {
  readonly messageIndex: number;
  /** The creating event; absent where only the document is kept. */
  readonly created: EncodedEvent | undefined;
  /** Absent: unchanged since it was created. */
  readonly document: MessageDocument | undefined;
}

export interface EventRange {
  /** The first seq wanted. */
  readonly from: number;
  /** The last seq wanted, inclusive. */
  readonly to: number;
  /** At most so many events. */
  readonly limit: number;
  /** Stop after the event that brings the page to so many bytes. */
  readonly maxBytes: number;
}

export type MessageRange =
  /** The `limit` messages with the largest index below `beforeIndex`, in rising order. */
  | { readonly beforeIndex: number; readonly limit: number }
  /** The `limit` messages with the smallest index above `afterIndex`, in rising order. */
  | { readonly afterIndex: number; readonly limit: number };

export interface Page {
  /** Only ids greater than this one, by byte order; empty: from the first. */
  readonly after: string;
  readonly limit: number;
}

export interface Archive extends UserArchive {
  /** The room's document, also of a deleted one. */
  room(room: RoomRef): Awaitable<RoomDocument | undefined>;

  /** A user's standing in a room, also after they left. */
  member(room: RoomRef, userId: string): Awaitable<MemberDocument | undefined>;

  /** The room's present members, by user id. */
  members(room: RoomRef, page: Page): Awaitable<readonly MemberDocument[]>;

  /** Ids of the rooms under this one that were not deleted, in order. */
  subRooms(root: RoomRef, page: Page): Awaitable<readonly string[]>;

  /**
   * How many rooms of the tenant there are: direct ones and those under others count, inboxes and deleted ones do not. Of what is made or
   * deleted while it counts, any part may be in the answer.
   */
  countRooms(tenantId: string): Awaitable<number>;

  /** Ids of the rooms the user is a member of now, in order. */
  roomsOf(tenantId: string, userId: string, page: Page): Awaitable<readonly string[]>;

  /** Events in order and without holes. Begins after `from` only where older ones are no longer kept. */
  events(room: RoomRef, range: EventRange): Awaitable<readonly EncodedEvent[]>;

  /** The seq of the event with this id. Undefined: it never happened, or is no longer kept. */
  seqOf(room: RoomRef, eventId: string): Awaitable<number | undefined>;

  /** The message that the event with this id created. Undefined: there is none, or it is no longer kept. */
  message(room: RoomRef, messageId: string): Awaitable<StoredMessage | undefined>;

  /** Messages of rooms in these shards that expired before `beforeMs` and are not scrubbed yet, the earliest first. */
  expired(shards: readonly number[], beforeMs: number, limit: number): Awaitable<readonly ExpiredMessage[]>;

  /**
   * Looks at rooms in these shards whose time is before `beforeMs`, the earliest first, until they are moved. One may come back where `apply`
   * is repeated.
   */
  idleLooks(shards: readonly number[], beforeMs: number, limit: number): Awaitable<readonly IdleLook[]>;

  /**
   * Takes the looks `from` away and puts `to` in their place; one of both stays. Resolves once it is durable; when it rejects or is cut off,
   * those of `to` are there, or all of `from` still are. Idempotent.
   */
  moveIdleLooks(from: readonly IdleLook[], to: readonly IdleLook[]): Promise<void>;

  /** Documents of all rooms of all tenants, deleted ones too, by `RoomRef.key`, which `after` is one of: a walk sees each that was there. */
  rooms(page: Page): Awaitable<readonly RoomDocument[]>;

  /** Messages by index, in rising order. */
  messages(room: RoomRef, range: MessageRange): Awaitable<readonly StoredMessage[]>;

  /** Which of a room's messages from index `from` to `to`, both inclusive, the user with this inbox has hidden: their indexes, rising. */
  hidden(inbox: RoomRef, roomId: string, from: number, to: number): Awaitable<readonly number[]>;

  /**
   * Writes what follows from a shard's log up to offset `end`, exclusive; the watermark moves last, and never back. Changes come in the
   * order of the log. Whoever goes on from `archived` after a crash applies some of them again, perhaps bundled otherwise: a repeat changes
   * nothing, whatever has happened since. An event that is stored is not replaced, so that a scrub stands; what `purge` or retention has
   * removed, and whom `dismiss` has forgotten, does not come back; a document is replaced only by one of a higher `appliedSeq`.
   */
  apply(shard: number, end: number, changes: ArchiveChanges): Promise<void>;

  /** The log offset of `shard` up to which (exclusive) everything is archived. */
  archived(shard: number): Awaitable<number>;

  /**
   * The log offset of `shard` up to which (exclusive) the follower of this name has done its work. Undefined: it never has.
   */
  followed(follower: string, shard: number): Awaitable<number | undefined>;

  /**
   * Begins a term of a follower that nobody but who has the latest term is to move: its number is higher than those of all terms before, by
   * whatever node, and it goes on where they had come. One that has never run goes on at `end`, which is remembered. In one step with that,
   * all terms before are over. Durable when it resolves; where it rejects with UNAVAILABLE a term may have begun, which is nobody's.
   */
  beginTerm(follower: string, shard: number, end: number): Promise<Term>;

  /**
   * Remembers how far a follower has come: the farthest of what was said, also where it was said late or by another node. With the number of
   * a term: rejects with TermOver, and remembers nothing, where a later one has begun.
   */
  follow(follower: string, shard: number, offset: number, term?: number): Promise<void>;

  /** How far a user has received and read the room, also after they left. Undefined: they have not marked it. */
  marker(room: RoomRef, userId: string): Awaitable<MarkerDocument | undefined>;

  /** Ids of the users who have marked the room, in order; also of those who left. */
  markedBy(room: RoomRef, page: Page): Awaitable<readonly string[]>;

  /**
   * Stores markers, each whole; resolves once all are durable; when it rejects, some may be. A marker is replaced only by one of a higher `revision`; one of a room
   * that was dismissed is left out. Idempotent.
   */
  putMarkers(markers: readonly MarkerChange[]): Promise<void>;

  /**
   * How many of the messages above index `afterIndex`, up to and including `throughIndex`, the user has sent; deleted ones count, those no
   * longer kept do not.
   */
  sentBy(room: RoomRef, userId: string, afterIndex: number, throughIndex: number): Awaitable<number>;

  /** Whether others may not see what the user has read. Not unless it was set. */
  readingHidden(tenantId: string, userId: string): Awaitable<boolean>;

  /** Resolves once it is durable. */
  hideReading(tenantId: string, userId: string, hidden: boolean): Promise<void>;

  /**
   * Removes a room's events and messages up to and including seq `through`, which has been reached, also from the log, and which of them
   * users have hidden; for good: neither `apply` nor a late hiding brings them back. The room's documents stay. Idempotent.
   */
  purge(room: RoomRef, through: number): Promise<void>;

  /**
   * Forgets everybody's standing and marker in a room, as if nobody had ever been there, for good: of one that was deleted. Its own
   * document stays. Idempotent.
   */
  dismiss(room: RoomRef): Promise<void>;
}
