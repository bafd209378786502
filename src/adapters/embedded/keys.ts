// Keys of the tables: strings of which each character is one byte, so that comparing keys is comparing bytes.

import type { RoomRef } from "../../ports/room-ref.js";

/** Ends a part of a key. No id can hold it, and it sorts before every character of an id. */
const END = "\0";

/** What lmdb calls to write a key into its own memory: no buffer per key. */
export const keyEncoder = {
  writeKey(key: string, target: Uint8Array, start: number): number {
    for (let index = 0; index < key.length; index++) target[start + index] = key.charCodeAt(index);
    return start + key.length;
  },
  readKey(source: Buffer, start: number, end: number): string {
    return source.toString("latin1", start, end);
  },
};

// LMDB takes 1,978 bytes. Ids are at most 128 bytes at the edge; three of these and a number fit.
const MAX_PART = 512;

/** A part of a key: an id, or two with a slash between. Throws RangeError for what would make keys ambiguous. */
function part(text: string): string {
  if (text.length === 0 || text.length > MAX_PART) throw new RangeError("an id is empty or too long to be a key");
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0 || code > 0xff) throw new RangeError("an id holds a character that a key cannot");
  }
  return text + END;
}

/** A number up to 2^32 - 1 as four bytes. */
function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

/** The number in the last four bytes of a key. */
export function lastUint32(key: string): number {
  const at = key.length - 4;
  const high = key.charCodeAt(at) * 0x1000000;
  return high + ((key.charCodeAt(at + 1) << 16) | (key.charCodeAt(at + 2) << 8) | key.charCodeAt(at + 3));
}

/** The id in the last part of a key that begins with `prefix`. */
export function lastPart(key: string, prefix: string): string {
  return key.slice(prefix.length, -1);
}

/** The id in the first part of a key. */
export function firstPart(key: string): string {
  return key.slice(0, key.indexOf(END));
}

/** The range of all keys of a table: none is empty. A new one each time, because lmdb writes into it. */
export function everything(): { start: string } {
  return { start: END };
}

/** The least key that is greater than all keys that begin with `prefix`. */
export function after(prefix: string): string {
  // No part of a key begins with this byte but a number, and those are never followed by another part.
  return `${prefix}\xff\xff\xff\xff\xff`;
}

/** Begins all keys of a room: `tenant/room`. */
export function roomKey(room: RoomRef): string {
  return part(room.key);
}

/** Begins the keys of all rooms of a tenant. */
export function tenantPrefix(tenantId: string): string {
  return `${tenantId}/`;
}

/** In tables of events by seq and of messages by index. */
export function numberedKey(room: string, number: number): string {
  return room + uint32(number);
}

/** In the table of those who have hidden a message. */
export function hiderKey(room: string, messageIndex: number, inboxId: string): string {
  return numberedKey(room, messageIndex) + part(inboxId);
}

/** In the table of hidden messages. */
export function hiddenKey(inbox: RoomRef, roomId: string, messageIndex: number): string {
  return numberedKey(namedKey(roomKey(inbox), roomId), messageIndex);
}

/** In tables of members by user and of seqs by event id. */
export function namedKey(prefix: string, id: string): string {
  return prefix + part(id);
}

/** Begins the keys of a user's rooms. */
export function userKey(tenantId: string, userId: string): string {
  return part(`${tenantId}/${userId}`);
}

/** In the table of expirations: milliseconds up to 2^48, then what expires. */
export function expirationKey(atMs: number, room: string, eventId: string): string {
  return timeKey(atMs) + room + part(eventId);
}

/** Begins the keys of what expires then: compares as the time does. */
export function timeKey(atMs: number): string {
  const high = Math.floor(atMs / 0x100000000);
  return String.fromCharCode(high >>> 8, high & 0xff) + uint32(atMs % 0x100000000);
}

/** In the table of looks at idle rooms. */
export function idleLookKey(atMs: number, room: string): string {
  return timeKey(atMs) + room;
}

/** The time at the beginning of a key. */
export function timeOf(key: string): number {
  return ((key.charCodeAt(0) << 8) | key.charCodeAt(1)) * 0x100000000 + lastUint32(key.slice(0, TIME_LENGTH));
}

const TIME_LENGTH = 6;

/** The room's key and the event's id in a key of the table of expirations. */
export function expirationOf(key: string): { readonly room: string; readonly eventId: string } {
  const [room = "", eventId = ""] = key.slice(TIME_LENGTH).split(END);
  return { room, eventId };
}

export function shardKey(shard: number): string {
  return String.fromCharCode(shard >>> 8, shard & 0xff);
}

/** In the table of followers. */
export function followerKey(follower: string, shard: number): string {
  return shardKey(shard) + part(follower);
}

/** Begins the keys of an outlet. */
export function outletKey(outlet: string): string {
  return part(outlet);
}

/** In the table of what is parked. A user is told from nobody by a letter before it. */
export function parkedKey(outlet: string, room: string, userId: string): string {
  return part(outlet) + room + part(`u${userId}`);
}

/** In the table of notifications. */
export function notificationKey(atMs: number, id: string): string {
  return timeKey(atMs) + part(id);
}

/** In the log: offsets up to 2^48. */
export function logKey(shard: number, offset: number): string {
  const high = Math.floor(offset / 0x100000000);
  return shardKey(shard) + String.fromCharCode(high >>> 8, high & 0xff) + uint32(offset % 0x100000000);
}

/** The offset in a key of the log. */
export function offsetOf(key: string): number {
  return ((key.charCodeAt(2) << 8) | key.charCodeAt(3)) * 0x100000000 + lastUint32(key);
}
