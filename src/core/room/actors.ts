// The actors of a shard's rooms: loaded from the archive when they are needed, dropped when they are not.

import type { RoomDocument } from "../../gen/trunkline/store/v1/documents_pb.js";
import type { Room as WireRoom } from "../../gen/trunkline/v1/message_pb.js";
import type { Awaitable, RoomRef } from "../../ports/room-ref.js";
import type { RoomReading } from "../archive/room-reading.js";
import { isPromise } from "../awaitable.js";
import type { CoreDependencies } from "../core.js";
import { Buckets } from "../limit/buckets.js";
import { withDirectUsers } from "./direct.js";
import { archiveAfterMs } from "./idle.js";
import { Room } from "./room.js";
import { RoomState } from "./state.js";
import { rootOf } from "./sub-room.js";
import { ownerChanged, unavailable } from "./unavailable.js";

/**
 * An actor unused for so long is dropped, in milliseconds: as long as an id must be remembered. One of a room that does not exist has
 * nothing to remember, and whoever makes up ids makes many of them: the next sweep drops it.
 */
const IDLE_MS = 11 * 60_000;
/** Standings an actor keeps before it forgets those that are archived. */
const MAX_STANDINGS = 20_000;

export interface ActorDependencies extends Pick<CoreDependencies, "tenants" | "clock" | "limits"> {
  /** What is stored of the shard's rooms. */
  readonly archive: RoomReading;
}

export class Actors {
  readonly #deps: ActorDependencies;
  #rooms = new Map<string, Room>();
  #loading = new Map<string, Promise<Room>>();

  constructor(deps: ActorDependencies) {
    this.#deps = deps;
  }

  /** Drops them all: what they were judged on may not hold any more. */
  clear(): void {
    this.#rooms = new Map();
    this.#loading = new Map();
  }

  /** Whether what was loaded still holds: the actor is the room's, and knows how these users stand. */
  isCurrent(room: Room, users: readonly string[]): boolean {
    return [room, ...(room.root === undefined ? [] : [room.root])].every(
      (actor) => this.#rooms.get(actor.ref.key) === actor && users.every((userId) => actor.state.knows(userId)),
    );
  }

  /** The actor, with the standings of `users` loaded. */
  load(ref: RoomRef, users: readonly string[]): Awaitable<Room> {
    const room = this.#find(ref);
    if (isPromise(room)) return Promise.resolve(room).then((loaded) => this.#loadStandings(loaded, users));
    return this.#loadStandings(room, users);
  }

  /** Drops idle actors and old ids. Called now and then. */
  sweep(): void {
    const monotonicMs = this.#deps.clock.monotonic();
    for (const [key, room] of this.#rooms) {
      if (room.tentative) continue;
      const idleMs = room.state.own === undefined ? 0 : IDLE_MS;
      if (monotonicMs - room.usedAtMs > idleMs) this.#rooms.delete(key);
      else room.recent.expire(monotonicMs);
      if (room.state.loaded > MAX_STANDINGS) room.state.unload();
    }
    // The root of an actor that stays stays with it: only there is it known what its events would change.
    for (const { root } of this.#rooms.values()) if (root !== undefined) this.#rooms.set(root.ref.key, root);
  }

  #find(ref: RoomRef): Awaitable<Room> {
    return this.#rooms.get(ref.key) ?? this.#loading.get(ref.key) ?? this.#loadRoom(ref);
  }

  #loadRoom(ref: RoomRef): Awaitable<Room> {
    const rootRef = rootOf(ref);
    const root = rootRef && this.#find(rootRef);
    // The look-up may throw at once; the root's refusal is then nobody's.
    if (isPromise(root)) Promise.resolve(root).catch(ignore);
    const { archive } = this.#deps;
    const stored = archive.room(ref);
    const document = isPromise(stored)
      ? stored.then((found) => withDirectUsers(archive, ref, found))
      : withDirectUsers(archive, ref, stored);
    if (!isPromise(document) && !isPromise(root)) return this.#build(ref, document, root);
    const rooms = this.#rooms;
    const loading = Promise.all([document, root])
      .then(([found, loadedRoot]) => {
        // The shard was opened anew meanwhile: what was read may be older than what the new owner's view holds.
        if (rooms !== this.#rooms) throw ownerChanged();
        return this.#build(ref, found, loadedRoot);
      })
      .finally(() => {
        if (this.#loading.get(ref.key) === loading) this.#loading.delete(ref.key);
      });
    this.#loading.set(ref.key, loading);
    return loading;
  }

  #build(ref: RoomRef, document: RoomDocument | undefined, root: Room | undefined): Room {
    // It may have been dropped while the other was read: two actors of one room would disagree.
    if (root !== undefined && this.#rooms.get(root.ref.key) !== root) throw unavailable("the room's root was dropped");
    const state = new RoomState(ref, document, root?.state);
    const buckets = new Buckets(this.#deps.tenants, ref.tenantId, "room");
    const { clock, tenants } = this.#deps;
    const context = {
      monotonicMs: clock.monotonic(),
      archiveAfterMs: (room: WireRoom | undefined) => archiveAfterMs(room, tenants.of(ref.tenantId)),
    };
    const room = new Room(state, buckets, context, root);
    this.#rooms.set(ref.key, room);
    return room;
  }

  #loadStandings(room: Room, users: readonly string[]): Awaitable<Room> {
    let waiting: Promise<void>[] | undefined;
    for (const { state, ref } of room.root === undefined ? [room] : [room, room.root]) {
      for (const userId of users) {
        if (state.knows(userId)) continue;
        const document = this.#deps.archive.member(ref, userId);
        if (!isPromise(document)) state.load(userId, document);
        else {
          const loaded = Promise.resolve(document).then((found) => state.load(userId, found));
          // The next look-up may throw at once; this one's refusal is then nobody's.
          loaded.catch(ignore);
          waiting ??= [];
          waiting.push(loaded);
        }
      }
    }
    return waiting === undefined ? room : Promise.all(waiting).then(() => room);
  }
}

function ignore(): void {}
