// A room whose presence is watched on this node: its members are known once, changes are encoded once for all who watch.

import { create } from "@bufbuild/protobuf";
import { type Member, Permission } from "../../gen/trunkline/v1/message_pb.js";
import {
  type Presence,
  PresenceChangesSchema,
  type RoomPresenceCount,
  RoomPresenceCountSchema,
} from "../../gen/trunkline/v1/session_pb.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import { EncodedFrame } from "../../ports/encoded-frame.js";
import type { FanoutSubscription } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { SignalFrame } from "../fanout/shared-frame.js";
import { hasPermission } from "../room/permissions.js";
import { serverFrame } from "../session/frames.js";
import type { PresenceHub, PresenceReader } from "./hub.js";
import { isOnline, wirePresence } from "./wire.js";

/** Larger rooms are told how many are online, not who. */
const NAMED_MEMBERS = 100;
const PAGE = 500;

/** A session that watches rooms, as they see it. */
export interface RoomPresenceReader {
  readonly userId: string;
  /** Whether it watches whatever its membership. */
  readonly privileged: boolean;
  /** Something of this room. */
  offer(frame: SignalFrame, room: RoomWatch): void;
  /** The right to see the room's presence is lost: it is no longer watched. */
  lostRoom(roomId: string): void;
}

export interface RoomSnapshot {
  readonly presences: readonly Presence[];
  readonly count: RoomPresenceCount | undefined;
}

export class RoomWatch implements PresenceReader {
  readonly ref: RoomRef;
  /** Rises with every event that may take a right away. */
  losses = 0;
  readonly #deps: CoreDependencies;
  readonly #hub: PresenceHub;
  /** How often each watches. */
  readonly #readers = new Map<RoomPresenceReader, number>();
  readonly #members = new Set<string>();
  /** Members that are followed one by one: all of them in a small room, else none. */
  readonly #followed = new Set<string>();
  /** Events that came while the members were read; undefined: they are known. */
  #early: EncodedEvent[] | undefined = [];
  #seq = 0;
  #subscription: FanoutSubscription | undefined;
  #loaded: Promise<void> | undefined;
  #changes: Presence[] = [];
  #count = -1;
  #closed = false;

  constructor(ref: RoomRef, deps: CoreDependencies, hub: PresenceHub) {
    this.ref = ref;
    this.#deps = deps;
    this.#hub = hub;
  }

  get unread(): boolean {
    return this.#readers.size === 0;
  }

  /** Resolves once the members are known and followed. */
  load(): Promise<void> {
    this.#loaded ??= this.#load().catch((error: unknown) => {
      this.#loaded = undefined;
      throw error;
    });
    return this.#loaded;
  }

  join(reader: RoomPresenceReader): void {
    this.#readers.set(reader, (this.#readers.get(reader) ?? 0) + 1);
  }

  leave(reader: RoomPresenceReader): void {
    const times = this.#readers.get(reader) ?? 0;
    if (times > 1) this.#readers.set(reader, times - 1);
    else this.#readers.delete(reader);
  }

  /** Takes the room away from a reader. */
  lose(reader: RoomPresenceReader): void {
    if (this.#readers.delete(reader)) reader.lostRoom(this.ref.roomId);
  }

  close(): void {
    this.#closed = true;
    this.#subscription?.close();
    for (const userId of this.#followed) this.#hub.unwatch(this.ref.tenantId, userId, this);
    this.#followed.clear();
  }

  /** Who is online, or in a large room how many. */
  async snapshot(): Promise<RoomSnapshot> {
    const { directory } = this.#deps;
    const { tenantId } = this.ref;
    if (this.#isLarge) {
      if (this.#count < 0) this.#count = await directory.countOnline(tenantId, this.#members);
      return { presences: [], count: this.#countFrame() };
    }
    const presences = await directory.presences(tenantId, [...this.#members]);
    return { presences: presences.filter(isOnline).map(wirePresence), count: undefined };
  }

  /** As `snapshot`, those who are offline too: for who may have missed that. */
  async everybody(): Promise<RoomSnapshot> {
    if (this.#isLarge) return await this.snapshot();
    const presences = await this.#deps.directory.presences(this.ref.tenantId, [...this.#members]);
    return { presences: presences.map(wirePresence), count: undefined };
  }

  /** Counts who is online in a large room, and tells it where it has changed. Called now and then. */
  async recount(): Promise<void> {
    if (!this.#isLarge || this.#closed) return;
    const count = await this.#deps.directory.countOnline(this.ref.tenantId, this.#members);
    if (count === this.#count || this.#closed) return;
    this.#count = count;
    this.#offer([], [this.#countFrame()]);
  }

  collect(presence: Presence): void {
    this.#changes.push(presence);
  }

  flush(): void {
    const changes = this.#changes;
    this.#changes = [];
    if (changes.length > 0) this.#offer(changes, []);
  }

  get #isLarge(): boolean {
    return this.#members.size > NAMED_MEMBERS;
  }

  #countFrame(): RoomPresenceCount {
    return create(RoomPresenceCountSchema, { roomId: this.ref.roomId, online: Math.max(this.#count, 0) });
  }

  #offer(presences: Presence[], counts: RoomPresenceCount[]): void {
    if (this.#readers.size === 0) return;
    const value = create(PresenceChangesSchema, { presences, counts });
    const frame = new SignalFrame(EncodedFrame.of(serverFrame({ case: "presenceChanges", value })));
    for (const reader of this.#readers.keys()) reader.offer(frame, this);
  }

  // — members —

  async #load(): Promise<void> {
    const { archive, fanout } = this.#deps;
    this.#early ??= [];
    if (this.#subscription === undefined) {
      const subscription = await fanout.subscribe(this.ref, (events) => this.#receive(events));
      if (this.#closed) subscription.close();
      else this.#subscription = subscription;
    }
    this.#members.clear();
    let after = "";
    for (;;) {
      const page = await archive.members(this.ref, { after, limit: PAGE });
      for (const { member } of page) if (member !== undefined) this.#members.add(member.userId);
      after = page.at(-1)?.member?.userId ?? "";
      if (page.length < PAGE) break;
    }
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const event of early) this.#apply(event);
    await this.#follow();
  }

  #receive(events: readonly EncodedEvent[]): void {
    for (const event of events) {
      if (event.seq <= this.#seq) continue;
      // Events were lost on the way: what they changed must be read.
      const hole = this.#seq > 0 && event.seq > this.#seq + 1;
      this.#seq = event.seq;
      this.#watchRights(event);
      if (this.#early !== undefined) this.#early.push(event);
      else if (hole) this.#reload();
      else if (this.#apply(event)) this.#followSoon();
    }
  }

  #reload(): void {
    this.#early = [];
    this.losses++;
    this.#loaded = undefined;
    this.load().catch((cause: unknown) => {
      // Nobody is told of people who may have left.
      for (const reader of [...this.#readers.keys()]) this.lose(reader);
      this.#deps.telemetry.emit("fault", { where: "presence", cause });
    });
  }

  /** Returns whether there are other members now. */
  #apply({ event: { kind } }: EncodedEvent): boolean {
    switch (kind.case) {
      case "memberJoined":
        if (kind.value.member !== undefined) this.#members.add(kind.value.member.userId);
        return true;
      case "memberLeft":
        this.#members.delete(kind.value.userId);
        return true;
      default:
        return false;
    }
  }

  #watchRights({ event: { kind } }: EncodedEvent): void {
    switch (kind.case) {
      case "memberLeft":
        this.#loseOf(kind.value.userId);
        return;
      case "memberChanged":
        if (kind.value.member !== undefined && !maySee(kind.value.member)) this.#loseOf(kind.value.member.userId);
        return;
      case "roomDeleted":
        this.losses++;
        for (const reader of [...this.#readers.keys()]) this.lose(reader);
        return;
      default:
        return;
    }
  }

  #loseOf(userId: string): void {
    this.losses++;
    for (const reader of [...this.#readers.keys()])
      if (reader.userId === userId && !reader.privileged) this.lose(reader);
  }

  #followSoon(): void {
    this.#follow().catch((cause: unknown) => this.#deps.telemetry.emit("fault", { where: "presence", cause }));
  }

  /** Follows who is to be followed now, and tells of those who came. */
  async #follow(): Promise<void> {
    const { tenantId } = this.ref;
    const wanted: ReadonlySet<string> = this.#isLarge || this.#closed ? new Set<string>() : this.#members;
    if (!this.#isLarge) this.#count = -1;
    for (const userId of [...this.#followed]) {
      if (wanted.has(userId)) continue;
      this.#followed.delete(userId);
      this.#hub.unwatch(tenantId, userId, this);
    }
    const came = [...wanted].filter((userId) => !this.#followed.has(userId));
    for (const userId of came) this.#followed.add(userId);
    await Promise.all(came.map((userId) => this.#hub.watch(tenantId, userId, this)));
    if (came.length === 0 || this.unread) return;
    const presences = await this.#deps.directory.presences(tenantId, came);
    const online = presences.filter(isOnline).map(wirePresence);
    if (online.length > 0) this.#offer(online, []);
  }
}

export function maySee(member: Member): boolean {
  return hasPermission(member, Permission.SEE_PRESENCE);
}
