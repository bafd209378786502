// Frames that change a room, as commands; and their outcomes, as frames.

import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { PositionSchema } from "../../gen/trunkline/v1/message_pb.js";
import * as wire from "../../gen/trunkline/v1/session_pb.js";
import { TrunklineError } from "../../ports/error.js";
import type { Identity } from "../../ports/token-verifier.js";
import type { Limits } from "../limit/limits.js";
import type { Command, Outcome } from "../room/command.js";
import * as validate from "../validate.js";

type Publish = Extract<Command, { kind: "publish" }>;

/** The command of a Publish. Where it forwards, its body is yet to be taken over. */
export function publishCommand(
  publish: wire.Publish,
  identity: Identity,
  limits: Limits,
): Omit<Publish, "body"> & { readonly body: Publish["body"] | undefined } {
  validate.validateId("publish.room_id", publish.roomId);
  validate.validateId("publish.client_message_id", publish.clientMessageId);
  if (publish.forward === undefined) validate.validateBody("publish.body", publish.body, identity, limits);
  else validateForward(publish, publish.forward);
  validate.validateOptionalId("publish.reply_to", publish.replyTo);
  validate.validateOptionalId("publish.thread_root", publish.threadRoot);
  validate.validateMentions("publish.mentions", publish.mentions);
  validate.validateMetadata("publish.metadata", publish.metadata, limits);
  const { body, replyTo, threadRoot, mentions, metadata, clientMessageId, attempt, expiresAfterMs } = publish;
  if (expiresAfterMs !== undefined) validate.validateLifetime("publish.expires_after_ms", expiresAfterMs);
  return {
    kind: "publish",
    key: clientMessageId,
    attempt,
    body,
    replyTo,
    threadRoot,
    mentions,
    metadata,
    expiresAfterMs,
  };
}

function validateForward({ body }: wire.Publish, forward: wire.MessageRef): void {
  validate.validateId("publish.forward.room_id", forward.roomId);
  validate.validateId("publish.forward.message_id", forward.messageId);
  if (body !== undefined) throw TrunklineError.invalid("publish.body", "must be absent: the forwarded message has one");
}

export function editCommand(edit: wire.EditMessage, identity: Identity, limits: Limits): Command {
  const { messageId, key, attempt, body, mentions, metadata, baseVersion } = edit;
  validateChange("edit_message", edit);
  validate.validateBody("edit_message.body", body, identity, limits);
  validate.validateMentions("edit_message.mentions", mentions);
  validate.validateMetadata("edit_message.metadata", metadata, limits);
  if (body === undefined) throw TrunklineError.invalid("edit_message.body", "is required");
  return { kind: "edit", key, attempt, messageId, body, mentions, metadata, baseVersion };
}

export function deleteCommand(frame: wire.DeleteMessage): Command {
  validateChange("delete_message", frame);
  const { messageId, key, attempt } = frame;
  return { kind: "deleteMessage", key, attempt, messageId, expired: false };
}

export function reactCommand(frame: wire.React): Command {
  validateChange("react", frame);
  validate.validateEmoji("react.emoji", frame.emoji);
  const { messageId, key, attempt, emoji, on } = frame;
  return { kind: "react", key, attempt, messageId, emoji, on };
}

function validateChange(
  frame: string,
  { roomId, messageId, key }: { readonly roomId: string; readonly messageId: string; readonly key: string },
): void {
  validate.validateId(`${frame}.room_id`, roomId);
  validate.validateId(`${frame}.message_id`, messageId);
  validate.validateId(`${frame}.key`, key);
}

export function publishedFrom(outcome: Outcome): wire.ServerFrame["frame"] {
  const value = create(wire.PublishedSchema, {
    messageId: outcome.eventId,
    position: positionOf(outcome),
    createdAt: timestampFromMs(outcome.createdAtMs),
    duplicate: outcome.duplicate,
    messageIndex: outcome.messageIndex,
  });
  return { case: "published", value };
}

export function changedFrom(outcome: Outcome): wire.ServerFrame["frame"] {
  const { version, duplicate } = outcome;
  return { case: "changed", value: create(wire.ChangedSchema, { position: positionOf(outcome), version, duplicate }) };
}

function positionOf({ seq, tag }: Outcome) {
  return create(PositionSchema, { seq, tag });
}
