// A room read at its owner, whose archive is behind the log: as if it were not.

import type { Archive, EventRange, MessageRange, Page } from "../../ports/archive.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import type { Archiver } from "./archiver.js";
import type { RoomReading } from "./room-reading.js";

/** Events are read from what waits too; for everything else what waits is archived first. */
export class OwnedReading implements RoomReading {
  readonly #archive: Archive;
  readonly #archiver: Archiver;
  readonly #require: () => void;

  /** `require` throws where nobody knows what waits: while the shard is taken over, the archive alone would be told for everything there is. */
  constructor(archive: Archive, archiver: Archiver, require: () => void = () => {}) {
    this.#archive = archive;
    this.#archiver = archiver;
    this.#require = require;
  }

  room(room: RoomRef) {
    return this.#settled(room, () => this.#archive.room(room));
  }

  member(room: RoomRef, userId: string) {
    return this.#settled(room, () => this.#archive.member(room, userId));
  }

  members(room: RoomRef, page: Page) {
    return this.#settled(room, () => this.#archive.members(room, page));
  }

  /** Each of them is a room of its own: all of the shard's must be archived. */
  subRooms(root: RoomRef, page: Page) {
    this.#require();
    const drained = this.#archiver.drained();
    const read = () => this.#archive.subRooms(root, page);
    return drained === undefined ? read() : drained.then(read);
  }

  events(room: RoomRef, range: EventRange) {
    this.#require();
    return this.#archiver.events(room, range);
  }

  seqOf(room: RoomRef, eventId: string) {
    return this.#settled(room, () => this.#archive.seqOf(room, eventId));
  }

  message(room: RoomRef, messageId: string) {
    return this.#settled(room, () => this.#archive.message(room, messageId));
  }

  messages(room: RoomRef, range: MessageRange) {
    return this.#settled(room, () => this.#archive.messages(room, range));
  }

  hidden(inbox: RoomRef, roomId: string, from: number, to: number) {
    return this.#settled(inbox, () => this.#archive.hidden(inbox, roomId, from, to));
  }

  sentBy(room: RoomRef, userId: string, afterIndex: number, throughIndex: number) {
    return this.#settled(room, () => this.#archive.sentBy(room, userId, afterIndex, throughIndex));
  }

  #settled<T>(room: RoomRef, read: () => Awaitable<T>): Awaitable<T> {
    this.#require();
    const settled = this.#archiver.settled(room);
    return settled === undefined ? read() : settled.then(read);
  }
}
