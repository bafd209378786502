// What one session watches: users, rooms, and the rooms of its subscriptions that it watches along.

import { create } from "@bufbuild/protobuf";
import * as wire from "../../gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { roomRef } from "../../ports/room-ref.js";
import type { SessionDirectory } from "../../ports/session-directory.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { SignalFrame } from "../fanout/shared-frame.js";
import { isService } from "../room/permissions.js";
import { validateId } from "../validate.js";
import type { PresenceHub, PresenceReader } from "./hub.js";
import type { Rechecks } from "./rechecks.js";
import type { RoomReader, RoomWatch } from "./room-watch.js";
import type { RoomWatches } from "./room-watches.js";
import type { Visibility } from "./visibility.js";
import { isOnline, offline, wirePresence } from "./wire.js";

const MAX_USERS = 500;
const MAX_ROOMS = 200;
/** Frames of rooms that wait for an answer, at most; beyond, all of their room is told later. */
const MAX_HELD = 100;

/** What watching needs of the core. */
export interface WatchServices {
  readonly directory: SessionDirectory;
  readonly hub: PresenceHub;
  readonly rooms: RoomWatches;
  readonly visibility: Visibility;
  readonly rechecks: Rechecks;
}

/** The session as its watch sees it. */
export interface WatchingSession {
  readonly identity: Identity;
  /** Something ephemeral. Returns false when it was dropped because much waits. */
  offer(frame: SignalFrame): boolean;
  /** The same, for this session alone. */
  offerOwn(frame: wire.ServerFrame["frame"]): boolean;
}

export class SessionPresence implements PresenceReader, RoomReader {
  readonly #services: WatchServices;
  readonly #session: WatchingSession;
  /** Users watched, and whether the session was told that they can be seen. */
  readonly #users = new Map<string, boolean>();
  readonly #watched = new Map<string, RoomWatch>();
  /** Of subscriptions. */
  readonly #along = new Map<string, RoomWatch>();
  /** Changes that are yet to be told, the latest of each user. */
  #changes = new Map<string, wire.Presence>();
  /** Rooms of which something was dropped. */
  readonly #stale = new Set<RoomWatch>();
  #telling = false;
  /** Answers under way that say how everybody is: what changes meanwhile is told after them. */
  #answering = 0;
  /** What rooms had to tell meanwhile, in order. */
  #held: { readonly frame: SignalFrame; readonly room: RoomWatch }[] = [];
  /** Reads under way, each with the users of whom something newer was heard since. */
  #looking: Set<string>[] = [];
  #ended = false;

  constructor(services: WatchServices, session: WatchingSession) {
    this.#services = services;
    this.#session = session;
    services.rechecks.add(this);
  }

  end(): void {
    this.#ended = true;
    this.#services.rechecks.remove(this);
    for (const userId of this.#users.keys()) this.#services.hub.unwatch(this.#tenantId, userId, this);
    for (const rooms of [this.#watched, this.#along]) {
      for (const room of rooms.values()) this.#services.rooms.release(room, this);
      rooms.clear();
    }
    this.#users.clear();
    this.#changes.clear();
    this.#held = [];
  }

  /**
   * Watches what the frame names and nothing else; where something is refused, what was watched before stays. `answer` is called with how they are, before
   * anything is told of what has changed since.
   */
  async watch(frame: wire.WatchPresence, answer: (snapshot: wire.PresenceSnapshot) => void): Promise<void> {
    await this.#inOrder(async () => answer(await this.#watch(frame)));
  }

  async #watch({ userIds, roomIds }: wire.WatchPresence): Promise<wire.PresenceSnapshot> {
    const users = new Set(userIds);
    const rooms = new Set(roomIds);
    if (users.size > MAX_USERS) throw TrunklineError.tooLarge("watch_presence.user_ids", MAX_USERS, "users");
    if (rooms.size > MAX_ROOMS) throw TrunklineError.tooLarge("watch_presence.room_ids", MAX_ROOMS, "rooms");
    for (const userId of users) validateId("watch_presence.user_ids", userId);
    for (const roomId of rooms) validateId("watch_presence.room_ids", roomId);
    const opened = await this.#open([...rooms]);
    if (this.#ended) {
      for (const room of opened) this.#services.rooms.release(room, this);
      return create(wire.PresenceSnapshotSchema);
    }
    for (const room of this.#watched.values()) this.#services.rooms.release(room, this);
    this.#watched.clear();
    for (const room of opened) this.#watched.set(room.ref.roomId, room);
    await this.#replaceUsers(users);
    return await this.#snapshot();
  }

  /** Watches a room as long as it is subscribed to. Where that is not allowed, nothing is watched. */
  async watchAlong(roomId: string): Promise<void> {
    if (this.#along.has(roomId)) return;
    let room: RoomWatch;
    try {
      room = await this.#services.rooms.open(roomRef(this.#tenantId, roomId), this.#session.identity, this);
    } catch (error) {
      if (error instanceof TrunklineError && REFUSALS.has(error.code)) return;
      throw error;
    }
    if (this.#ended || this.#along.has(roomId)) {
      this.#services.rooms.release(room, this);
      return;
    }
    this.#along.set(roomId, room);
    await this.#inOrder(async () => {
      const { presences, count } = await room.snapshot(this);
      if (this.#along.get(roomId) === room) this.#tell([...presences], count === undefined ? [] : [count]);
    });
  }

  /** What was read of a while ago must not be told after what has changed since. */
  async #inOrder(answer: () => Promise<void>): Promise<void> {
    this.#answering++;
    try {
      await answer();
    } finally {
      this.#answering--;
      if (this.#answering === 0) this.#tellHeld();
    }
  }

  #tellHeld(): void {
    const held = this.#held;
    this.#held = [];
    for (const { frame, room } of held) if (this.#watches(room)) this.offer(frame, room);
    this.flush();
  }

  unwatchAlong(roomId: string): void {
    const room = this.#along.get(roomId);
    if (room === undefined) return;
    this.#along.delete(roomId);
    this.#services.rooms.release(room, this);
  }

  /** The user has lost a grant: ends the watch of rooms that they may not see as what they are now. Never rejects. */
  async authorizeAgain(): Promise<void> {
    for (const room of new Set([...this.#watched.values(), ...this.#along.values()])) {
      await this.#services.rooms.authorize(room.ref, this.#session.identity).then(
        (countOnly) => room.limit(this, countOnly),
        () => room.lose(this),
      );
    }
    // Who was a service did not need to know who hides from it; of whom that cannot be told now, it is when it can.
    await this.#follow(this.#users.keys()).catch(() => {});
    await this.recheck();
  }

  /** Looks again at who can be seen, and tells what was dropped. Called now and then. Never rejects. */
  async recheck(): Promise<void> {
    try {
      const userIds = [...this.#users.keys()];
      const visible = await this.#services.visibility.visible(this.#session.identity, userIds);
      const differing = userIds.filter((userId) => this.#users.get(userId) !== this.#sees(visible, userId));
      for (const presence of await this.#look(differing)) this.collect(presence);
      this.flush();
      for (const room of [...this.#stale]) {
        this.#stale.delete(room);
        await this.#inOrder(async () => {
          const { presences: all, count } = await room.everybody(this);
          if (this.#watches(room)) this.#tell([...all], count === undefined ? [] : [count], room);
        });
      }
    } catch {
      // The archive is away: the next round looks again.
    }
  }

  // — what is watched —

  get userId(): string {
    return this.#session.identity.userId;
  }

  get privileged(): boolean {
    const { grants } = this.#session.identity;
    return grants.has("admin") || grants.has("service");
  }

  get heedsBlocks(): boolean {
    return !isService(this.#session.identity);
  }

  blockChanged(userId: string, other: string): void {
    if (other !== this.userId) return;
    const tell = (presences: readonly wire.Presence[]): void => {
      for (const presence of presences) this.collect(presence);
      this.flush();
    };
    if (this.#isHidden(userId)) tell([offline(userId)]);
    else this.#look([userId]).then(tell, ignore);
  }

  /** How users are, those left out of whom something newer was heard meanwhile. */
  async #look(userIds: readonly string[]): Promise<readonly wire.Presence[]> {
    const newer = new Set<string>();
    this.#looking.push(newer);
    try {
      const presences = await this.#services.directory.presences(this.#tenantId, userIds);
      return presences.filter(({ userId }) => !newer.has(userId)).map(wirePresence);
    } finally {
      this.#looking = this.#looking.filter((each) => each !== newer);
    }
  }

  offer(frame: SignalFrame, room: RoomWatch): void {
    if (this.#answering > 0 && this.#held.length < MAX_HELD) this.#held.push({ frame, room });
    else if (this.#answering > 0 || !this.#session.offer(frame)) this.#stale.add(room);
  }

  lostRoom(roomId: string): void {
    for (const rooms of [this.#watched, this.#along]) {
      const room = rooms.get(roomId);
      if (room === undefined) continue;
      rooms.delete(roomId);
      this.#stale.delete(room);
      this.#services.rooms.release(room, this);
    }
  }

  collect(presence: wire.Presence): void {
    if (this.#users.has(presence.userId)) this.#changes.set(presence.userId, presence);
    for (const newer of this.#looking) newer.add(presence.userId);
  }

  flush(): void {
    if (this.#telling || this.#answering > 0 || this.#changes.size === 0) return;
    this.#telling = true;
    this.#flush().then(
      (interrupted) => {
        this.#telling = false;
        // The answer that it was to wait for may have been given by now.
        if (interrupted) this.flush();
      },
      () => {
        // Who can be seen is not known now: told at the next change or recheck.
        this.#telling = false;
      },
    );
  }

  /** Resolves with whether it left changes untold because something else is to be answered before them. */
  async #flush(): Promise<boolean> {
    while (this.#changes.size > 0 && !this.#ended) {
      const { identity } = this.#session;
      const asked = [...this.#changes.keys()];
      const visible = isService(identity) ? undefined : await this.#services.visibility.visible(identity, asked);
      if (this.#ended) return false;
      if (this.#answering > 0) return true;
      const told: wire.Presence[] = [];
      for (const userId of asked) {
        const presence = this.#changes.get(userId);
        const before = this.#users.get(userId);
        if (presence === undefined || before === undefined) continue;
        if (this.#sees(visible, userId)) told.push(presence);
        // Whoever was seen until now looks offline from now on.
        else if (before) told.push(offline(userId));
      }
      if (told.length > 0 && !this.#tell(told, [])) return false;
      for (const userId of asked) {
        this.#changes.delete(userId);
        if (this.#users.has(userId)) this.#users.set(userId, this.#sees(visible, userId));
      }
    }
    return false;
  }

  /** Whether the user can be seen now; `visible`: those with whom a room is shared, undefined: everybody is. */
  #sees(visible: ReadonlySet<string> | undefined, userId: string): boolean {
    return visible?.has(userId) !== false && !this.#isHidden(userId);
  }

  /** Whether the user has blocked this one, who therefore sees nothing of them. */
  #isHidden(userId: string): boolean {
    return this.heedsBlocks && this.#services.hub.hides(this.#tenantId, userId, this.userId);
  }

  #tell(presences: wire.Presence[], counts: wire.RoomPresenceCount[], room?: RoomWatch): boolean {
    if (presences.length === 0 && counts.length === 0) return true;
    const value = create(wire.PresenceChangesSchema, { presences, counts });
    const taken = this.#session.offerOwn({ case: "presenceChanges", value });
    if (!taken && room !== undefined) this.#stale.add(room);
    return taken;
  }

  get #tenantId(): string {
    return this.#session.identity.tenantId;
  }

  #watches(room: RoomWatch): boolean {
    const { roomId } = room.ref;
    return this.#watched.get(roomId) === room || this.#along.get(roomId) === room;
  }

  /** All of them, or none. */
  async #open(roomIds: readonly string[]): Promise<readonly RoomWatch[]> {
    const opened = await Promise.allSettled(
      roomIds.map((roomId) => this.#services.rooms.open(roomRef(this.#tenantId, roomId), this.#session.identity, this)),
    );
    const refused = opened.find((one) => one.status === "rejected");
    const rooms = opened.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    if (refused === undefined) return rooms;
    for (const room of rooms) this.#services.rooms.release(room, this);
    throw refused.reason;
  }

  async #replaceUsers(users: ReadonlySet<string>): Promise<void> {
    for (const userId of [...this.#users.keys()]) {
      if (users.has(userId)) continue;
      this.#users.delete(userId);
      this.#changes.delete(userId);
      this.#services.hub.unwatch(this.#tenantId, userId, this);
    }
    for (const userId of users) if (!this.#users.has(userId)) this.#users.set(userId, false);
    await this.#follow(users);
  }

  async #follow(users: Iterable<string>): Promise<void> {
    await Promise.all(Array.from(users, (userId) => this.#services.hub.watch(this.#tenantId, userId, this)));
  }

  async #snapshot(): Promise<wire.PresenceSnapshot> {
    const { visibility, directory } = this.#services;
    const visible = await visibility.visible(this.#session.identity, this.#users.keys());
    for (const userId of this.#users.keys()) this.#users.set(userId, this.#sees(visible, userId));
    const found = new Map<string, wire.Presence>();
    for (const presence of await directory.presences(this.#tenantId, [...visible])) {
      if (isOnline(presence)) found.set(presence.userId, wirePresence(presence));
    }
    const counts: wire.RoomPresenceCount[] = [];
    for (const room of this.#watched.values()) {
      const { presences, count } = await room.snapshot(this);
      for (const presence of presences) found.set(presence.userId, presence);
      if (count !== undefined) counts.push(count);
    }
    // Somebody may have blocked this user meanwhile.
    const presences = [...found.values()].filter(({ userId }) => !this.#isHidden(userId));
    return create(wire.PresenceSnapshotSchema, { presences, counts });
  }
}

function ignore(): void {}

/** What refuses a watch, whoever asks again. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set([
  ErrorCode.PERMISSION_DENIED,
  ErrorCode.NOT_A_MEMBER,
  ErrorCode.NOT_FOUND,
]);
