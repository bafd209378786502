// Commands and their outcomes on the way between a session's node and a room's owner.

import { create } from "@bufbuild/protobuf";
import * as wire from "../../gen/trunkline/cluster/v1/command_pb.js";
import { BodySchema, RoomEventSchema } from "../../gen/trunkline/v1/message_pb.js";
import { TrunklineError } from "../../ports/error.js";
import type { Caller } from "../room/calls.js";
import type { Command, EventKind, NewMember, Outcome } from "../room/command.js";
import { notKnownHere } from "../room/unavailable.js";

export function encodeCaller({ identity, deviceId, onBehalfOf }: Caller): wire.Caller {
  const { tenantId, userId, displayName, grants, expiresAtMs, tokenId } = identity;
  return create(wire.CallerSchema, {
    tenantId,
    userId,
    displayName,
    grants: [...grants],
    ...(expiresAtMs === undefined ? {} : { expiresAtMs }),
    tokenId,
    deviceId,
    onBehalfOf: onBehalfOf ?? "",
  });
}

export function decodeCaller(caller: wire.Caller | undefined): Caller {
  const { tenantId, userId, displayName, grants, expiresAtMs, tokenId, deviceId, onBehalfOf } = required(
    caller,
    "caller",
  );
  const identity = { tenantId, userId, displayName, grants: new Set(grants), expiresAtMs, tokenId };
  return { identity, deviceId, ...(onBehalfOf === "" ? {} : { onBehalfOf }) };
}

export function encodeCommand(command: Command): wire.Command {
  const { key, attempt } = command;
  return create(wire.CommandSchema, { key, attempt, kind: encodeKind(command) });
}

type Init = NonNullable<Exclude<Parameters<typeof create<typeof wire.CommandSchema>>[1], wire.Command>>;

function encodeKind(command: Command): NonNullable<Init["kind"]> {
  switch (command.kind) {
    case "publish": {
      const { body, replyTo, threadRoot, mentions, metadata, expiresAfterMs, forwardedFrom } = command;
      return {
        case: "publish",
        value: create(wire.PublishCommandSchema, {
          body,
          replyTo,
          threadRoot,
          mentions,
          ...stated({ metadata, expiresAfterMs, forwardedFrom }),
        }),
      };
    }
    case "edit": {
      const { messageId, body, mentions, metadata, baseVersion } = command;
      const value = create(wire.EditCommandSchema, { messageId, body, mentions, baseVersion, ...stated({ metadata }) });
      return { case: "edit", value };
    }
    case "deleteMessage":
      return { case: command.kind, value: create(wire.DeleteMessageCommandSchema, only(command)) };
    case "react":
      return { case: command.kind, value: create(wire.ReactCommandSchema, only(command)) };
    case "pin":
      return { case: command.kind, value: create(wire.PinCommandSchema, only(command)) };
    case "tell": {
      const event = create(RoomEventSchema, { kind: command.event });
      return { case: "tell", value: create(wire.TellCommandSchema, { userId: command.userId, event }) };
    }
    case "setSettings":
      return { case: "setSettings", value: create(wire.SetSettingsCommandSchema, { settings: [...command.settings] }) };
    case "block":
      return { case: command.kind, value: create(wire.BlockCommandSchema, only(command)) };
    case "hide":
      return { case: command.kind, value: create(wire.HideCommandSchema, only(command)) };
    case "deliver": {
      const { userId, body, metadata } = command;
      return { case: "deliver", value: create(wire.DeliverCommandSchema, { userId, body, ...stated({ metadata }) }) };
    }
    case "openInbox":
      return { case: command.kind, value: create(wire.OpenInboxCommandSchema, only(command)) };
    case "create": {
      const { roomKind, name, members, joinRule, metadata, settings } = command;
      return {
        case: "create",
        value: create(wire.CreateCommandSchema, {
          roomKind,
          name,
          members: [...members],
          joinRule,
          ...stated({ metadata, settings }),
        }),
      };
    }
    case "update": {
      const { baseVersion, name, metadata, settings, joinRule, status } = command;
      return {
        case: "update",
        value: create(wire.UpdateCommandSchema, {
          baseVersion,
          joinRule,
          status,
          ...stated({ name, metadata, settings }),
        }),
      };
    }
    case "delete":
      return { case: command.kind, value: create(wire.DeleteCommandSchema) };
    case "deleteWithRoot":
      return { case: command.kind, value: create(wire.DeleteWithRootCommandSchema) };
    case "archiveIdle":
      return { case: command.kind, value: create(wire.ArchiveIdleCommandSchema, only(command)) };
    case "join":
      return { case: command.kind, value: create(wire.JoinCommandSchema) };
    case "leave":
      return { case: command.kind, value: create(wire.LeaveCommandSchema) };
    case "add":
      return { case: "add", value: create(wire.AddCommandSchema, { members: [...command.members] }) };
    case "remove":
      return { case: command.kind, value: create(wire.RemoveCommandSchema, only(command)) };
    case "set": {
      const { userId, role, overrides, muteForMs } = command;
      return {
        case: "set",
        value: create(wire.SetCommandSchema, {
          userId,
          role,
          ...stated({
            overrides: overrides && { granted: [...overrides.granted], denied: [...overrides.denied] },
            muteForMs,
          }),
        }),
      };
    }
    case "admit":
      return { case: command.kind, value: create(wire.AdmitCommandSchema, only(command)) };
    case "expel":
      return { case: command.kind, value: create(wire.ExpelCommandSchema, only(command)) };
  }
}

export function decodeCommand(command: wire.Command | undefined): Command {
  const { key, attempt, kind } = required(command, "command");
  const keyed = { key, attempt };
  switch (kind.case) {
    case "publish": {
      const { body, replyTo, threadRoot, mentions, metadata, expiresAfterMs, forwardedFrom } = kind.value;
      const said = { body: body ?? create(BodySchema), replyTo, threadRoot, mentions, metadata };
      return { kind: "publish", ...keyed, ...said, expiresAfterMs, forwardedFrom };
    }
    case "edit": {
      const { messageId, body, mentions, metadata, baseVersion } = kind.value;
      return { kind: "edit", ...keyed, messageId, body: body ?? create(BodySchema), mentions, metadata, baseVersion };
    }
    case "deleteMessage": {
      const { messageId, expired } = kind.value;
      return { kind: "deleteMessage", ...keyed, messageId, expired };
    }
    case "react": {
      const { messageId, emoji, on } = kind.value;
      return { kind: "react", ...keyed, messageId, emoji, on };
    }
    case "pin": {
      const { messageId, pinned } = kind.value;
      return { kind: "pin", ...keyed, messageId, pinned };
    }
    case "tell": {
      const { userId, event } = kind.value;
      return { kind: "tell", ...keyed, userId, event: required(event, "command.tell.event").kind };
    }
    case "setSettings": {
      const settings = kind.value.settings.map((each) => ({
        key: each.key,
        value: each.value,
        baseVersion: each.baseVersion,
      }));
      return { kind: "setSettings", ...keyed, settings };
    }
    case "block": {
      const { other, blocked } = kind.value;
      return { kind: "block", ...keyed, other, blocked };
    }
    case "hide": {
      const { roomId, messageId, messageIndex } = kind.value;
      return { kind: "hide", ...keyed, roomId, messageId, messageIndex };
    }
    case "deliver": {
      const { userId, body, metadata } = kind.value;
      return { kind: "deliver", ...keyed, userId, body: body ?? create(BodySchema), metadata };
    }
    case "openInbox":
      return { kind: "openInbox", ...keyed, userId: kind.value.userId };
    case "create": {
      const { roomKind, name, members, joinRule, metadata, settings } = kind.value;
      return {
        kind: "create",
        ...keyed,
        roomKind,
        name,
        members: members.map(newMember),
        joinRule,
        metadata,
        settings,
      };
    }
    case "update": {
      const { baseVersion, name, metadata, settings, joinRule, status } = kind.value;
      return { kind: "update", ...keyed, baseVersion, name, metadata, settings, joinRule, status };
    }
    case "delete":
    case "deleteWithRoot":
    case "join":
    case "leave":
      return { kind: kind.case, ...keyed };
    case "archiveIdle":
      return { kind: "archiveIdle", ...keyed, activeAtMs: kind.value.activeAtMs };
    case "add":
      return { kind: "add", ...keyed, members: kind.value.members.map(newMember) };
    case "remove": {
      const { userId, ban } = kind.value;
      return { kind: "remove", ...keyed, userId, ban };
    }
    case "set": {
      const { userId, role, overrides, muteForMs } = kind.value;
      const given = overrides && { granted: overrides.granted, denied: overrides.denied };
      return { kind: "set", ...keyed, userId, role, overrides: given, muteForMs };
    }
    case "admit": {
      const { userId, role, entering } = kind.value;
      return { kind: "admit", ...keyed, userId, role, entering };
    }
    case "expel":
      return { kind: "expel", ...keyed, userId: kind.value.userId };
    case undefined:
      // Of a newer node.
      throw notKnownHere("submit.command");
  }
}

export function encodeOutcome(outcome: Outcome): wire.Outcome {
  const { seq, tag, eventId, createdAtMs, messageIndex, version, made, duplicate, room, members } = outcome;
  return create(wire.OutcomeSchema, {
    seq,
    tag,
    eventId,
    createdAtMs,
    messageIndex,
    version,
    made: made ?? "",
    duplicate,
    ...stated({ room }),
    members: [...members],
  });
}

export function decodeOutcome(outcome: wire.Outcome): Outcome {
  const { seq, tag, eventId, createdAtMs, messageIndex, version, made, duplicate, room, members } = outcome;
  const place = { seq, tag, eventId, createdAtMs, messageIndex, version };
  return { ...place, made: kindNamed(made), duplicate, room, members };
}

/** Undefined for one that this node does not know, too. */
function kindNamed(name: string): EventKind["case"] {
  const known = RoomEventSchema.oneofs.some(({ fields }) => fields.some(({ localName }) => localName === name));
  return known ? (name as EventKind["case"]) : undefined;
}

function newMember({ userId, role }: wire.NewMember): NewMember {
  return { userId, role };
}

/** Those that are stated. */
function stated<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

/** What a command has beside what all of them have. */
function only<C extends Command>({
  kind: _kind,
  key: _key,
  attempt: _attempt,
  ...fields
}: C): Omit<C, "kind" | "key" | "attempt"> {
  return fields;
}

function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw TrunklineError.invalid(field, "is missing");
  return value;
}
