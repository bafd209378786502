// The judgement of commands about messages.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Message,
  MessageCreatedSchema,
  MessageDeletedSchema,
  MessageEditedSchema,
  MessagePinnedSchema,
  Permission,
  ReactionSetSchema,
  RoomStatus,
} from "../../gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../ports/error.js";
import { hasExpired } from "../message/materialise.js";
import type { Caller } from "./calls.js";
import type { Command, EventKind } from "./command.js";
import { changeOf } from "./permission-of.js";
import { isService, permit, requireUnblocked } from "./permissions.js";
import type { RoomState } from "./state.js";

type Of<K extends Command["kind"]> = Extract<Command, { kind: K }>;

/** Different emoji on one message. */
const MAX_EMOJI = 50;
/** Users that set the same one. */
const MAX_REACTION_USERS = 1_000;
const MAX_PINS = 50;

export function decidePublish(
  state: RoomState,
  caller: Caller,
  command: Of<"publish">,
  nowMs: number,
): readonly EventKind[] {
  const room = permit(state, caller, Permission.PUBLISH, nowMs);
  requireUnblocked(state, caller);
  const { body, key, replyTo, threadRoot, mentions, metadata, forwardedFrom } = command;
  if (replyTo !== "" && state.messages.get(replyTo) === undefined) throw noSuchMessage("publish.reply_to");
  if (threadRoot !== "") requireRoot(state, threadRoot);
  const livesMs = command.expiresAfterMs ?? room.settings?.retentionMs ?? 0;
  return [
    {
      case: "messageCreated",
      value: create(MessageCreatedSchema, {
        body,
        messageIndex: state.lastMessageIndex + 1,
        clientMessageId: key,
        replyTo,
        threadRoot,
        mentions,
        metadata,
        forwardedFrom,
        expiresAt: livesMs === 0 ? undefined : timestampFromMs(nowMs + livesMs),
      }),
    },
  ];
}

export function decideDeliver(state: RoomState, { identity }: Caller, command: Of<"deliver">): EventKind {
  if (!isService(identity)) throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "only services write into inboxes");
  const { body, key, metadata } = command;
  const messageIndex = state.lastMessageIndex + 1;
  return {
    case: "messageCreated",
    value: create(MessageCreatedSchema, { body, messageIndex, clientMessageId: key, metadata }),
  };
}

/** Threads have one level: a thread's message is no root of another. */
function requireRoot(state: RoomState, messageId: string): void {
  const root = state.messages.get(messageId);
  if (root === undefined) throw noSuchMessage("publish.thread_root");
  if (root.threadRoot !== "") {
    throw TrunklineError.invalid("publish.thread_root", "that message is itself in a thread: name the thread's first");
  }
}

export function decideEdit(state: RoomState, caller: Caller, command: Of<"edit">, nowMs: number): readonly EventKind[] {
  permit(state, caller, Permission.READ, nowMs);
  const message = requireMessage(state, command.messageId, nowMs);
  permit(state, caller, changeOf(message, caller, Permission.EDIT_OWN, Permission.EDIT_ANY), nowMs);
  if (message.body?.kind.case === "system" && !isService(caller.identity)) {
    throw new TrunklineError(ErrorCode.PERMISSION_DENIED, "only services change system messages");
  }
  if (command.baseVersion !== 0 && command.baseVersion !== message.version) {
    throw new TrunklineError(ErrorCode.CONFLICT, "the message has changed since", {
      field: "base_version",
      details: { current_version: String(message.version) },
    });
  }
  const { messageId, body, mentions, metadata = message.metadata } = command;
  const version = message.version + 1;
  const value = create(MessageEditedSchema, { messageId, body, version, mentions, metadata });
  return [{ case: "messageEdited", value }];
}

export function decideDeleteMessage(
  state: RoomState,
  caller: Caller,
  command: Of<"deleteMessage">,
  nowMs: number,
): readonly EventKind[] {
  const { messageId, expired } = command;
  const message = state.messages.get(messageId);
  if (expired) {
    // Its room may have gone since it was found to be over.
    if (state.room === undefined || state.room.status === RoomStatus.DELETED) return [];
    if (message === undefined || message.deleted || !hasExpired(message, nowMs)) return [];
  } else {
    permit(state, caller, Permission.READ, nowMs);
    if (message === undefined) throw noSuchMessage("message_id");
    permit(state, caller, changeOf(message, caller, Permission.DELETE_OWN, Permission.DELETE_ANY), nowMs);
    if (message.deleted) return [];
  }
  const version = message.version + 1;
  return [{ case: "messageDeleted", value: create(MessageDeletedSchema, { messageId, version, expired }) }];
}

export function decideReact(
  state: RoomState,
  caller: Caller,
  command: Of<"react">,
  nowMs: number,
): readonly EventKind[] {
  permit(state, caller, Permission.REACT, nowMs);
  const { messageId, emoji, on } = command;
  const { reactions } = requireMessage(state, messageId, nowMs);
  const reaction = reactions.find((each) => each.emoji === emoji);
  if (on === (reaction?.userIds.includes(caller.identity.userId) ?? false)) return [];
  if (on && reaction === undefined && reactions.length >= MAX_EMOJI) throw tooMany("different reactions", MAX_EMOJI);
  if (on && (reaction?.count ?? 0) >= MAX_REACTION_USERS) throw tooMany("users with this reaction", MAX_REACTION_USERS);
  return [{ case: "reactionSet", value: create(ReactionSetSchema, { messageId, emoji, on }) }];
}

export function decidePin(state: RoomState, caller: Caller, command: Of<"pin">, nowMs: number): readonly EventKind[] {
  permit(state, caller, Permission.PIN, nowMs);
  const { messageId, pinned } = command;
  const message = requireMessage(state, messageId, nowMs);
  if (message.pinned === pinned) return [];
  if (pinned && state.pinned.length >= MAX_PINS) throw tooMany("pinned messages", MAX_PINS);
  return [{ case: "messagePinned", value: create(MessagePinnedSchema, { messageId, pinned }) }];
}

/** A message that is there and says something. */
function requireMessage(state: RoomState, messageId: string, nowMs: number): Message {
  const message = state.messages.get(messageId);
  if (message === undefined || message.deleted || hasExpired(message, nowMs)) throw noSuchMessage("message_id");
  return message;
}

function noSuchMessage(field: string): TrunklineError {
  return new TrunklineError(ErrorCode.NOT_FOUND, `${field}: there is no such message in the room`, { field });
}

function tooMany(what: string, limit: number): TrunklineError {
  return new TrunklineError(ErrorCode.LIMIT_EXCEEDED, `too many ${what}`, { details: { limit: String(limit) } });
}
