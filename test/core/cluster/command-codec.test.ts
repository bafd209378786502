// Commands cross from node to node as they are: what the owner judges is what was asked.

import { create, fromBinary, type JsonObject, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  decodeCaller,
  decodeCommand,
  decodeOutcome,
  encodeCaller,
  encodeCommand,
  encodeOutcome,
} from "../../../src/core/cluster/command-codec.js";
import type { Caller } from "../../../src/core/room/calls.js";
import type { Command, Outcome } from "../../../src/core/room/command.js";
import { CallerSchema, CommandSchema, OutcomeSchema } from "../../../src/gen/trunkline/cluster/v1/command_pb.js";
import {
  BodySchema,
  JoinRule,
  MemberSchema,
  MentionSchema,
  OriginSchema,
  Permission,
  RemovedFromRoomSchema,
  Role,
  RoomKind,
  RoomSchema,
  RoomSettingsSchema,
  RoomStatus,
} from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";

const id = fc.string({ minLength: 1, maxLength: 8 });
const text = fc.string({ maxLength: 8 });
const number = fc.nat(0xffff_ffff);
const flag = fc.boolean();
const maybe = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });
const json = fc
  .dictionary(fc.constantFrom("a", "b"), fc.oneof(text, fc.integer(), flag, fc.constant(null)))
  .map((value): JsonObject => ({ ...value }));
const body = text.map((value) => create(BodySchema, { kind: { case: "text", value } }));
const mentions = fc.array(
  id.map((userId) => create(MentionSchema, { userId })),
  { maxLength: 2 },
);
const role = fc.constantFrom(Role.UNSPECIFIED, Role.OWNER, Role.READER);
const members = fc.array(fc.record({ userId: id, role }), { maxLength: 3 });
const joinRule = fc.constantFrom(JoinRule.UNSPECIFIED, JoinRule.OPEN);
const settings = number.map((slowModeMs) => create(RoomSettingsSchema, { slowModeMs }));
const permissions = fc.subarray([Permission.READ, Permission.PIN]);
const origin = id.map((roomId) => create(OriginSchema, { roomId, createdAt: timestampFromMs(7) }));
const of = <K extends Command["kind"]>(kind: K) => fc.constant(kind);

const KINDS = {
  publish: fc.record({
    kind: of("publish"),
    body,
    replyTo: text,
    threadRoot: text,
    mentions,
    metadata: maybe(json),
    expiresAfterMs: maybe(number),
    forwardedFrom: maybe(origin),
  }),
  edit: fc.record({ kind: of("edit"), messageId: id, body, mentions, metadata: maybe(json), baseVersion: number }),
  deleteMessage: fc.record({ kind: of("deleteMessage"), messageId: id, expired: flag }),
  react: fc.record({ kind: of("react"), messageId: id, emoji: text, on: flag }),
  pin: fc.record({ kind: of("pin"), messageId: id, pinned: flag }),
  tell: fc.record({
    kind: of("tell"),
    userId: id,
    event: id.map(
      (userId) => ({ case: "removedFromRoom", value: create(RemovedFromRoomSchema, { roomId: userId }) }) as const,
    ),
  }),
  setSettings: fc.record({
    kind: of("setSettings"),
    settings: fc.array(fc.record({ key: id, value: fc.uint8Array({ maxLength: 4 }), baseVersion: number })),
  }),
  block: fc.record({ kind: of("block"), other: id, blocked: flag }),
  hide: fc.record({ kind: of("hide"), roomId: id, messageId: id, messageIndex: number }),
  deliver: fc.record({ kind: of("deliver"), userId: id, body, metadata: maybe(json) }),
  openInbox: fc.record({ kind: of("openInbox"), userId: id }),
  create: fc.record({
    kind: of("create"),
    roomKind: fc.constantFrom(RoomKind.GROUP, RoomKind.DIRECT),
    name: text,
    members,
    joinRule,
    metadata: maybe(json),
    settings: maybe(settings),
  }),
  update: fc.record({
    kind: of("update"),
    baseVersion: number,
    name: maybe(text),
    metadata: maybe(json),
    settings: maybe(settings),
    joinRule,
    status: fc.constantFrom(RoomStatus.UNSPECIFIED, RoomStatus.ARCHIVED),
  }),
  delete: fc.record({ kind: of("delete") }),
  deleteWithRoot: fc.record({ kind: of("deleteWithRoot") }),
  archiveIdle: fc.record({ kind: of("archiveIdle"), activeAtMs: number }),
  join: fc.record({ kind: of("join") }),
  leave: fc.record({ kind: of("leave") }),
  add: fc.record({ kind: of("add"), members }),
  remove: fc.record({ kind: of("remove"), userId: id, ban: flag }),
  set: fc.record({
    kind: of("set"),
    userId: id,
    role,
    overrides: maybe(fc.record({ granted: permissions, denied: permissions })),
    muteForMs: maybe(number),
  }),
  admit: fc.record({ kind: of("admit"), userId: id, role, entering: flag }),
  expel: fc.record({ kind: of("expel"), userId: id }),
} satisfies { [K in Command["kind"]]: fc.Arbitrary<unknown> };

const keyed = fc.record({ key: id, attempt: number });
const commands: fc.Arbitrary<Command> = fc
  .tuple(fc.oneof(...Object.values(KINDS)), keyed)
  .map(([kind, key]) => ({ ...kind, ...key }) as Command);

describe("what crosses from node to node", () => {
  it("is the command that was asked for, of whatever kind", () => {
    fc.assert(
      fc.property(commands, (command) => {
        const bytes = toBinary(CommandSchema, encodeCommand(command));
        expect(decodeCommand(fromBinary(CommandSchema, bytes))).toEqual(command);
      }),
      { numRuns: 1_000 },
    );
  });

  it("is the caller that was verified", () => {
    const callers: fc.Arbitrary<Caller> = fc
      .record({
        tenantId: id,
        userId: text,
        displayName: text,
        grants: fc.subarray(["service", "admin"]).map((grants) => new Set(grants)),
        expiresAtMs: maybe(fc.nat(Number.MAX_SAFE_INTEGER)),
        tokenId: text,
        deviceId: text,
        onBehalfOf: maybe(id),
      })
      .map(({ deviceId, onBehalfOf, ...identity }) => ({
        identity,
        deviceId,
        ...(onBehalfOf === undefined ? {} : { onBehalfOf }),
      }));
    fc.assert(
      fc.property(callers, (caller) => {
        const bytes = toBinary(CallerSchema, encodeCaller(caller));
        expect(decodeCaller(fromBinary(CallerSchema, bytes))).toEqual(caller);
      }),
    );
  });

  it("is the outcome as it was", () => {
    const outcomes: fc.Arbitrary<Outcome> = fc.record({
      seq: number,
      tag: number,
      eventId: id,
      createdAtMs: fc.nat(Number.MAX_SAFE_INTEGER),
      messageIndex: number,
      version: number,
      made: fc.constantFrom("messageCreated" as const, "roomUpdated" as const, undefined),
      duplicate: flag,
      room: maybe(id.map((roomId) => create(RoomSchema, { roomId }))),
      members: fc.array(id.map((userId) => create(MemberSchema, { userId }))),
    });
    fc.assert(
      fc.property(outcomes, (outcome) => {
        const bytes = toBinary(OutcomeSchema, encodeOutcome(outcome));
        expect(decodeOutcome(fromBinary(OutcomeSchema, bytes))).toEqual(outcome);
      }),
    );
  });

  it("is refused for now where it is of a kind that this node does not know", () => {
    expect(() => decodeCommand(create(CommandSchema, { key: "k" }))).toThrow(
      expect.objectContaining({ code: ErrorCode.UNAVAILABLE, details: { unknown: "submit.command" } }),
    );
    expect(() => decodeCommand(undefined)).toThrow(expect.objectContaining({ field: "command" }));
  });
});
