// Which shard a room lives in: fixed when a store is created, because what is stored of a room is found by it.

/** Stands between the id of a root and the name of a room under it. Ids of the system begin with it; nobody can choose an id with it otherwise. */
export const SUB_ROOM_MARK = "~";

/** Of `shards` the one that the room of this `RoomRef.key` lives in: FNV-1a of its root's key. */
export function shardOf(roomKey: string, shards: number): number {
  // Behind the first character of the room's id: ids of the system begin with the mark.
  const mark = roomKey.indexOf(SUB_ROOM_MARK, roomKey.indexOf("/") + 2);
  const length = mark < 0 ? roomKey.length : mark;
  let hash = 0x811c9dc5;
  for (let i = 0; i < length; i++) hash = Math.imul(hash ^ roomKey.charCodeAt(i), 0x01000193);
  return (hash >>> 0) % shards;
}

/** Which rooms live in one of `wanted`, of so many shards. */
export function inShards(wanted: readonly number[], shards: number): (roomKey: string) => boolean {
  const set = new Set(wanted);
  return set.size === shards ? () => true : (roomKey) => set.has(shardOf(roomKey, shards));
}
