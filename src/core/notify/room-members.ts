// The members of rooms that are talked in now, read once as long as nobody comes or goes.

import type { Archive } from "../../ports/archive.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { membersRoomOf } from "../room/sub-room.js";

/** Rooms kept, at most; the least recently used are forgotten. */
const MOST = 1_000;

interface Known {
  readonly asOf: number;
  readonly userIds: readonly string[];
}

export class RoomMembers {
  readonly #archive: Archive;
  /** The least recently used first. */
  readonly #rooms = new Map<string, Known>();

  constructor(archive: Archive) {
    this.#archive = archive;
  }

  /** At most `limit` of them. `asOf`: the event that last changed who they are. */
  async of(room: RoomRef, asOf: number, limit: number): Promise<readonly string[]> {
    const known = this.#rooms.get(room.key);
    this.#rooms.delete(room.key);
    const current = known?.asOf === asOf ? known : await this.#read(room, asOf, limit);
    this.#rooms.set(room.key, current);
    const oldest = this.#rooms.keys().next();
    if (this.#rooms.size > MOST && oldest.done !== true) this.#rooms.delete(oldest.value);
    return current.userIds;
  }

  async #read(room: RoomRef, asOf: number, limit: number): Promise<Known> {
    const documents = await this.#archive.members(membersRoomOf(room), { after: "", limit });
    return { asOf, userIds: documents.flatMap(({ member }) => (member === undefined ? [] : [member.userId])) };
  }
}
