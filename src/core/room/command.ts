// What somebody asks of a room, and what comes of it.

import type { JsonObject } from "@bufbuild/protobuf";
import type {
  Body,
  JoinRule,
  Member,
  Mention,
  Origin,
  Permission,
  Role,
  Room,
  RoomEvent,
  RoomSettings,
  RoomStatus,
} from "../../gen/trunkline/v1/message_pb.js";
import { RoomKind } from "../../gen/trunkline/v1/message_pb.js";
import type { Caller } from "./calls.js";

/** What every command carries: the caller's idempotency key, and which try this is. */
export interface Keyed {
  readonly key: string;
  readonly attempt: number;
}

export interface NewMember {
  readonly userId: string;
  readonly role: Role;
}

export type Command = Keyed &
  (
    | {
        readonly kind: "publish";
        readonly body: Body;
        readonly replyTo: string;
        readonly threadRoot: string;
        readonly mentions: Mention[];
        readonly metadata: JsonObject | undefined;
        /** Undefined: as long as the room's messages live. */
        readonly expiresAfterMs?: number | undefined;
        readonly forwardedFrom?: Origin | undefined;
      }
    | {
        readonly kind: "edit";
        readonly messageId: string;
        readonly body: Body;
        readonly mentions: Mention[];
        /** Undefined: unchanged. */
        readonly metadata: JsonObject | undefined;
        /** 0: whatever it is. */
        readonly baseVersion: number;
      }
    /** `expired`: only if its time is over; asked by the system. */
    | { readonly kind: "deleteMessage"; readonly messageId: string; readonly expired: boolean }
    | { readonly kind: "react"; readonly messageId: string; readonly emoji: string; readonly on: boolean }
    | { readonly kind: "pin"; readonly messageId: string; readonly pinned: boolean }
    /** Something for a user's inbox, by the system. The inbox is made where there is none. */
    | { readonly kind: "tell"; readonly userId: string; readonly event: EventKind }
    /** Of the caller's own inbox, which is made where there is none. */
    | {
        readonly kind: "setSettings";
        readonly settings: readonly {
          readonly key: string;
          /** Empty: there shall be none. */
          readonly value: Uint8Array;
          /** 0: whatever it is. */
          readonly baseVersion: number;
        }[];
      }
    | { readonly kind: "block"; readonly other: string; readonly blocked: boolean }
    | { readonly kind: "hide"; readonly roomId: string; readonly messageId: string; readonly messageIndex: number }
    /** A service's message for a user's inbox. The inbox is made where there is none. */
    | {
        readonly kind: "deliver";
        readonly userId: string;
        readonly body: Body;
        readonly metadata: JsonObject | undefined;
      }
    /** Makes the user's inbox, where there is none. */
    | { readonly kind: "openInbox"; readonly userId: string }
    | {
        readonly kind: "create";
        readonly roomKind: RoomKind;
        readonly name: string;
        readonly members: readonly NewMember[];
        readonly joinRule: JoinRule;
        readonly metadata: JsonObject | undefined;
        readonly settings: RoomSettings | undefined;
      }
    | {
        readonly kind: "update";
        /** 0: whatever it is. */
        readonly baseVersion: number;
        readonly name: string | undefined;
        readonly metadata: JsonObject | undefined;
        readonly settings: RoomSettings | undefined;
        readonly joinRule: JoinRule;
        readonly status: RoomStatus;
      }
    | { readonly kind: "delete" }
    /** By the system: the room that it is under was deleted. */
    | { readonly kind: "deleteWithRoot" }
    /** By the system: nothing has happened in the room since then, in milliseconds since 1970, for as long as it may be so. */
    | { readonly kind: "archiveIdle"; readonly activeAtMs: number }
    | { readonly kind: "join" }
    /**
     * The application says that the user is in the room; UNSPECIFIED: in the usual role, or the one they have. `entering`: whoever is no
     * member becomes one; else it is only a member's role.
     */
    | { readonly kind: "admit"; readonly userId: string; readonly role: Role; readonly entering: boolean }
    /** The application says that they are not. */
    | { readonly kind: "expel"; readonly userId: string }
    | { readonly kind: "leave" }
    | { readonly kind: "add"; readonly members: readonly NewMember[] }
    | { readonly kind: "remove"; readonly userId: string; readonly ban: boolean }
    | {
        readonly kind: "set";
        readonly userId: string;
        /** UNSPECIFIED: unchanged. */
        readonly role: Role;
        readonly overrides:
          | { readonly granted: readonly Permission[]; readonly denied: readonly Permission[] }
          | undefined;
        /** 0: no longer muted; undefined: unchanged. */
        readonly muteForMs: number | undefined;
      }
  );

export type EventKind = RoomEvent["kind"];

const MADE: Readonly<Record<Exclude<Command["kind"], "tell">, EventKind["case"]>> = {
  openInbox: "roomCreated",
  setSettings: "settingChanged",
  block: "userBlocked",
  hide: "messageHidden",
  publish: "messageCreated",
  deliver: "messageCreated",
  edit: "messageEdited",
  deleteMessage: "messageDeleted",
  react: "reactionSet",
  pin: "messagePinned",
  create: "roomCreated",
  update: "roomUpdated",
  delete: "roomDeleted",
  deleteWithRoot: "roomDeleted",
  archiveIdle: "roomUpdated",
  join: "memberJoined",
  admit: "memberJoined",
  expel: "memberLeft",
  leave: "memberLeft",
  add: "memberJoined",
  remove: "memberLeft",
  set: "memberChanged",
};

/** The case of the events that a command makes: tells a repeat from another use of the same key. */
export function madeBy(command: Command): EventKind["case"] {
  return command.kind === "tell" ? command.event.case : MADE[command.kind];
}

/** What came of a command. */
export interface Outcome {
  /** The place of the (last) event, or the room's top where nothing had to change. */
  readonly seq: number;
  readonly tag: number;
  readonly eventId: string;
  readonly createdAtMs: number;
  readonly messageIndex: number;
  /** The version of the message that was changed; 0 for changes of the room. */
  readonly version: number;
  /** The case of the events that came of it. */
  readonly made: EventKind["case"];
  /** The key was used before: the place is that of the first time. */
  readonly duplicate: boolean;
  /** The room and the members named, as of the turn; not for messages, nor for a repeat of who may not read the room any more. */
  readonly room: Room | undefined;
  readonly members: readonly Member[];
}

/** Whether it concerns a message and not the room itself. */
export function isAboutMessage({ kind }: Command): boolean {
  return ABOUT_MESSAGE.has(kind);
}

const ABOUT_MESSAGE: ReadonlySet<Command["kind"]> = new Set([
  "publish",
  "deliver",
  "edit",
  "deleteMessage",
  "react",
  "pin",
]);

/** Whether it makes a message: what slow mode and the room's rate are for. */
export function isNewMessage({ kind }: Command): boolean {
  return kind === "publish" || kind === "deliver";
}

/** The two users of the direct room that a command is about to make or to speak in, unless it cannot be told yet. */
export function pairOf(caller: Caller, command: Command, directUsers: readonly string[]): readonly string[] {
  if (command.kind === "publish") return directUsers;
  if (command.kind !== "create" || command.roomKind !== RoomKind.DIRECT) return NONE;
  return [caller.identity.userId, ...command.members.map(({ userId }) => userId)];
}

/** The messages a command is judged on. */
export function messagesOf(command: Command): readonly string[] {
  switch (command.kind) {
    case "publish":
      return command.replyTo === "" && command.threadRoot === "" ? NONE : [command.replyTo, command.threadRoot];
    case "edit":
    case "deleteMessage":
    case "react":
    case "pin":
      return [command.messageId];
    default:
      return NONE;
  }
}

const NONE: readonly string[] = [];

/** The users whose standing a command is judged on. */
export function usersOf(caller: Caller, command: Command): readonly string[] {
  if (command.kind === "admit" || command.kind === "expel") return [command.userId];
  const own = caller.identity.userId;
  // The system is nobody, and asks for nothing that concerns others.
  if (own === "") return NONE;
  switch (command.kind) {
    case "add":
    case "create":
      return [own, ...command.members.map((member) => member.userId)];
    case "remove":
    case "set":
      return [own, command.userId];
    case "deliver":
      // Judged by its grant alone.
      return NONE;
    default:
      // The user acted for is shown by the name they have in the room.
      return caller.onBehalfOf === undefined ? [own] : [own, caller.onBehalfOf];
  }
}
