// A room's state as folded from its events, and the fold.

import { clone, create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { MemberDocument, RoomDocument } from "../../gen/trunkline/store/v1/documents_pb.js";
import { MemberDocumentSchema, RoomDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import {
  type Member,
  MemberSchema,
  PositionSchema,
  Role,
  type Room,
  type RoomEvent,
  RoomKind,
  RoomSchema,
  RoomStatus,
} from "../../gen/trunkline/v1/message_pb.js";
import type { MessageChange } from "../../ports/archive.js";
import type { RoomRef } from "../../ports/room-ref.js";
import { RoomMessages } from "../message/room-messages.js";
import { everydayReader, isAnnouncements } from "./announcements.js";
import { isActivity } from "./idle.js";
import { SubRooms } from "./sub-rooms.js";
import { UserState } from "./user-state.js";

/** A user's standing in a room. `member` is undefined for who is not, or no longer, a member. */
export interface Standing {
  readonly member: Member | undefined;
  readonly banned: boolean;
  /** When they last published while the room was in slow mode, also as the member they were before: leaving does not reset it. */
  readonly slowPublishedAt: Timestamp | undefined;
}

/** What an event changed beside the room itself. */
export interface Changed {
  /** Users whose standing it changed. */
  readonly users: readonly string[];
  /** Messages it changed after they were created. */
  readonly messages: readonly string[];
}

const NOBODY: readonly string[] = [];
const NOTHING: Changed = { users: NOBODY, messages: [] };

const STRANGER: Standing = { member: undefined, banned: false, slowPublishedAt: undefined };

/**
 * The state that commands are judged on: durable and tentative events alike. `apply` changes it in place: an actor whose append
 * failed is dropped, never rolled back, so no older state is ever wanted. Values inside are replaced, never changed.
 */
export class RoomState {
  readonly ref: RoomRef;
  /** The room that this one is under, whose members it has. Of the same shard, so that both are always of one moment. */
  readonly root: RoomState | undefined;
  /** There once asked for: most rooms have none under them. */
  #subRooms: SubRooms | undefined;
  /** As its own events say. Undefined: never created. `top`, `lastMessageIndex` and `memberCount` are kept beside it. */
  #room: Room | undefined;
  /** What it is under a root that is not active, made once. */
  #covered: { readonly by: Room | undefined; readonly own: Room; readonly room: Room } | undefined;
  seq = 0;
  tag = 0;
  /** The last event that members and messages are as of: behind `seq` while what the room's document has already is folded in again. */
  #foldedSeq = 0;
  /** The last event that a member's document is as of, of those that were loaded. Beyond `seq`: it was written after the room's was read. */
  loadedSeq = 0;
  lastMessageIndex = 0;
  /** When it was last used, in milliseconds since 1970; a root's with what is known of rooms under it. 0: not known. */
  activeAtMs = 0;
  #membersSeq = 0;
  #memberCount = 0;
  ownerCount = 0;
  /** message_ids, oldest pin first. */
  pinned: readonly string[] = [];
  /** The users of a direct room. */
  directUsers: readonly string[] = [];
  /** Of a direct room: whether one of its users has blocked the other, as last seen. Said by whoever prepares a turn. */
  blocked = false;
  /** Whether everybody of the tenant reads it who is not banned, members or not. */
  readonly #isAnnouncements: boolean;
  /** Of an inbox; there once asked for. */
  #user: UserState | undefined;
  readonly messages: RoomMessages;
  /** The users whose standing has been needed; whoever is absent has not been loaded. */
  readonly #standings = new Map<string, Standing>();

  /** `membersSeq`: the last event that may have changed who is a member, where that is known. */
  constructor(ref: RoomRef, document: RoomDocument | undefined, root?: RoomState, membersSeq?: number) {
    this.ref = ref;
    this.root = root;
    this.messages = new RoomMessages(ref.roomId);
    if (document?.user !== undefined) this.#user = new UserState(document.user);
    this.#isAnnouncements = isAnnouncements(ref.roomId);
    if (document?.room === undefined) return;
    this.#room = document.room;
    this.seq = document.room.top?.seq ?? 0;
    this.tag = document.room.top?.tag ?? 0;
    this.#foldedSeq = this.seq;
    this.#membersSeq = membersSeq ?? this.seq;
    this.lastMessageIndex = document.room.lastMessageIndex;
    this.activeAtMs = document.activeAtMs;
    this.#memberCount = document.room.memberCount;
    this.ownerCount = document.ownerCount;
    this.directUsers = document.directUsers;
    this.pinned = document.room.pinnedMessageIds;
  }

  /** As a root: the rooms under it. */
  get subRooms(): SubRooms {
    this.#subRooms ??= new SubRooms();
    return this.#subRooms;
  }

  /** Of an inbox: what its user keeps for themselves. */
  get user(): UserState {
    this.#user ??= new UserState(undefined);
    return this.#user;
  }

  /** The room as it stands, with what its root makes of it. */
  get room(): Room | undefined {
    const own = this.#room;
    if (this.root === undefined || own === undefined) return own;
    const by = this.root.room;
    if (by?.status === RoomStatus.ACTIVE) return own;
    if (this.#covered === undefined || this.#covered.by !== by || this.#covered.own !== own) {
      this.#covered = { by, own, room: coveredBy(by, own) };
    }
    return this.#covered.room;
  }

  /** The room as its own events say, whatever its root is. */
  get own(): Room | undefined {
    return this.#room;
  }

  get memberCount(): number {
    return this.root?.memberCount ?? this.#memberCount;
  }

  /** Whether more people than these read it, so that not each of them is told of everything. */
  isWiderThan(members: number): boolean {
    return this.#isAnnouncements || this.memberCount > members;
  }

  /** The last event, of the room whose members it has, that may have changed who is a member. */
  get membersSeq(): number {
    return this.root?.membersSeq ?? this.#membersSeq;
  }

  /** The last event of the room whose members it has: what somebody's rights are as of. */
  get accessSeq(): number {
    return this.root?.seq ?? this.seq;
  }

  /** How many standings are kept in memory. */
  get loaded(): number {
    return this.#standings.size;
  }

  /** Whether what concerns the user is known here, that of the root aside. */
  knows(userId: string): boolean {
    if (this.#room === undefined || this.#standings.has(userId)) return true;
    // Nothing is kept of them here but when they last spoke.
    return this.root !== undefined && (this.#room.settings?.slowModeMs ?? 0) === 0;
  }

  /** Takes in what the archive says of a user, unless an event has said something newer. */
  load(userId: string, document: MemberDocument | undefined): void {
    if (this.#standings.has(userId)) return;
    this.loadedSeq = Math.max(this.loadedSeq, document?.appliedSeq ?? 0);
    this.#standings.set(
      userId,
      document === undefined
        ? STRANGER
        : {
            member: document.left ? undefined : document.member,
            banned: document.banned,
            slowPublishedAt: document.slowPublishedAt,
          },
    );
  }

  /** Forgets standings; only when every event is archived. */
  unload(): void {
    this.messages.unload();
    this.#standings.clear();
  }

  standing(userId: string): Standing {
    if (this.root === undefined) {
      const known = this.#standing(userId);
      return this.#isAnnouncements ? { ...known, member: this.member(userId) } : known;
    }
    return { ...this.root.standing(userId), slowPublishedAt: this.#standing(userId).slowPublishedAt };
  }

  member(userId: string): Member | undefined {
    if (this.root !== undefined) return this.root.member(userId);
    const known = this.#standings.get(userId);
    if (!this.#isAnnouncements || known?.member !== undefined) return known?.member;
    // Who has not been loaded may be banned.
    return known === undefined || known.banned ? undefined : everydayReader(userId);
  }

  /** The member as somebody has made them: not who reads the announcements as everybody does. */
  recorded(userId: string): Member | undefined {
    return this.root === undefined ? this.#standing(userId).member : this.root.recorded(userId);
  }

  #standing(userId: string): Standing {
    return this.#standings.get(userId) ?? STRANGER;
  }

  /** The room as of now, for an answer. */
  view(): Room | undefined {
    return this.#asOfNow(this.room);
  }

  #asOfNow(of: Room | undefined): Room | undefined {
    if (of === undefined) return undefined;
    const room = clone(RoomSchema, of);
    room.top = create(PositionSchema, { seq: this.seq, tag: this.tag });
    room.lastMessageIndex = this.lastMessageIndex;
    room.memberCount = this.memberCount;
    room.pinnedMessageIds = [...this.pinned];
    return room;
  }

  /** The document as of now. */
  document(): RoomDocument {
    return create(RoomDocumentSchema, {
      tenantId: this.ref.tenantId,
      room: this.#asOfNow(this.#room),
      appliedSeq: this.seq,
      ownerCount: this.ownerCount,
      directUsers: [...this.directUsers],
      activeAtMs: this.activeAtMs,
      ...(this.#room?.kind === RoomKind.INBOX && { user: this.#user?.document() }),
    });
  }

  memberDocument(userId: string): MemberDocument {
    const { member, banned, slowPublishedAt } = this.#standing(userId);
    return create(MemberDocumentSchema, {
      member: member ?? create(MemberSchema, { userId }),
      appliedSeq: this.#foldedSeq,
      left: member === undefined,
      banned,
      slowPublishedAt,
    });
  }

  /** What has become of a message that has changed. */
  messageChange(messageId: string): MessageChange | undefined {
    const messageIndex = this.messages.get(messageId)?.messageIndex;
    if (messageIndex === undefined) return undefined;
    return { room: this.ref, messageIndex, document: this.messages.document(messageId, this.#foldedSeq) };
  }

  /**
   * Folds one event in and returns what else than the room it changed. Unknown kinds only advance the position. One that the room's document
   * has already, as where an archive was written in part, changes what the documents of members and messages may lack of it.
   */
  apply(event: RoomEvent): Changed {
    const isNews = (event.position?.seq ?? 0) > this.seq;
    this.#foldedSeq = event.position?.seq ?? this.#foldedSeq;
    const users = isNews ? this.#applyToRoom(event) : this.#applyToMembers(event);
    if (isNews && isActivity(event.kind)) this.#noteActivity(event.createdAt);
    if (users.length > 0) this.#membersSeq = this.seq;
    const messages = this.messages.apply(event);
    return users.length === 0 && messages.length === 0 ? NOTHING : { users, messages };
  }

  /** Returns the users whose standing was changed. */
  #applyToRoom(event: RoomEvent): readonly string[] {
    this.seq = event.position?.seq ?? this.seq;
    this.tag = event.position?.tag ?? this.tag;
    const { kind } = event;
    switch (kind.case) {
      case "messageCreated":
        this.lastMessageIndex = kind.value.messageIndex;
        return this.#noteForSlowMode(event);
      case "messagePinned":
        this.#pin(kind.value.messageId, kind.value.pinned);
        return NOBODY;
      case "messageDeleted":
        this.#pin(kind.value.messageId, false);
        return NOBODY;
      case "settingChanged":
      case "userBlocked":
        this.user.apply(event);
        return NOBODY;
      case "roomCreated":
        this.#room = kind.value.room;
        this.root?.subRooms.note(this.ref.roomId, true);
        if (this.#room?.kind === RoomKind.DIRECT) this.directUsers = kind.value.members.map(({ userId }) => userId);
        for (const member of kind.value.members) this.#set(member.userId, member, false);
        return kind.value.members.map((member) => member.userId);
      case "roomUpdated":
        this.#room = kind.value.room;
        return NOBODY;
      case "roomDeleted":
        this.#room = deleted(this.#room, this.ref.roomId);
        this.root?.subRooms.note(this.ref.roomId, false);
        this.pinned = [];
        return NOBODY;
      case "memberJoined":
      case "memberChanged": {
        const { member } = kind.value;
        if (member === undefined) return NOBODY;
        this.#set(member.userId, member, false);
        return [member.userId];
      }
      case "memberLeft":
        this.#set(kind.value.userId, undefined, kind.value.banned);
        return [kind.value.userId];
      default:
        return NOBODY;
    }
  }

  /** The same for members alone: the room counts them already. */
  #applyToMembers({ kind }: RoomEvent): readonly string[] {
    const stand = (userId: string, member: Member | undefined, banned: boolean): void => {
      this.#standings.set(userId, { ...this.#standing(userId), member, banned });
    };
    switch (kind.case) {
      case "roomCreated":
        for (const member of kind.value.members) stand(member.userId, member, false);
        return kind.value.members.map(({ userId }) => userId);
      case "memberJoined":
      case "memberChanged":
        if (kind.value.member === undefined) return NOBODY;
        stand(kind.value.member.userId, kind.value.member, false);
        return [kind.value.member.userId];
      case "memberLeft":
        stand(kind.value.userId, undefined, kind.value.banned);
        return [kind.value.userId];
      default:
        return NOBODY;
    }
  }

  #noteActivity(at: Timestamp | undefined): void {
    if (at === undefined) return;
    const atMs = Number(at.seconds) * 1_000 + Math.floor(at.nanos / 1e6);
    this.activeAtMs = atMs;
    if (this.root !== undefined) this.root.activeAtMs = atMs;
  }

  #pin(messageId: string, pinned: boolean): void {
    const others = this.pinned.filter((each) => each !== messageId);
    if (pinned) this.pinned = [...others, messageId];
    else if (others.length < this.pinned.length) this.pinned = others;
  }

  /** Part of the state, not of an actor's memory: an actor may be dropped sooner than slow mode lets the user speak again. */
  #noteForSlowMode({ actor, createdAt }: RoomEvent): readonly string[] {
    if ((this.#room?.settings?.slowModeMs ?? 0) === 0 || actor === undefined) return NOBODY;
    // A service's doing, which slow mode is not for.
    if (actor.serviceId !== "") return NOBODY;
    if (this.recorded(actor.userId) === undefined) return NOBODY;
    this.#standings.set(actor.userId, { ...this.#standing(actor.userId), slowPublishedAt: createdAt });
    return [actor.userId];
  }

  #set(userId: string, member: Member | undefined, banned: boolean): void {
    const { member: before, slowPublishedAt } = this.#standing(userId);
    this.#memberCount += Number(member !== undefined) - Number(before !== undefined);
    this.ownerCount += Number(member?.role === Role.OWNER) - Number(before?.role === Role.OWNER);
    this.#standings.set(userId, { member, banned, slowPublishedAt });
  }
}

/** What a room is whose root is not active. */
function coveredBy(root: Room | undefined, own: Room): Room {
  if (root?.status !== RoomStatus.ARCHIVED) return deleted(own, own.roomId);
  return own.status === RoomStatus.ACTIVE ? { ...own, status: RoomStatus.ARCHIVED } : own;
}

/** Only the fact stays: what the room was is nobody's any more. */
function deleted(room: Room | undefined, roomId: string): Room {
  return create(RoomSchema, { roomId, kind: room?.kind, status: RoomStatus.DELETED, parentId: room?.parentId });
}
