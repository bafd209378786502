// A room whose presence is watched on this node: its members are known once, changes are encoded once for all who watch.

import { create } from "@bufbuild/protobuf";
import { type Member, Permission } from "../../gen/trunkline/v1/message_pb.js";
import { type Presence, type RoomPresenceCount, RoomPresenceCountSchema } from "../../gen/trunkline/v1/session_pb.js";
import type { EncodedEvent } from "../../ports/encoded-event.js";
import type { FanoutSubscription } from "../../ports/fanout.js";
import type { RoomRef } from "../../ports/room-ref.js";
import type { CoreDependencies } from "../core.js";
import { isAnnouncements } from "../room/announcements.js";
import { hasPermission, mayRead } from "../room/permissions.js";
import { membersRoomOf } from "../room/sub-room.js";
import { EndOfRoom } from "./end-of-room.js";
import type { PresenceHub, PresenceReader } from "./hub.js";
import { RoomAudience, type RoomPresenceReader } from "./room-audience.js";
import { isOnline, offline, wirePresence } from "./wire.js";

export type RoomReader = RoomPresenceReader<RoomWatch>;

/** Larger rooms are told how many are online, not who. */
export const NAMED_MEMBERS = 100;
const PAGE = 500;

export interface RoomSnapshot {
  readonly presences: readonly Presence[];
  readonly count: RoomPresenceCount | undefined;
}

export class RoomWatch implements PresenceReader {
  readonly heedsBlocks = true;
  readonly ref: RoomRef;
  /** The room whose members it has. */
  readonly #membersRef: RoomRef;
  /** Rises with every event that may take a right away. */
  losses = 0;
  readonly #deps: CoreDependencies;
  readonly #hub: PresenceHub;
  readonly #readers: RoomAudience<RoomWatch>;
  /** Those of the readers who may not see who is online. */
  readonly #counting = new Set<RoomReader>();
  readonly #members = new Set<string>();
  /** Members that are followed one by one: all of them in a small room, else none. */
  readonly #followed = new Set<string>();
  /** Events that came while the members were read; undefined: they are known. */
  #early: EncodedEvent[] | undefined = [];
  #seq = 0;
  /** The end of the room itself, where its members are another's. */
  readonly #end: EndOfRoom | undefined;
  /** Events were lost while the members were read. */
  #lost = false;
  #subscription: FanoutSubscription | undefined;
  #loaded: Promise<void> | undefined;
  #changes: Presence[] = [];
  #count = -1;
  #closed = false;

  constructor(ref: RoomRef, deps: CoreDependencies, hub: PresenceHub) {
    this.ref = ref;
    this.#membersRef = membersRoomOf(ref);
    this.#deps = deps;
    this.#hub = hub;
    this.#readers = new RoomAudience(ref, hub);
    this.#end = this.#membersRef === ref ? undefined : new EndOfRoom(ref, deps, () => this.#loseAll());
  }

  get unread(): boolean {
    return this.#readers.empty;
  }

  /** Resolves once the members are known and followed. */
  load(): Promise<void> {
    this.#loaded ??= this.#load().catch((error: unknown) => {
      this.#loaded = undefined;
      throw error;
    });
    return this.#loaded;
  }

  /** `countOnly`: they may not see who is online, only how many are, as long as the room is large. */
  join(reader: RoomReader, countOnly = false): void {
    this.#readers.join(reader);
    this.limit(reader, countOnly);
  }

  /** What a reader may see has been looked at anew. */
  limit(reader: RoomReader, countOnly: boolean): void {
    if (countOnly && this.#readers.has(reader)) this.#counting.add(reader);
    else this.#counting.delete(reader);
  }

  leave(reader: RoomReader): void {
    this.#readers.leave(reader);
    if (!this.#readers.has(reader)) this.#counting.delete(reader);
  }

  /** Takes the room away from a reader. */
  lose(reader: RoomReader): void {
    this.#counting.delete(reader);
    this.#readers.lose(reader);
  }

  close(): void {
    this.#closed = true;
    this.#subscription?.close();
    this.#end?.close();
    for (const userId of this.#followed) this.#hub.unwatch(this.ref.tenantId, userId, this);
    this.#followed.clear();
  }

  /** Who is online as the reader sees it, or in a large room how many. */
  async snapshot(reader: RoomReader): Promise<RoomSnapshot> {
    const { presences, count } = await this.everybody(reader);
    return { presences: presences.filter(isOnline), count };
  }

  /** As `snapshot`, those who are offline too: for who may have missed that. */
  async everybody(reader: RoomReader): Promise<RoomSnapshot> {
    const { directory } = this.#deps;
    const { tenantId } = this.ref;
    if (this.#isLarge) {
      if (this.#count < 0) this.#count = await directory.countOnline(tenantId, this.#members);
      return { presences: [], count: this.#countFrame() };
    }
    const presences = await directory.presences(tenantId, [...this.#members]);
    const hidden = new Set(this.#readers.hiddenFrom(reader, [...this.#members]));
    const seen = presences.map((presence) =>
      hidden.has(presence.userId) ? offline(presence.userId) : wirePresence(presence),
    );
    return { presences: seen, count: undefined };
  }

  /** Counts who is online in a large room, and tells it where it has changed. Called now and then. */
  async recount(): Promise<void> {
    if (!this.#isLarge || this.#closed) return;
    const count = await this.#deps.directory.countOnline(this.ref.tenantId, this.#members);
    if (count === this.#count || this.#closed) return;
    this.#count = count;
    this.#readers.tell(this, [], [this.#countFrame()]);
  }

  collect(presence: Presence): void {
    this.#changes.push(presence);
  }

  flush(): void {
    const changes = this.#changes;
    this.#changes = [];
    if (changes.length > 0) this.#readers.tell(this, changes, []);
  }

  get #isLarge(): boolean {
    return this.#members.size > NAMED_MEMBERS;
  }

  #countFrame(): RoomPresenceCount {
    return create(RoomPresenceCountSchema, { roomId: this.ref.roomId, online: Math.max(this.#count, 0) });
  }

  blockChanged(userId: string, other: string): void {
    if (!this.#followed.has(userId) || !this.#readers.hasUser(other)) return;
    const hidden = (): boolean => this.#hub.hides(this.ref.tenantId, userId, other);
    if (hidden()) {
      this.#readers.tellUser(this, other, offline(userId));
      return;
    }
    this.#presenceOf(userId).then(
      (presence) => {
        if (this.#followed.has(userId) && !hidden()) this.#readers.tellUser(this, other, presence);
      },
      (cause: unknown) => this.#deps.telemetry.emit("fault", { where: "presence", cause }),
    );
  }

  async #presenceOf(userId: string): Promise<Presence> {
    const [presence] = await this.#deps.directory.presences(this.ref.tenantId, [userId]);
    return presence === undefined ? offline(userId) : wirePresence(presence);
  }

  // — members —

  async #load(): Promise<void> {
    const { archive, fanout } = this.#deps;
    this.#early ??= [];
    if (this.#subscription === undefined) {
      const subscription = await fanout.subscribe(
        this.#membersRef,
        (events) => this.#receive(events),
        undefined,
        (top) => this.#missed(top),
      );
      if (this.#closed) subscription.close();
      else this.#subscription = subscription;
    }
    await this.#end?.listen();
    this.#lost = false;
    // Before the members: what comes after it, and nothing else, is heard from then on.
    const top = this.#seq === 0 ? ((await archive.room(this.#membersRef))?.room?.top?.seq ?? 0) : undefined;
    const members = await this.#readMembers();
    const early = this.#early ?? [];
    this.#early = undefined;
    if (this.#lost || (top !== undefined && (early[0]?.seq ?? 0) > top + 1)) return await this.#load();
    this.#seq = Math.max(this.#seq, top ?? 0);
    for (const event of early) this.#apply(event);
    // Of those who watched before events were lost, the rights may be lost too.
    if (top === undefined) this.#recheck(members);
    await this.#follow();
  }

  /** The members, and of those of them who watch here the standing. */
  async #readMembers(): Promise<ReadonlyMap<string, Member>> {
    const watching = new Set(this.#readers.all.map(({ userId }) => userId));
    const standings = new Map<string, Member>();
    this.#members.clear();
    let after = "";
    for (;;) {
      const page = await this.#deps.archive.members(this.#membersRef, { after, limit: PAGE });
      for (const { member } of page) {
        if (member === undefined) continue;
        this.#members.add(member.userId);
        if (watching.has(member.userId)) standings.set(member.userId, member);
      }
      after = page.at(-1)?.member?.userId ?? "";
      if (page.length < PAGE) return standings;
    }
  }

  #recheck(standings: ReadonlyMap<string, Member>): void {
    // Everybody may read the announcements.
    if (isAnnouncements(this.ref.roomId)) return;
    for (const { userId, privileged } of this.#readers.all) {
      if (privileged) continue;
      const member = standings.get(userId);
      if (member === undefined) {
        if (!this.#members.has(userId)) this.#loseOf(userId);
      } else if (!maySee(member)) this.#loseSight(member);
    }
  }

  #receive(events: readonly EncodedEvent[]): void {
    for (const event of events) {
      if (event.seq <= this.#seq) continue;
      // Events were lost on the way: what they changed must be read.
      const hole = this.#seq > 0 && event.seq > this.#seq + 1;
      this.#seq = event.seq;
      this.#watchRights(event);
      if (this.#early !== undefined) {
        this.#early.push(event);
        this.#lost ||= hole;
      } else if (hole) this.#reload();
      else if (this.#apply(event)) this.#followSoon();
    }
  }

  /** Announcements may have been lost. */
  #missed(top: number | undefined): void {
    if (top !== undefined && top <= this.#seq) return;
    if (this.#early !== undefined) {
      // While the members are read for the first time, what was heard of is in the read.
      this.#lost ||= this.#seq > 0;
      return;
    }
    this.#seq = Math.max(this.#seq, top ?? 0);
    this.#reload();
  }

  #reload(): void {
    this.#early = [];
    this.losses++;
    this.#loaded = undefined;
    this.load().catch((cause: unknown) => {
      // Nobody is told of people who may have left.
      for (const reader of this.#readers.all) this.lose(reader);
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
        if (kind.value.member !== undefined && !maySee(kind.value.member)) this.#loseSight(kind.value.member);
        return;
      case "roomDeleted":
        this.#loseAll();
        return;
      default:
        return;
    }
  }

  #loseAll(): void {
    this.losses++;
    for (const reader of this.#readers.all) this.lose(reader);
  }

  #loseOf(userId: string): void {
    this.losses++;
    for (const reader of this.#readers.all) if (reader.userId === userId && !reader.privileged) this.lose(reader);
  }

  /** Of a large room, who may read it still learns how many are there. */
  #loseSight(member: Member): void {
    if (!this.#isLarge || !mayRead(member)) {
      this.#loseOf(member.userId);
      return;
    }
    this.losses++;
    for (const reader of this.#readers.all) {
      if (reader.userId === member.userId && !reader.privileged) this.#counting.add(reader);
    }
  }

  #followSoon(): void {
    this.#follow().catch((cause: unknown) => this.#deps.telemetry.emit("fault", { where: "presence", cause }));
  }

  /** Follows who is to be followed now, and tells of those who came. */
  async #follow(): Promise<void> {
    const { tenantId } = this.ref;
    const wanted: ReadonlySet<string> = this.#isLarge || this.#closed ? new Set<string>() : this.#members;
    if (!this.#isLarge) {
      this.#count = -1;
      for (const reader of this.#counting) this.lose(reader);
    }
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
    if (online.length > 0) this.#readers.tell(this, online, []);
  }
}

export function maySee(member: Member): boolean {
  return hasPermission(member, Permission.SEE_PRESENCE);
}
