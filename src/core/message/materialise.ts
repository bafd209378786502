// A message as it stands now: from its creating event, or from its document once it has changed.

import { create } from "@bufbuild/protobuf";
import { type Message, MessageSchema } from "../../gen/trunkline/v1/message_pb.js";
import type { StoredMessage } from "../../ports/archive.js";

/** Undefined: no message was created by the event. */
export function materialise(roomId: string, stored: StoredMessage): Message | undefined {
  if (stored.document?.message !== undefined) return stored.document.message;
  const event = stored.created?.event;
  if (event?.kind.case !== "messageCreated") return undefined;
  const { body, messageIndex, clientMessageId, replyTo, threadRoot, mentions, metadata, expiresAt } = event.kind.value;
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
  });
}
