// One room as the checker has it from the log: every event, and who could do what when. Its own fold and its own table of rights,
// so that a fault in the core's is found, not repeated.

import { nextTag } from "../../src/core/room/position.js";
import {
  JoinRule,
  type Member,
  Permission,
  Role,
  type RoomEvent,
  RoomKind,
  RoomStatus,
} from "../../src/gen/trunkline/v1/message_pb.js";
import { MessageRecords } from "./message-record.js";
import { UserRecord } from "./user-record.js";

const MEMBER_RIGHTS = [
  Permission.READ,
  Permission.PUBLISH,
  Permission.EDIT_OWN,
  Permission.DELETE_OWN,
  Permission.REACT,
];
const ADMIN_RIGHTS = [
  ...MEMBER_RIGHTS,
  Permission.EDIT_ANY,
  Permission.DELETE_ANY,
  Permission.PIN,
  Permission.INVITE,
  Permission.REMOVE,
  Permission.SET_ROLES,
  Permission.UPDATE_ROOM,
  Permission.CREATE_SUB_ROOMS,
];

const ANNOUNCEMENTS = "/~announcements";

/** The tenant whose application says who may be in its channels. */
export const GOVERNED_TENANT = "globex";

/** What a message says whose words the application has changed. */
export function changedWords(text: string): string {
  return `${text} (changed)`;
}

function isGoverned(room: RoomRecord): boolean {
  const { kind, key, isAnnouncements } = room.root ?? room;
  return kind === RoomKind.CHANNEL && !isAnnouncements && key.startsWith(`${GOVERNED_TENANT}/`);
}

const ROLE_RIGHTS: ReadonlyMap<Role, readonly Permission[]> = new Map([
  [Role.READER, [Permission.READ]],
  [Role.MEMBER, MEMBER_RIGHTS],
  [Role.ADMIN, ADMIN_RIGHTS],
  [Role.OWNER, [...ADMIN_RIGHTS, Permission.DELETE_ROOM]],
]);

/** Lower is mightier: the numbers of the contract. */
function outranks(one: Role, other: Role): boolean {
  return one === Role.OWNER || one < other;
}

type ChangeKind = Extract<
  RoomEvent["kind"],
  { case: "messageEdited" | "messageDeleted" | "reactionSet" | "messagePinned" }
>;

/** Events that say who is in a room. */
const MEMBERSHIP: ReadonlySet<string> = new Set(["memberJoined", "memberLeft", "memberChanged"]);

const EVERYDAY_READER = { role: Role.READER, granted: [], denied: [], mutedUntil: undefined };

/** The end of somebody's right to read. */
interface Loss {
  readonly seq: number;
  readonly isAfter: (event: RoomEvent) => boolean;
}

interface ReadChange {
  readonly seq: number;
  readonly mayRead: boolean;
}

export class RoomRecord {
  readonly key: string;
  /** The room that this one is under, whose members it has. */
  readonly root: RoomRecord | undefined;
  /** Whether everybody of the tenant reads it who is not banned. */
  readonly isAnnouncements: boolean;
  readonly events: RoomEvent[] = [];
  readonly eventIds = new Set<string>();
  readonly members = new Map<string, Member>();
  readonly #banned = new Set<string>();
  readonly #reading = new Map<string, ReadChange[]>();
  #kind = RoomKind.UNSPECIFIED;
  #status = RoomStatus.UNSPECIFIED;
  #joinRule = JoinRule.UNSPECIFIED;
  #version = 0;
  lastMessageIndex = 0;
  readonly messages = new MessageRecords();
  deletedAt: number | undefined;
  /** Of an inbox: what its user keeps there. */
  user: UserRecord | undefined;

  constructor(key: string, root?: RoomRecord) {
    this.key = key;
    this.root = root;
    this.isAnnouncements = key.endsWith(ANNOUNCEMENTS);
  }

  /** Whether the application says who is in it. */
  get isGoverned(): boolean {
    return isGoverned(this);
  }

  get kind(): RoomKind {
    return this.#kind;
  }

  /** Whether it has ended, or the one that it is under. */
  get isGone(): boolean {
    return this.deletedAt !== undefined || this.root?.deletedAt !== undefined;
  }

  get top(): number {
    return this.events.length;
  }

  get tag(): number {
    return this.tagAt(this.top) ?? 0;
  }

  at(seq: number): RoomEvent | undefined {
    return this.events[seq - 1];
  }

  tagAt(seq: number): number | undefined {
    return seq === 0 ? 0 : this.at(seq)?.position?.tag;
  }

  /** Whether the user could read when the room's top was `seq`; of a room under another: then, or at any time after it. */
  mayRead(userId: string, seq: number): boolean {
    if (this.deletedAt !== undefined && seq >= this.deletedAt) return false;
    if (this.root !== undefined) return this.root.mayReadFrom(userId, this.#rootSeq(seq));
    const change = this.#reading.get(userId)?.findLast((each) => each.seq <= seq);
    return change?.mayRead ?? (this.isAnnouncements && seq > 0);
  }

  /** Whether the user could read at `seq`, or at any time after it. */
  mayReadFrom(userId: string, seq: number): boolean {
    return (
      this.mayRead(userId, seq) ||
      this.#reading.get(userId)?.some((change) => change.seq > seq && change.mayRead) === true
    );
  }

  /** Whether the right to read was taken away after the event at `seq`. */
  isLostAfter(userId: string, seq: number): boolean {
    if (this.root === undefined) return this.lossAfter(userId, seq) !== undefined;
    return this.deletedAt !== undefined || this.root.lossAfter(userId, this.#rootSeq(seq)) !== undefined;
  }

  /**
   * The seq, of the room whose members it has, as of which somebody was found to have the right to read who is shown this room's top: of a room under
   * another the last at which they have it, for only that room's owner knows.
   */
  authorizedAt(userId: string, top: number): number {
    if (this.root === undefined) return top;
    const from = this.#rootSeq(top);
    let at = this.root.top;
    while (at > from && !this.root.mayRead(userId, at)) at--;
    return at;
  }

  /** What took the right away that somebody had at `authorizedAt`: every event that `isAfter` it is not for them. */
  lossSince(userId: string, authorizedAt: number): Loss | undefined {
    const seq = (this.root ?? this).lossAfter(userId, authorizedAt);
    if (this.root === undefined) return seq === undefined ? undefined : { seq, isAfter: (event) => seqOf(event) > seq };
    if (seq !== undefined) return { seq, isAfter: (event) => event.rootSeq >= seq };
    return this.deletedAt === undefined ? undefined : { seq: this.deletedAt, isAfter: () => false };
  }

  /** How far the room that this one is under had come. */
  #rootSeq(seq: number): number {
    return this.at(seq)?.rootSeq ?? 0;
  }

  /** The first seq after `seq` that took the right to read away. */
  lossAfter(userId: string, seq: number): number | undefined {
    const loss = this.#reading.get(userId)?.find((change) => change.seq > seq && !change.mayRead)?.seq;
    return loss === undefined ? this.deletedAt : Math.min(loss, this.deletedAt ?? loss);
  }

  /** Takes the next event. Returns what is wrong with it, if anything. */
  take(event: RoomEvent, trusted: ReadonlySet<string>): string | undefined {
    const { seq = 0, tag = 0 } = event.position ?? {};
    if (seq !== this.top + 1) return `seq ${seq} follows ${this.top}`;
    if (tag !== nextTag(this.tag, event.eventId)) return `the tag of ${seq} does not chain`;
    if (this.eventIds.has(event.eventId)) {
      const first = this.events.find(({ eventId }) => eventId === event.eventId);
      return `${event.eventId} is stored twice: ${first?.kind.case} at ${first?.position?.seq}, ${event.kind.case} at ${seq} by ${event.actor?.userId}`;
    }
    if (this.deletedAt !== undefined) return `${seq} follows the room's deletion`;
    const rootTop = this.root?.top ?? 0;
    if (event.rootSeq !== rootTop) return `judged on ${event.rootSeq} of the room above, which is at ${rootTop}`;
    if (this.root?.deletedAt !== undefined && event.kind.case !== "roomDeleted") return "the room above was deleted";
    if ((seq === 1) !== (event.kind.case === "roomCreated")) return `${event.kind.case} at seq ${seq}`;
    const wrong = this.#judge(event, trusted) ?? this.user?.take(event);
    if (wrong !== undefined) return `${event.kind.case} at ${seq} by ${event.actor?.userId}: ${wrong}`;
    this.events.push(event);
    this.eventIds.add(event.eventId);
    this.#fold(event, seq);
    return undefined;
  }

  #judge(event: RoomEvent, trusted: ReadonlySet<string>): string | undefined {
    if (this.root !== undefined && MEMBERSHIP.has(event.kind.case ?? "")) return "it has no members of its own";
    // A service may do what its own grant allows it, in whoever's name.
    const actorId = event.actor?.serviceId || (event.actor?.userId ?? "");
    const may = (right: Permission) => trusted.has(actorId) || this.#holds(actorId, right);
    const role = trusted.has(actorId) ? Role.OWNER : (this.#member(actorId)?.role ?? Role.READER);
    const { kind } = event;
    switch (kind.case) {
      case "messageCreated":
        if (kind.value.messageIndex !== this.lastMessageIndex + 1) return `message_index ${kind.value.messageIndex}`;
        if (this.#isMuted(actorId, event)) return "muted";
        if (!may(Permission.PUBLISH) || !this.#isActive) return "may not publish";
        return this.messages.judge(event);
      case "messageEdited":
      case "messageDeleted":
      case "reactionSet":
      case "messagePinned": {
        if (kind.case === "messageDeleted" && kind.value.expired)
          return event.actor === undefined ? this.messages.judge(event) : "may not end it";
        const right = this.#rightToChange(kind, actorId);
        if (!may(right) || !this.#isActive) return "may not change the message";
        return this.messages.judge(event);
      }
      case "memberJoined": {
        const { userId = "", role: given = Role.UNSPECIFIED } = kind.value.member ?? {};
        if (this.members.has(userId)) return `${userId} is a member already`;
        // Whom the application lets in, whatever the room is set to.
        if (userId === actorId && this.isGoverned) return this.#banned.has(userId) ? "is banned" : undefined;
        if (!this.#isActive) return "the room is archived";
        if (userId === actorId) {
          const open = this.#joinRule === JoinRule.OPEN && !this.#banned.has(userId);
          return open || trusted.has(actorId) ? undefined : "may not join";
        }
        return may(Permission.INVITE) && given >= role ? undefined : "may not add";
      }
      case "memberLeft": {
        const { userId } = kind.value;
        const leaving = this.#member(userId);
        if (this.isAnnouncements && !kind.value.banned) return "nobody leaves the announcements";
        if (leaving === undefined) return `${userId} is no member`;
        if (this.isGoverned && event.actor === undefined) return undefined;
        if (this.#kind === RoomKind.DIRECT) return "nobody leaves a direct room";
        if (leaving.role === Role.OWNER && this.owners === 1) return "the last owner";
        if (userId === actorId && !kind.value.banned) return undefined;
        return may(Permission.REMOVE) && outranks(role, leaving.role) ? undefined : "may not remove";
      }
      case "memberChanged": {
        const before = this.#member(kind.value.member?.userId ?? "");
        if (before === undefined) return "is no member";
        if (this.isGoverned && event.actor === undefined) return undefined;
        if (before.role === Role.OWNER && kind.value.member?.role !== Role.OWNER && this.owners === 1)
          return "the last owner";
        if (!may(Permission.SET_ROLES) || !outranks(role, before.role)) return "may not change";
        return (kind.value.member?.role ?? Role.UNSPECIFIED) >= role ? undefined : "a role above the actor's own";
      }
      case "roomUpdated":
        if (kind.value.room?.version !== this.#version + 1) return `version ${kind.value.room?.version}`;
        return may(Permission.UPDATE_ROOM) ? undefined : "may not update";
      case "roomCreated": {
        const { parentId = "", kind: made } = kind.value.room ?? {};
        if (this.root === undefined) return parentId === "" ? undefined : "is under a room";
        if (!this.root.#isActive || !may(Permission.CREATE_SUB_ROOMS)) return "may not make a room there";
        const isUnder = this.root.key.endsWith(`/${parentId}`) && made === this.root.kind && parentId !== "";
        return isUnder && kind.value.members.length === 0 ? undefined : "is not as rooms under that one are";
      }
      case "roomDeleted":
        if (this.isAnnouncements) return "the announcements stay";
        if (this.root?.deletedAt !== undefined && event.actor === undefined) return undefined;
        return may(Permission.DELETE_ROOM) ? undefined : "may not delete";
      default:
        return undefined;
    }
  }

  #rightToChange(kind: ChangeKind, actorId: string): Permission {
    const own = this.messages.senderOf(kind.value.messageId) === actorId;
    switch (kind.case) {
      case "messageEdited":
        return own ? Permission.EDIT_OWN : Permission.EDIT_ANY;
      case "messageDeleted":
        return own ? Permission.DELETE_OWN : Permission.DELETE_ANY;
      case "reactionSet":
        return Permission.REACT;
      case "messagePinned":
        return Permission.PIN;
    }
  }

  get #isActive(): boolean {
    return this.#status === RoomStatus.ACTIVE && (this.root === undefined || this.root.#isActive);
  }

  /** A member; in the announcements everybody who is not banned. */
  #member(userId: string): Pick<Member, "role" | "granted" | "denied" | "mutedUntil"> | undefined {
    if (this.root !== undefined) return this.root.#member(userId);
    const reads = this.isAnnouncements && !this.#banned.has(userId);
    return this.members.get(userId) ?? (reads ? EVERYDAY_READER : undefined);
  }

  #holds(userId: string, right: Permission): boolean {
    const member = this.#member(userId);
    if (member === undefined || member.denied.includes(right)) return false;
    return member.granted.includes(right) || ROLE_RIGHTS.get(member.role)?.includes(right) === true;
  }

  #isMuted(userId: string, event: RoomEvent): boolean {
    const mutedUntil = this.#member(userId)?.mutedUntil;
    return mutedUntil !== undefined && event.createdAt !== undefined && mutedUntil.seconds > event.createdAt.seconds;
  }

  get owners(): number {
    return [...this.members.values()].filter(({ role }) => role === Role.OWNER).length;
  }

  #fold(event: RoomEvent, seq: number): void {
    this.messages.fold(event);
    const { kind } = event;
    switch (kind.case) {
      case "messageCreated":
        this.lastMessageIndex = kind.value.messageIndex;
        return;
      case "roomCreated":
      case "roomUpdated":
        this.#kind = kind.value.room?.kind ?? this.#kind;
        this.#status = kind.value.room?.status ?? this.#status;
        this.#joinRule = kind.value.room?.joinRule ?? this.#joinRule;
        this.#version = kind.value.room?.version ?? this.#version;
        if (kind.case === "roomCreated" && this.#kind === RoomKind.INBOX) {
          this.user = new UserRecord(kind.value.members[0]?.userId ?? "");
        }
        if (kind.case === "roomCreated") for (const member of kind.value.members) this.#set(member, seq);
        return;
      case "memberJoined":
      case "memberChanged":
        if (kind.value.member !== undefined) this.#set(kind.value.member, seq);
        return;
      case "memberLeft":
        this.members.delete(kind.value.userId);
        if (kind.value.banned) this.#banned.add(kind.value.userId);
        this.#note(kind.value.userId, seq, false);
        return;
      case "roomDeleted":
        this.deletedAt = seq;
        return;
      default:
        return;
    }
  }

  #set(member: Member, seq: number): void {
    this.members.set(member.userId, member);
    this.#banned.delete(member.userId);
    this.#note(member.userId, seq, this.#holds(member.userId, Permission.READ));
  }

  #note(userId: string, seq: number, mayRead: boolean): void {
    const changes = this.#reading.get(userId) ?? [];
    this.#reading.set(userId, changes);
    changes.push({ seq, mayRead });
  }
}

function seqOf({ position }: RoomEvent): number {
  return position?.seq ?? 0;
}
