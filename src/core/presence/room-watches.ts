// The rooms whose presence is watched on this node.

import { Permission } from "../../gen/trunkline/v1/message_pb.js";
import type { Timer } from "../../ports/clock.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { CoreDependencies } from "../core.js";
import { isAnnouncements } from "../room/announcements.js";
import type { RoomOwner } from "../room/owner.js";
import { isAdministrator, isService, permit, requireRoom } from "../room/permissions.js";
import type { PresenceHub } from "./hub.js";
import { maySee, NAMED_MEMBERS, type RoomReader, RoomWatch } from "./room-watch.js";

/** How often who is online in a large room is counted, in milliseconds. */
const RECOUNT_MS = 3_000;
/** Rights may change while they are looked at; so often they are looked at again. */
const TRIES = 5;

export class RoomWatches {
  readonly #deps: CoreDependencies;
  readonly #owner: RoomOwner;
  readonly #hub: PresenceHub;
  readonly #rooms = new Map<string, RoomWatch>();
  #timer: Timer | undefined;
  #stopped = false;

  constructor(deps: CoreDependencies, owner: RoomOwner, hub: PresenceHub) {
    this.#deps = deps;
    this.#owner = owner;
    this.#hub = hub;
  }

  /** The reader watches the room from now on, until `release`; rejects with the refusal where it may not. */
  async open(ref: RoomRef, identity: Identity, reader: RoomReader): Promise<RoomWatch> {
    let room = this.#rooms.get(ref.key);
    if (room === undefined) {
      room = new RoomWatch(ref, this.#deps, this.#hub);
      this.#rooms.set(ref.key, room);
    }
    // A reader from the start, so that nobody else closes it meanwhile; it is told nothing before it may be.
    const holder: RoomReader = {
      userId: "",
      privileged: true,
      heedsBlocks: false,
      offer: () => {},
      lostRoom: () => {},
    };
    room.join(holder);
    try {
      await this.authorize(ref, identity);
      await room.load();
      await this.#join(room, identity, reader);
      this.#arm();
      return room;
    } finally {
      this.release(room, holder);
    }
  }

  release(room: RoomWatch, reader: RoomReader): void {
    room.leave(reader);
    if (!room.unread || this.#rooms.get(room.ref.key) !== room) return;
    this.#rooms.delete(room.ref.key);
    room.close();
  }

  /** Rejects unless they may see the room's presence now. Resolves with whether they may see only how many are there, as who reads a large room. */
  async authorize(ref: RoomRef, identity: Identity): Promise<boolean> {
    if (isService(identity)) {
      const caller = { identity, deviceId: "" };
      await this.#owner.view(ref, [], ({ state }) =>
        permit(state, caller, Permission.SEE_PRESENCE, this.#deps.clock.now()),
      );
      return false;
    }
    const caller = { identity, deviceId: "" };
    const standing = await this.#standing(ref, identity);
    // Refused, unless the application lets them in.
    if (standing === "stranger") await this.#owner.read(ref, caller, Permission.READ, () => {});
    const countOnly =
      (standing === "stranger" ? await this.#standing(ref, identity) : standing) === "reads a large room";
    const permission = countOnly ? Permission.READ : Permission.SEE_PRESENCE;
    await this.#owner.read(ref, caller, permission, () => {});
    return countOnly;
  }

  #standing(ref: RoomRef, identity: Identity): Promise<"stranger" | "sees who is there" | "reads a large room"> {
    return this.#owner.view(ref, [identity.userId], ({ state }) => {
      requireRoom(state.room);
      if (isAdministrator(identity)) return "sees who is there";
      const member = state.member(identity.userId);
      if (member === undefined) return "stranger";
      const countOnly = state.memberCount > NAMED_MEMBERS && !maySee(member) && !isAnnouncements(ref.roomId);
      return countOnly ? "reads a large room" : "sees who is there";
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#timer?.cancel();
    for (const room of this.#rooms.values()) room.close();
    this.#rooms.clear();
  }

  async #join(room: RoomWatch, identity: Identity, reader: RoomReader): Promise<void> {
    for (let tries = 0; tries < TRIES; tries++) {
      const { losses } = room;
      const countOnly = await this.authorize(room.ref, identity);
      if (room.losses !== losses) continue;
      room.join(reader, countOnly);
      return;
    }
    throw new TrunklineError(ErrorCode.UNAVAILABLE, "the room's members change too fast", { retryAfterMs: 1_000 });
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#stopped) return;
    this.#timer = this.#deps.clock.after(RECOUNT_MS, () => {
      this.#timer = undefined;
      for (const room of this.#rooms.values()) {
        room.recount().catch((cause: unknown) => this.#deps.telemetry.emit("fault", { where: "presence", cause }));
      }
      if (this.#rooms.size > 0) this.#arm();
    });
  }
}
