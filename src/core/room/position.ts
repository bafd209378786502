// The tag of a position: a fingerprint of the history up to and including an event.

import { SUB_ROOM_MARK } from "./sub-room.js";

/**
 * 32 bits chained over the event ids, never 0. Chained, because an event id alone says nothing of what stands before it: a client
 * that resends after a restored backup gets the same id at the same seq, and only the chain tells that the history differs.
 * FNV-1a with the finaliser of MurmurHash3 (both public domain): not cryptographic, it tells accidents, not attackers.
 */
export function nextTag(tag: number, eventId: string): number {
  let hash = (tag ^ 0x811c9dc5) >>> 0;
  for (let i = 0; i < eventId.length; i++) hash = Math.imul(hash ^ eventId.charCodeAt(i), 0x01000193);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  hash = Math.imul(hash, 0xc2b2ae35);
  hash ^= hash >>> 16;
  return hash >>> 0 || 1;
}

/** Which shard a room lives in: FNV-1a of its root's key. */
export function shardOf(roomKey: string, shards: number): number {
  // Behind the first character of the room's id: ids of the system begin with the mark.
  const mark = roomKey.indexOf(SUB_ROOM_MARK, roomKey.indexOf("/") + 2);
  const length = mark < 0 ? roomKey.length : mark;
  let hash = 0x811c9dc5;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ roomKey.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}
