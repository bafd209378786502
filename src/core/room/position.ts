// The tag of a position: a fingerprint of the history up to and including an event.

export { shardOf } from "../../ports/shard.js";

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
