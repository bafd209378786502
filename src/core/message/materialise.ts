// A message as it stands now: from its creating event, or from its document once it has changed.

import { clone, create } from "@bufbuild/protobuf";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type Message, MessageSchema, type RoomEvent } from "../../gen/trunkline/v1/message_pb.js";
import type { StoredMessage } from "../../ports/archive.js";

/** Users named with a reaction, at most; the count tells of the others. */
const MAX_REACTION_USERS = 100;

/** The message for whoever reads the room. Undefined: no message was created by the event. */
export function materialise(roomId: string, stored: StoredMessage): Message | undefined {
  const { document, created } = stored;
  if (document?.message !== undefined) return shown(document.message);
  return created && createdMessage(roomId, created.event);
}

/** A message with no more users of each reaction than are shown. */
export function shown(message: Message): Message {
  if (message.reactions.every(({ userIds }) => userIds.length <= MAX_REACTION_USERS)) return message;
  const copy = clone(MessageSchema, message);
  for (const reaction of copy.reactions)
    reaction.userIds.length = Math.min(reaction.userIds.length, MAX_REACTION_USERS);
  return copy;
}

/** The message right after the event that created it. */
export function createdMessage(roomId: string, event: RoomEvent): Message | undefined {
  if (event.kind.case !== "messageCreated") return undefined;
  const { messageIndex, body, clientMessageId, replyTo, threadRoot, mentions, metadata, expiresAt, forwardedFrom } =
    event.kind.value;
  return create(MessageSchema, {
    messageId: event.eventId,
    roomId,
    position: event.position,
    messageIndex,
    createdAt: event.createdAt,
    sender: event.actor,
    body,
    replyTo,
    threadRoot,
    mentions,
    metadata,
    expiresAt,
    version: 1,
    clientMessageId,
    forwardedFrom,
  });
}

/** Whether its time is over. */
export function hasExpired({ expiresAt }: Message, nowMs: number): boolean {
  return expiresAt !== undefined && timestampMs(expiresAt) <= nowMs;
}
