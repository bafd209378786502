// What was removed of rooms, so that it does not come back: by changes that are applied again, by markers that come late.
//
// Each row has one writer at a time: purge, retention and dismissal do not know of one another.

import type { RoomRef } from "../../ports/room-ref.js";
import type { Write } from "./group-commit.js";
import { namedKey, roomKey } from "./keys.js";
import type { Tables } from "./tables.js";

/** Who removes events. */
export type Remover = "purge" | "retention";

/** The last seq and the last message index that were removed; 0: none. */
export interface RemovedPlace {
  readonly seq: number;
  readonly messageIndex: number;
}

const DISMISSED = "dismissed";
const PRESENT = Buffer.from([1]);

export function farther(one: RemovedPlace | undefined, other: RemovedPlace): RemovedPlace {
  if (one === undefined) return other;
  return { seq: Math.max(one.seq, other.seq), messageIndex: Math.max(one.messageIndex, other.messageIndex) };
}

/** Undefined where that changes nothing. `room` is the room's key. */
export function removedThrough(tables: Tables, room: string, remover: Remover, place: RemovedPlace): Write | undefined {
  const key = namedKey(room, remover);
  const known = placeOf(tables, key);
  const now = farther(known, place);
  if (now.seq === known.seq && now.messageIndex === known.messageIndex) return undefined;
  const value = Buffer.allocUnsafe(8);
  value.writeUInt32BE(now.seq, 0);
  value.writeUInt32BE(now.messageIndex, 4);
  return { table: tables.removed, key, value };
}

export function dismissedNow(tables: Tables, room: string): Write {
  return { table: tables.removed, key: namedKey(room, DISMISSED), value: PRESENT };
}

export function isDismissed(tables: Tables, room: string): boolean {
  return tables.removed.doesExist(namedKey(room, DISMISSED));
}

/** What was removed of a few rooms: each looked up once. */
export class RemovedRooms {
  readonly #tables: Tables;
  readonly #places = new Map<string, RemovedPlace>();
  readonly #dismissed = new Map<string, boolean>();

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  through(room: RoomRef): RemovedPlace {
    let place = this.#places.get(room.key);
    if (place === undefined) {
      const purged = placeOf(this.#tables, namedKey(roomKey(room), "purge"));
      const expired = placeOf(this.#tables, namedKey(roomKey(room), "retention"));
      place = farther(purged, expired);
      this.#places.set(room.key, place);
    }
    return place;
  }

  isDismissed(room: RoomRef): boolean {
    let dismissed = this.#dismissed.get(room.key);
    if (dismissed === undefined) {
      dismissed = isDismissed(this.#tables, roomKey(room));
      this.#dismissed.set(room.key, dismissed);
    }
    return dismissed;
  }
}

function placeOf({ removed }: Tables, key: string): RemovedPlace {
  const stored = removed.getBinary(key);
  if (stored === undefined) return { seq: 0, messageIndex: 0 };
  return { seq: stored.readUInt32BE(0), messageIndex: stored.readUInt32BE(4) };
}
