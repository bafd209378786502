// What a service does through DeliveryService, and what sessions see of it.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import * as rpc from "../../../src/gen/trunkline/v1/delivery_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { expectRefusal, user } from "../room/use-rooms.js";
import { settle, type TestClient, type TestCore, useCore } from "../use-core.js";
import { service } from "./use-delivery.js";

const said = (words: string) => ({ kind: { case: "text", value: words } }) as const;

type RoomInit = Partial<Exclude<MessageInitShape<typeof rpc.SendToRoomRequestSchema>, { $typeName: string }>>;
type UsersInit = Partial<Exclude<MessageInitShape<typeof rpc.SendToUsersRequestSchema>, { $typeName: string }>>;
type SignalInit = Partial<Exclude<MessageInitShape<typeof rpc.SignalRequestSchema>, { $typeName: string }>>;

function toRoom(core: TestCore, asked: RoomInit, caller = service()) {
  const request = { roomId: "r", key: "k1", body: said("hello"), ...asked };
  return core.core.delivery.sendToRoom(caller, create(rpc.SendToRoomRequestSchema, request));
}

function toUsers(core: TestCore, asked: UsersInit, caller = service()) {
  const request = { key: "k1", body: said("hello"), ...asked };
  return core.core.delivery.sendToUsers(caller, create(rpc.SendToUsersRequestSchema, request));
}

async function useRoom(): Promise<{ core: TestCore; ada: TestClient; bob: TestClient }> {
  const core = await useCore();
  const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
  await core.room(ada, "r", "bob");
  await bob.ask({ case: "subscribe", value: { roomId: "r" } });
  return { core, ada, bob };
}

async function subscribeToInbox(client: TestClient): Promise<string> {
  const { inboxRoomId } = client.last("welcome");
  await client.ask({ case: "subscribe", value: { roomId: inboxRoomId } });
  return inboxRoomId;
}

/** Actor and text of the messages that came in a room. */
function heard(client: TestClient, roomId = "r") {
  return client
    .all("roomEvents")
    .filter(({ value }) => value.roomId === roomId)
    .flatMap(({ value }) => value.events)
    .flatMap(({ actor, kind }) =>
      kind.case === "messageCreated" ? [{ actor, says: kind.value.body?.kind.value }] : [],
    );
}

describe("DeliveryService", () => {
  it("is for callers with the grant, and for nobody else", async () => {
    const { core } = await useRoom();
    const { delivery } = core.core;
    const refused = (call: Promise<unknown>) => expectRefusal(call, ErrorCode.PERMISSION_DENIED);
    for (const caller of [user("ada"), user("root", { grants: new Set(["admin"]) })]) {
      await refused(toRoom(core, {}, caller));
      await refused(toUsers(core, { userIds: ["bob"] }, caller));
      await refused(delivery.signal(caller, create(rpc.SignalRequestSchema)));
      await refused(delivery.editMessage(caller, create(rpc.EditMessageRequestSchema)));
      await refused(delivery.deleteMessage(caller, create(rpc.DeleteMessageRequestSchema)));
      await refused(delivery.getDeliveryStatus(caller, create(rpc.GetDeliveryStatusRequestSchema)));
      const tail = delivery.tail(caller, create(rpc.TailRequestSchema), new AbortController().signal);
      await refused(tail[Symbol.asyncIterator]().next());
    }
  });
});

describe("SendToRoom", () => {
  it("says something in a room the service is no member of, as itself", async () => {
    const { core, bob } = await useRoom();
    const { messageId, position, duplicate } = await toRoom(core, {});
    await settle();
    expect({ messageId, seq: position?.seq, duplicate }).toMatchObject({
      messageId: expect.any(String),
      seq: 2,
      duplicate: false,
    });
    expect(heard(bob)).toMatchObject([{ actor: { userId: "bot", serviceId: "", deviceId: "" }, says: "hello" }]);
  });

  it("names the user it speaks for as the actor, and itself as the service", async () => {
    const { core, bob } = await useRoom();
    await toRoom(core, { asUserId: "ada" });
    await settle();
    expect(heard(bob)).toMatchObject([{ actor: { userId: "ada", displayName: "ada", serviceId: "bot" } }]);
  });

  it("stores a key once, and does not take a user's key for its own", async () => {
    const { core, ada, bob } = await useRoom();
    await ada.ask({ case: "publish", value: { roomId: "r", clientMessageId: "k1", body: said("mine") } });
    const first = await toRoom(core, { asUserId: "ada" });
    const again = await toRoom(core, { asUserId: "ada", attempt: 2 });
    await settle();
    expect(again).toMatchObject({
      messageId: first.messageId,
      duplicate: true,
      position: { seq: first.position?.seq },
    });
    expect(heard(bob).map(({ says }) => says)).toEqual(["mine", "hello"]);
  });

  it("writes system bodies, and is exempt from slow mode", async () => {
    const { core, ada, bob } = await useRoom();
    const rpcCall = {
      case: "updateRoom",
      value: { roomId: "r", key: "slow", settings: { slowModeMs: 60_000 } },
    } as const;
    await ada.ask({ case: "call", value: { rpc: rpcCall } });
    await toRoom(core, { key: "k1", body: { kind: { case: "system", value: { type: "notice", text: "one" } } } });
    await toRoom(core, { key: "k2" });
    await settle();
    expect(heard(bob)).toHaveLength(2);
  });

  it("does not slow down the user it speaks for", async () => {
    const { core, ada, bob } = await useRoom();
    const settings = { roomId: "r", key: "slow", settings: { slowModeMs: 60_000 } };
    await ada.ask({ case: "call", value: { rpc: { case: "updateRoom", value: settings } } });
    await toRoom(core, { asUserId: "bob" });
    const publish = { roomId: "r", clientMessageId: "k", body: said("mine") };
    expect((await bob.ask({ case: "publish", value: publish })).case).toBe("published");
  });

  it("refuses what is malformed and rooms that are not there", async () => {
    const { core } = await useRoom();
    await expectRefusal(toRoom(core, { roomId: "" }), ErrorCode.INVALID_ARGUMENT, { field: "room_id" });
    await expectRefusal(toRoom(core, { key: "" }), ErrorCode.INVALID_ARGUMENT, { field: "key" });
    await expectRefusal(toRoom(core, { asUserId: "a b" }), ErrorCode.INVALID_ARGUMENT, { field: "as_user_id" });
    await expectRefusal(toRoom(core, { body: said("") }), ErrorCode.INVALID_ARGUMENT, { field: "body.text" });
    await expectRefusal(toRoom(core, { roomId: "nowhere" }), ErrorCode.NOT_FOUND);
    const elsewhere = service({ tenantId: "globex" });
    await expectRefusal(toRoom(core, {}, elsewhere), ErrorCode.NOT_FOUND);
  });
});

describe("SendToUsers", () => {
  it("puts a message into inboxes, which are made where there are none", async () => {
    const core = await useCore();
    const bob = await core.connect("bob");
    const inbox = await subscribeToInbox(bob);
    const { results } = await toUsers(core, { userIds: ["bob", "carol"] });
    await settle();
    expect(results).toMatchObject([
      { userId: "bob", position: { seq: 2 }, errorReason: "", duplicate: false },
      { userId: "carol", position: { seq: 2 }, errorReason: "", duplicate: false },
    ]);
    expect(heard(bob, inbox)).toMatchObject([{ actor: { userId: "bot" }, says: "hello" }]);
    const carol = await core.connect("carol");
    await carol.ask({
      case: "subscribe",
      value: { roomId: carol.last("welcome").inboxRoomId, after: { seq: 0, tag: 0 } },
    });
    expect(heard(carol, carol.last("welcome").inboxRoomId)).toMatchObject([{ says: "hello" }]);
  });

  it("stores a key once for each user, and numbers an inbox's messages", async () => {
    const core = await useCore();
    await toUsers(core, { userIds: ["bob"] });
    const { results } = await toUsers(core, { userIds: ["bob", "carol"], attempt: 2 });
    expect(results.map(({ duplicate, position }) => [duplicate, position?.seq])).toEqual([
      [true, 2],
      [false, 2],
    ]);
    await toUsers(core, { userIds: ["bob"], key: "k2" });
    const bob = await core.connect("bob");
    const { inboxRoomId } = bob.last("welcome");
    const answer = await bob.ask({
      case: "call",
      value: { rpc: { case: "getHistory", value: { roomId: inboxRoomId } } },
    });
    expect(answer).toMatchObject({
      value: { rpc: { value: { messages: [{ messageIndex: 1 }, { messageIndex: 2 }] } } },
    });
  });

  it("says for each user why it was refused, and serves the others", async () => {
    const core = await useCore({ limits: { rates: ratesWith({ publish: { room: { perSecond: 1, burst: 1 } } }) } });
    await toUsers(core, { userIds: ["bob"], key: "k0" });
    const { results } = await toUsers(core, { userIds: ["bob", "a b", "carol"] });
    expect(results.map(({ userId, errorReason }) => `${userId}: ${errorReason}`)).toEqual([
      "bob: RATE_LIMITED",
      "a b: INVALID_ARGUMENT",
      "carol: ",
    ]);
    expect(results[0]?.position).toBeUndefined();
  });

  it("takes 1 to 1,000 users", async () => {
    const core = await useCore();
    const users = (count: number) => Array.from({ length: count }, (_, index) => `u${index}`);
    await expectRefusal(toUsers(core, { userIds: [] }), ErrorCode.INVALID_ARGUMENT, { field: "user_ids" });
    await expectRefusal(toUsers(core, { userIds: users(1_001) }), ErrorCode.TOO_LARGE, { field: "user_ids" });
    const { results } = await toUsers(core, { userIds: users(1_000) });
    expect(results.filter(({ errorReason }) => errorReason === "")).toHaveLength(1_000);
  });

  it("is not for users, who cannot write into inboxes through a room's door either", async () => {
    const core = await useCore();
    const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
    const inbox = await subscribeToInbox(bob);
    for (const client of [ada, bob]) {
      const value = { roomId: inbox, clientMessageId: "k", body: said("hi") };
      expect((await client.ask({ case: "publish", value })).case).toBe("error");
    }
  });
});

describe("Signal", () => {
  const custom = { type: "weather", data: new Uint8Array([1, 2]) };
  const signal = (core: TestCore, asked: SignalInit) =>
    core.core.delivery.signal(service(), create(rpc.SignalRequestSchema, { signal: custom, ...asked }));

  it("reaches who is subscribed to the room, and is not kept", async () => {
    const { core, ada, bob } = await useRoom();
    await signal(core, { target: { case: "roomId", value: "r" } });
    await core.elapse(250);
    expect(bob.last("signals")).toMatchObject({
      roomId: "r",
      signals: [{ sender: { userId: "bot" }, kind: { case: "custom", value: custom } }],
    });
    expect(ada.all("signals")).toEqual([]);
    expect(bob.seqs("r")).toEqual([]);
  });

  it("reaches all of a user's sessions, without naming a room", async () => {
    const { core, ada, bob } = await useRoom();
    await signal(core, { target: { case: "userId", value: "ada" } });
    await core.elapse(250);
    expect(ada.last("signals")).toMatchObject({ roomId: "", signals: [{ kind: { value: custom } }] });
    expect(bob.all("signals")).toEqual([]);
  });

  it("is refused without a target, for a room that is not there, and where it is too long", async () => {
    const { core } = await useRoom();
    const target = { case: "roomId", value: "r" } as const;
    await expectRefusal(signal(core, {}), ErrorCode.INVALID_ARGUMENT, { field: "target" });
    await expectRefusal(signal(core, { target: { case: "roomId", value: "nowhere" } }), ErrorCode.NOT_FOUND);
    const long = { type: "x", data: new Uint8Array(4_097) };
    await expectRefusal(signal(core, { target, signal: long }), ErrorCode.TOO_LARGE, { field: "signal.data" });
  });
});

describe("GetDeliveryStatus", () => {
  it("says for each member when a message was stored, received and read", async () => {
    const { core, bob } = await useRoom();
    const { messageId, position } = await toRoom(core, {});
    const status = () =>
      core.core.delivery.getDeliveryStatus(
        service(),
        create(rpc.GetDeliveryStatusRequestSchema, { roomId: "r", messageId }),
      );
    const before = await status();
    expect(
      before.members.map(({ userId, storedAt, deliveredAt, readAt }) => [
        userId,
        storedAt !== undefined,
        deliveredAt,
        readAt,
      ]),
    ).toEqual([
      ["ada", true, undefined, undefined],
      ["bob", true, undefined, undefined],
    ]);
    await bob.ask({ case: "mark", value: { roomId: "r", delivered: position, read: position } });
    expect((await status()).members).toMatchObject([
      { userId: "ada" },
      { userId: "bob", deliveredAt: { nanos: 0 }, readAt: { nanos: 0 } },
    ]);
    const absent = create(rpc.GetDeliveryStatusRequestSchema, { roomId: "r", messageId: "none" });
    await expectRefusal(core.core.delivery.getDeliveryStatus(service(), absent), ErrorCode.NOT_FOUND);
  });
});

describe("EditMessage and DeleteMessage", () => {
  it("change anybody's message, its own too, once for a key", async () => {
    const { core, ada, bob } = await useRoom();
    const { delivery } = core.core;
    const theirs = await ada.ask({ case: "publish", value: { roomId: "r", clientMessageId: "k", body: said("mine") } });
    const own = await toRoom(core, {});
    const messageIds = [theirs.case === "published" ? theirs.value.messageId : "", own.messageId];
    for (const messageId of messageIds) {
      const edit = { roomId: "r", messageId, key: `e-${messageId}`, body: said("edited") };
      const edited = await delivery.editMessage(service(), create(rpc.EditMessageRequestSchema, edit));
      expect(edited).toMatchObject({ version: 2, duplicate: false });
      const again = await delivery.editMessage(
        service(),
        create(rpc.EditMessageRequestSchema, { ...edit, attempt: 2 }),
      );
      expect(again).toMatchObject({ version: 2, duplicate: true, position: { seq: edited.position?.seq } });
      const deletion = { roomId: "r", messageId, key: `d-${messageId}` };
      const deleted = await delivery.deleteMessage(service(), create(rpc.DeleteMessageRequestSchema, deletion));
      expect(deleted.duplicate).toBe(false);
    }
    await settle();
    expect(bob.seqs("r")).toEqual([2, 3, 4, 5, 6, 7]);
  });
});
