// Which room: a room id means nothing without its tenant.

export interface RoomRef {
  readonly tenantId: string;
  readonly roomId: string;
  /** Both in one string, for maps. Neither part can hold the separator. */
  readonly key: string;
}

export function roomRef(tenantId: string, roomId: string): RoomRef {
  return { tenantId, roomId, key: `${tenantId}/${roomId}` };
}

/** A value, or a promise of one: an engine that has it at hand need not make its caller wait. */
export type Awaitable<T> = T | PromiseLike<T>;
