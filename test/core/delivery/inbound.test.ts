// Commands that come without a call have the rights, the limits and the errors of the call they stand for.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { Inbound } from "../../../src/core/delivery/inbound.js";
import { ratesWith } from "../../../src/core/limit/rates.js";
import { InboundCommandSchema } from "../../../src/gen/trunkline/v1/inbound_pb.js";
import { RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { type CoreOptions, settle, type TestClient, type TestCore, useCore } from "../use-core.js";

type CommandInit = NonNullable<MessageInitShape<typeof InboundCommandSchema>["command"]>;

const said = (words: string) => ({ kind: { case: "text", value: words } }) as const;
const toRoom = (words: string, key = ""): CommandInit => {
  return { case: "sendToRoom", value: { roomId: "r", key, body: said(words) } };
};

interface Scene {
  readonly core: TestCore;
  readonly ada: TestClient;
  readonly bob: TestClient;
  take(command: CommandInit, key?: string, who?: { tenantId?: string; serviceId?: string }): Promise<void>;
}

async function useInbound(options: CoreOptions = {}): Promise<Scene> {
  const core = await useCore(options);
  const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
  await core.room(ada, "r", "bob");
  await bob.ask({ case: "subscribe", value: { roomId: "r" } });
  const inbound = new Inbound(core.core.delivery);
  return {
    core,
    ada,
    bob,
    take: async (command, key = "derived", { tenantId = "acme", serviceId = "bot" } = {}) => {
      await inbound.take(create(InboundCommandSchema, { tenantId, serviceId, command }), key);
      await settle();
    },
  };
}

function events(client: TestClient): readonly unknown[] {
  return client
    .all("roomEvents")
    .flatMap(({ value }) => value.events)
    .flatMap(({ actor, kind }) => {
      const by = actor?.serviceId === "" ? actor.userId : `${actor?.userId} by ${actor?.serviceId}`;
      if (kind.case === "messageCreated") return [`${by} says ${kind.value.body?.kind.value}`];
      return kind.case === "messageEdited" || kind.case === "messageDeleted" ? [`${by} ${kind.case}`] : [];
    });
}

describe("a command that comes without a call", () => {
  it("does what the call does, as the service or on behalf of a user", async () => {
    const { bob, take } = await useInbound();
    await take(toRoom("one"), "k1");
    await take({ case: "sendToRoom", value: { roomId: "r", asUserId: "ada", body: said("two") } }, "k2");
    const [first] = bob.all("roomEvents").flatMap(({ value }) => value.events);
    const messageId = first?.eventId ?? "";
    await take({ case: "editMessage", value: { roomId: "r", messageId, body: said("uno") } }, "k3");
    await take({ case: "deleteMessage", value: { roomId: "r", messageId } }, "k4");
    expect(events(bob)).toEqual(["bot says one", "ada by bot says two", "bot messageEdited", "bot messageDeleted"]);
  });

  it("sends signals", async () => {
    const { core, bob, take } = await useInbound();
    const signal = { type: "ring", data: new Uint8Array([1]) };
    await take({ case: "signal", value: { target: { case: "roomId", value: "r" }, signal } });
    await core.elapse(1_000);
    expect(bob.all("signals")).toHaveLength(1);
  });

  it("is done once under its key, or under the one that it is given, however long ago", async () => {
    const { core, bob, take } = await useInbound();
    await take(toRoom("one", "own"), "a");
    await take(toRoom("two"), "b");
    await core.elapse(3_600_000);
    await take(toRoom("one", "own"), "c");
    await take(toRoom("two"), "b");
    expect(events(bob)).toEqual(["bot says one", "bot says two"]);
  });

  it("is refused with the call's error, which names the field from the command on", async () => {
    const { ada, take } = await useInbound();
    const refused = async (taking: Promise<void>, code: ErrorCode, field: string) =>
      await expect(taking).rejects.toMatchObject({ name: "TrunklineError", code, field });
    const { INVALID_ARGUMENT, NOT_FOUND, PERMISSION_DENIED, TOO_LARGE } = ErrorCode;
    await refused(take({ case: undefined }), INVALID_ARGUMENT, "command");
    await refused(take(toRoom("x"), "k", { tenantId: "" }), INVALID_ARGUMENT, "tenant_id");
    await refused(take(toRoom("x"), "k", { serviceId: "a b" }), INVALID_ARGUMENT, "service_id");
    await refused(take({ case: "sendToRoom", value: { roomId: "r" } }), INVALID_ARGUMENT, "send_to_room.body");
    await refused(take(toRoom("x", "a key")), INVALID_ARGUMENT, "send_to_room.key");
    await refused(take(toRoom("x".repeat(1_000_000))), TOO_LARGE, "send_to_room.body.text");
    await refused(
      take({ case: "editMessage", value: { roomId: "r", messageId: "none", body: said("x") } }),
      NOT_FOUND,
      "edit_message.message_id",
    );
    const archived = { roomId: "r", status: RoomStatus.ARCHIVED, key: "archive" };
    await ada.ask({ case: "call", value: { rpc: { case: "updateRoom", value: archived } } });
    await refused(take(toRoom("x")), PERMISSION_DENIED, "send_to_room");
  });

  it("for many users is refused for those whom it is refused for, and stored for the others", async () => {
    const { core, take } = await useInbound();
    const asked = take({ case: "sendToUsers", value: { userIds: ["bob", "not an id"], body: said("x") } });
    await expect(asked).rejects.toMatchObject({
      code: ErrorCode.INVALID_ARGUMENT,
      field: "send_to_users.user_ids[1]",
      message: "refused for 1 of 2 users: not an id INVALID_ARGUMENT",
    });
    core.engine.faultNextAppend({ kind: "refuse" });
    const later = take({ case: "sendToUsers", value: { userIds: ["not an id", "ada"], body: said("x") } }, "k2");
    await expect(later).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE, field: "send_to_users.user_ids[1]" });
  });

  it("takes from the buckets of its service and tenant, and is told when to come again", async () => {
    const rates = ratesWith({ service: { user: { perSecond: 1, burst: 2 } } });
    const { take } = await useInbound({ limits: { rates } });
    await take(toRoom("one"), "1");
    await take(toRoom("two"), "2");
    const limited = { code: ErrorCode.RATE_LIMITED, retryable: true, retryAfterMs: 1_000 };
    await expect(take(toRoom("three"), "3")).rejects.toMatchObject(limited);
    await take(toRoom("three"), "3", { serviceId: "other" });
  });
});
