// The archive as a core reads it whose archive is written behind the log: rooms by way of their owner, everything else as it is.

import type {
  Archive,
  ArchiveChanges,
  EventRange,
  IdleLook,
  MarkerChange,
  MessageRange,
  Page,
} from "../../ports/archive.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { DeviceChange, LastSeenChange } from "../../ports/user-archive.js";
import type { RoomReading } from "./room-reading.js";

/** Rooms as their owners read them. */
export interface OwnedRooms {
  reading(room: RoomRef): RoomReading;
  /** Resolves once what is durable of the room is archived; undefined: it is. */
  settled(room: RoomRef): Promise<void> | undefined;
}

export class ShardedArchive implements Archive {
  readonly #archive: Archive;
  readonly #rooms: OwnedRooms;

  constructor(archive: Archive, rooms: OwnedRooms) {
    this.#archive = archive;
    this.#rooms = rooms;
  }

  // — rooms —

  room(room: RoomRef) {
    return this.#rooms.reading(room).room(room);
  }

  member(room: RoomRef, userId: string) {
    return this.#rooms.reading(room).member(room, userId);
  }

  members(room: RoomRef, page: Page) {
    return this.#rooms.reading(room).members(room, page);
  }

  subRooms(root: RoomRef, page: Page) {
    return this.#rooms.reading(root).subRooms(root, page);
  }

  events(room: RoomRef, range: EventRange) {
    return this.#rooms.reading(room).events(room, range);
  }

  seqOf(room: RoomRef, eventId: string) {
    return this.#rooms.reading(room).seqOf(room, eventId);
  }

  message(room: RoomRef, messageId: string) {
    return this.#rooms.reading(room).message(room, messageId);
  }

  messages(room: RoomRef, range: MessageRange) {
    return this.#rooms.reading(room).messages(room, range);
  }

  hidden(inbox: RoomRef, roomId: string, from: number, to: number) {
    return this.#rooms.reading(inbox).hidden(inbox, roomId, from, to);
  }

  sentBy(room: RoomRef, userId: string, afterIndex: number, throughIndex: number) {
    return this.#rooms.reading(room).sentBy(room, userId, afterIndex, throughIndex);
  }

  async purge(room: RoomRef, through: number) {
    await this.#rooms.settled(room);
    await this.#archive.purge(room, through);
  }

  async dismiss(room: RoomRef) {
    await this.#rooms.settled(room);
    await this.#archive.dismiss(room);
  }

  // — what is no one room's —

  roomsOf(tenantId: string, userId: string, page: Page) {
    return this.#archive.roomsOf(tenantId, userId, page);
  }

  countRooms(tenantId: string) {
    return this.#archive.countRooms(tenantId);
  }

  markedBy(...asked: Parameters<Archive["markedBy"]>) {
    return this.#archive.markedBy(...asked);
  }

  expired(...asked: Parameters<Archive["expired"]>) {
    return this.#archive.expired(...asked);
  }

  idleLooks(...asked: Parameters<Archive["idleLooks"]>) {
    return this.#archive.idleLooks(...asked);
  }

  moveIdleLooks(from: readonly IdleLook[], to: readonly IdleLook[]) {
    return this.#archive.moveIdleLooks(from, to);
  }

  rooms(page: Page) {
    return this.#archive.rooms(page);
  }

  apply(shard: number, end: number, changes: ArchiveChanges) {
    return this.#archive.apply(shard, end, changes);
  }

  archived(shard: number) {
    return this.#archive.archived(shard);
  }

  followed(follower: string, shard: number) {
    return this.#archive.followed(follower, shard);
  }

  beginTerm(follower: string, shard: number, end: number) {
    return this.#archive.beginTerm(follower, shard, end);
  }

  follow(follower: string, shard: number, offset: number, term?: number) {
    return this.#archive.follow(follower, shard, offset, term);
  }

  marker(room: RoomRef, userId: string) {
    return this.#archive.marker(room, userId);
  }

  putMarkers(markers: readonly MarkerChange[]) {
    return this.#archive.putMarkers(markers);
  }

  readingHidden(tenantId: string, userId: string) {
    return this.#archive.readingHidden(tenantId, userId);
  }

  hideReading(tenantId: string, userId: string, hidden: boolean) {
    return this.#archive.hideReading(tenantId, userId, hidden);
  }

  devices(tenantId: string, userId: string) {
    return this.#archive.devices(tenantId, userId);
  }

  putDevices(changes: readonly DeviceChange[]) {
    return this.#archive.putDevices(changes);
  }

  lastSeen(tenantId: string, userIds: readonly string[]) {
    return this.#archive.lastSeen(tenantId, userIds);
  }

  putLastSeen(changes: readonly LastSeenChange[]) {
    return this.#archive.putLastSeen(changes);
  }
}
