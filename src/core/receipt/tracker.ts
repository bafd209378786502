// The markers of this node's rooms that are marked or read now: loaded on first use, dropped when they are stored and others are wanted, or when
// their shard goes to another node.

import type { MarkerDocument } from "../../gen/trunkline/store/v1/documents_pb.js";
import type { Archive } from "../../ports/archive.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";
import { Marker } from "./marker.js";

/** Markers and rooms kept in memory, at most, but for what is not stored yet. Up to 2 KiB each. */
const MAX_MARKERS = 20_000;
/** With so many nothing more is taken in: the store does not take what is there. */
const MAX_UNSTORED = 2 * MAX_MARKERS;
/** Rooms looked at to make place for one marker. */
const EVICTION_LOOKS = 8;
const RETRY_MS = 1_000;
/**
 * Revisions that a marker skips when it first moves after it was loaded, where another node may have had it before: what that node may still
 * write, late, is older than this.
 */
const LEAP = 100;

/** As said of LEAP; none where no other node has ever had the room. */
export function leapOf({ cluster }: Pick<CoreDependencies, "cluster">): number {
  return cluster === undefined ? 0 : LEAP;
}

/** A marker that is in use. */
export interface Tracked {
  readonly room: ActiveRoom;
  readonly marker: Marker;
  /** What others were last told. */
  told: { readonly deliveredSeq: number; readonly readSeq: number };
  /** When that was, monotonic. */
  toldAtMs: number;
  /** Whether it has moved since. */
  waiting: boolean;
  /** The revision that is stored. */
  stored: number;
}

export interface ActiveRoom {
  readonly ref: RoomRef;
  /** Its shard has gone to another node: nobody looks here any more. */
  gone: boolean;
  readonly users: Map<string, Tracked>;
  /** Whether everybody who is subscribed is told of every marker. */
  small: boolean;
  /** The two users of a direct room. */
  pair: readonly string[];
  /** The members as of the last event that changed who they are. */
  members: { readonly asOf: number; readonly userIds: readonly string[] } | undefined;
  /** By seq, of recent events: who sent the message; empty: it is none. */
  authors: ReadonlyMap<number, string>;
}

const NOBODY: readonly string[] = [];
const NO_AUTHORS: ReadonlyMap<number, string> = new Map();
const NOTHING = { deliveredSeq: 0, readSeq: 0 };

export class Tracker {
  readonly #archive: Archive;
  readonly #leap: number;
  /** The least recently used first. */
  readonly #rooms = new Map<string, ActiveRoom>();
  #size = 0;
  /** Counts shards that went to other nodes: what was being loaded then may be older than what those have stored. */
  #releases = 0;

  constructor(archive: Archive, leap = 0) {
    this.#archive = archive;
    this.#leap = leap;
  }

  /** Forgets these rooms, whatever is not stored of them. */
  release(isGone: (ref: RoomRef) => boolean): void {
    this.#releases++;
    for (const [key, room] of this.#rooms) {
      if (!isGone(room.ref)) continue;
      this.#rooms.delete(key);
      this.#size -= room.users.size;
      room.gone = true;
    }
  }

  room(ref: RoomRef): ActiveRoom {
    const known = this.#rooms.get(ref.key);
    if (known === undefined) this.#makePlace(ref);
    else this.#rooms.delete(ref.key);
    const room = known ?? {
      ref,
      gone: false,
      users: new Map(),
      small: true,
      pair: NOBODY,
      members: undefined,
      authors: NO_AUTHORS,
    };
    this.#rooms.set(ref.key, room);
    return room;
  }

  find(ref: RoomRef, userId: string): Tracked | undefined {
    return this.#rooms.get(ref.key)?.users.get(userId);
  }

  /** Users of a room who have marked it, and of whom nothing is stored yet. */
  unstored(ref: RoomRef): readonly string[] {
    const users = this.#rooms.get(ref.key)?.users.values() ?? [];
    return Array.from(users).flatMap(({ marker, stored }) =>
      stored === 0 && marker.revision > 0 ? [marker.userId] : [],
    );
  }

  /** The marker, loaded. */
  load(ref: RoomRef, userId: string): Awaitable<Tracked> {
    const known = this.find(ref, userId);
    if (known !== undefined) return known;
    const releases = this.#releases;
    const document = this.#archive.marker(ref, userId);
    if (isPromise(document)) {
      return document.then((found) =>
        releases === this.#releases ? this.#add(ref, userId, found) : this.load(ref, userId),
      );
    }
    return this.#add(ref, userId, document);
  }

  /** The marker as it is to be changed in this turn: what was loaded may have been dropped while its user waited. */
  current(tracked: Tracked): Tracked {
    const { ref } = tracked.room;
    const { userId } = tracked.marker;
    const known = this.find(ref, userId);
    if (known !== undefined) {
      this.room(ref);
      return known;
    }
    return this.#insert(ref, userId, { ...tracked, room: this.room(ref) });
  }

  #add(ref: RoomRef, userId: string, document: MarkerDocument | undefined): Tracked {
    const known = this.find(ref, userId);
    if (known !== undefined) return known;
    const marker = new Marker(userId, document, this.#leap);
    const { deliveredSeq, readSeq, revision } = marker;
    return this.#insert(ref, userId, {
      room: this.room(ref),
      marker,
      told: revision === 0 ? NOTHING : { deliveredSeq, readSeq },
      toldAtMs: Number.NEGATIVE_INFINITY,
      waiting: false,
      stored: revision,
    });
  }

  #insert(ref: RoomRef, userId: string, tracked: Tracked): Tracked {
    this.#makePlace(ref);
    tracked.room.users.set(userId, tracked);
    this.#size++;
    return tracked;
  }

  get #count(): number {
    return this.#size + this.#rooms.size;
  }

  #makePlace(wanted: RoomRef): void {
    let looks = 0;
    for (const [key, room] of this.#rooms) {
      if (this.#count < MAX_MARKERS || looks++ >= EVICTION_LOOKS) break;
      this.#rooms.delete(key);
      // To the end with what must stay, or it would be looked at again and again.
      if (key === wanted.key || isInUse(room)) this.#rooms.set(key, room);
      else this.#size -= room.users.size;
    }
    if (this.#count >= MAX_UNSTORED) {
      throw new TrunklineError(ErrorCode.UNAVAILABLE, "markers cannot be stored", { retryAfterMs: RETRY_MS });
    }
  }
}

function isInUse({ users }: ActiveRoom): boolean {
  for (const { waiting, stored, marker } of users.values()) if (waiting || stored !== marker.revision) return true;
  return false;
}
