// A tenant's announcements: read by everybody of it, members or not, and nothing kept of who only reads.

import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import * as rpc from "../../../src/gen/trunkline/v1/delivery_pb.js";
import { JoinRule, Permission, Role, RoomKind, RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import { UnsubscribeReason } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { service, useTail } from "../delivery/use-delivery.js";
import { ScriptedAccessHook } from "../hook/scripted-access-hook.js";
import { settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";
import { announce, call, newKey, ROOM, refusal, useAnnouncements } from "./use-announcements.js";

const REF = roomRef("acme", ROOM);

function subscribe(client: TestClient, after?: { readonly seq: number; readonly tag: number }) {
  return client.ask({ case: "subscribe", value: { roomId: ROOM, ...(after && { after }) } });
}

function asRole(userId: string, role: Role) {
  return { case: "setMember", value: { roomId: ROOM, key: newKey(), userId, role } } as const;
}

function setMember(client: TestClient, userId: string, role: Role) {
  return call(client, asRole(userId, role));
}

function ban(client: TestClient, userId: string) {
  return call(client, { case: "removeMember", value: { roomId: ROOM, key: newKey(), userId, ban: true } });
}

async function publish(client: TestClient): Promise<string> {
  const answer = await client.ask(text(ROOM, newKey()));
  return `${answer.case === "error" ? ErrorCode[answer.value.code] : answer.case}`;
}

/** What a user's list of rooms says, as "id unread last words". */
async function listed(client: TestClient): Promise<string[]> {
  const list = await call(client, { case: "listRooms", value: {} });
  return list.rooms.map(({ room, unreadCount, lastMessage }) => {
    const body = lastMessage?.body?.kind;
    return `${room?.roomId} ${unreadCount} ${body?.case === "text" ? body.value : "-"}`;
  });
}

async function membersKept(test: TestCore): Promise<readonly (string | undefined)[]> {
  const documents = await test.engine.archive.members(REF, { after: "", limit: 100 });
  return documents.map(({ member }) => member?.userId);
}

describe("the announcements of a tenant", () => {
  it("are made by services and administrators, as a channel that its maker owns", async () => {
    const test = await useCore();
    const ann = await test.connect("ann");
    const made = { case: "createRoom", value: { roomId: ROOM, key: "k" } } as const;
    expect(await refusal(ann, made)).toBe("PERMISSION_DENIED");
    expect(await refusal(ann, { case: "joinRoom", value: { roomId: ROOM, key: "j" } })).toBe("NOT_FOUND");
    expect(await listed(ann)).toEqual([]);
    const root = await test.connect("root", {}, { grants: new Set(["admin"]) });
    expect(await call(root, made)).toMatchObject({
      room: { roomId: ROOM, kind: RoomKind.CHANNEL, joinRule: JoinRule.OPEN, memberCount: 1 },
      member: { userId: "root", role: Role.OWNER },
    });
    expect(await refusal(root, { case: "createRoom", value: { roomId: ROOM, key: "again" } })).toBe(
      "ALREADY_EXISTS room_id",
    );
  });

  it.each([
    ["a group", { kind: RoomKind.GROUP }, "INVALID_ARGUMENT kind"],
    ["by invitation", { joinRule: JoinRule.INVITE }, "INVALID_ARGUMENT join_rule"],
    ["under a room", { parentId: "lobby" }, "INVALID_ARGUMENT room_id"],
    ["by another of the system's ids", { roomId: "~news" }, "INVALID_ARGUMENT room_id"],
    ["with a room under them", { roomId: "", parentId: ROOM }, "PERMISSION_DENIED"],
  ])("are not made %s", async (_, request, expected) => {
    const { bot } = await useAnnouncements();
    expect(await refusal(bot, { case: "createRoom", value: { roomId: ROOM, key: "k", ...request } })).toBe(expected);
  });

  it("reach everybody of the tenant who subscribes, and nobody of another", async () => {
    const { test } = await useAnnouncements();
    const ann = await test.connect("ann");
    expect(await subscribe(ann)).toMatchObject({
      case: "subscribed",
      value: { room: { name: "News" }, member: { userId: "ann", role: Role.READER }, markers: [] },
    });
    const elsewhere = await test.connect("eve", {}, { tenantId: "globex" });
    expect(await subscribe(elsewhere)).toMatchObject({ case: "error", value: { code: ErrorCode.NOT_FOUND } });
    await announce(test, "hello");
    await settle();
    expect(ann.seqs(ROOM)).toEqual([2]);
    expect(elsewhere.seqs(ROOM)).toEqual([]);
    expect(await publish(ann)).toBe("PERMISSION_DENIED");
  });

  it("are changed, signalled in and followed by services like any room", async () => {
    const { test } = await useAnnouncements();
    const tail = await useTail(test, { roomIds: [ROOM] });
    const ann = await test.connect("ann");
    await subscribe(ann);
    const { messageId } = await announce(test, "helo");
    const body = { kind: { case: "text" as const, value: "hello" } };
    const edit = create(rpc.EditMessageRequestSchema, { roomId: ROOM, messageId, key: "e", body });
    await test.core.delivery.editMessage(service(), edit);
    const target = { case: "roomId", value: ROOM } as const;
    const ring = create(rpc.SignalRequestSchema, { target, signal: { type: "ring" } });
    await test.core.delivery.signal(service(), ring);
    await test.elapse(1_000);
    expect(ann.all("roomEvents").flatMap(({ value }) => value.events.map(({ kind }) => kind.case))).toEqual([
      "messageCreated",
      "messageEdited",
    ]);
    expect(ann.all("signals")).toMatchObject([{ value: { roomId: ROOM, signals: [{ sender: { userId: "bot" } }] } }]);
    expect(tail.places).toEqual([`${ROOM} 2`, `${ROOM} 3`]);
  });

  it("can be read from the beginning, come back to, and paged", async () => {
    const { test } = await useAnnouncements();
    await announce(test, "one");
    const { messageId, position } = await announce(test, "two");
    const ann = await test.connect("ann");
    expect(await call(ann, { case: "getHistory", value: { roomId: ROOM } })).toMatchObject({
      messages: [{ messageIndex: 1 }, { messageId }],
      asOf: { seq: position?.seq },
    });
    expect(await call(ann, { case: "getEvents", value: { roomId: ROOM, fromSeq: 3 } })).toMatchObject({
      events: [{ eventId: messageId }],
    });
    await subscribe(ann, { seq: 0, tag: 0 });
    expect(ann.seqs(ROOM)).toEqual([1, 2, 3]);
  });

  it("stand in the list of everybody's rooms, in their place on a page of any size", async () => {
    const { test, bot } = await useAnnouncements();
    await announce(test, "hello");
    const ann = await test.connect("ann");
    await test.room(ann, "lobby");
    await test.room(ann, "attic");
    const whole = ["attic 0 -", "lobby 0 -", `${ROOM} 1 hello`];
    expect(await listed(ann)).toEqual(whole);
    expect(await listed(bot)).toEqual([`${ROOM} 0 hello`]);
    for (const pageSize of [1, 2, 3, 4]) {
      const ids: string[] = [];
      let pageToken = "";
      do {
        const page = await call(ann, { case: "listRooms", value: { pageSize, pageToken } });
        ids.push(...page.rooms.map(({ room }) => room?.roomId ?? ""));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      expect(ids).toEqual(["attic", "lobby", ROOM]);
    }
  });

  it("are read without being joined, and joined without a change", async () => {
    const { test } = await useAnnouncements();
    const ann = await test.connect("ann");
    await subscribe(ann);
    await listed(ann);
    const joined = await call(ann, { case: "joinRoom", value: { roomId: ROOM, key: "j" } });
    expect(joined).toMatchObject({ member: { userId: "ann", role: Role.READER }, position: { seq: 1 } });
    expect(await refusal(ann, { case: "leaveRoom", value: { roomId: ROOM, key: "l" } })).toBe("PERMISSION_DENIED");
    expect(await membersKept(test)).toEqual(["bot"]);
    expect(await test.engine.archive.member(REF, "ann")).toBeUndefined();
    expect(await test.engine.archive.markedBy(REF, { after: "", limit: 10 })).toEqual([]);
  });

  it("are never deleted, and can be archived and opened again", async () => {
    const { test, bot } = await useAnnouncements();
    expect(await refusal(bot, { case: "deleteRoom", value: { roomId: ROOM, key: "d" } })).toBe("PERMISSION_DENIED");
    const update = (status: RoomStatus) =>
      call(bot, { case: "updateRoom", value: { roomId: ROOM, key: newKey(), status } });
    await update(RoomStatus.ARCHIVED);
    await expect(announce(test, "late")).rejects.toThrow("the room is archived");
    const ann = await test.connect("ann");
    expect(await subscribe(ann)).toMatchObject({ value: { room: { status: RoomStatus.ARCHIVED } } });
    await update(RoomStatus.ACTIVE);
    await announce(test, "again");
    await settle();
    expect(ann.seqs(ROOM)).toEqual([3, 4]);
    const invite = { roomId: ROOM, key: newKey(), joinRule: JoinRule.INVITE };
    expect(await refusal(bot, { case: "updateRoom", value: invite })).toBe("INVALID_ARGUMENT join_rule");
  });

  it("are not for the access hook to refuse", async () => {
    const hook = new ScriptedAccessHook();
    const { test } = await useAnnouncements({ accessHook: hook.rules() });
    const ann = await test.connect("ann");
    expect(await subscribe(ann)).toMatchObject({ case: "subscribed" });
    await test.elapse(120_000);
    expect(hook.asked).toEqual([]);
    expect(await membersKept(test)).toEqual(["bot"]);
  });
});

describe("somebody whose standing in the announcements was set", () => {
  it("has the rights of their role, from that event on and without a new subscription", async () => {
    const { test, bot } = await useAnnouncements();
    const ann = await test.connect("ann");
    await subscribe(ann);
    expect(await setMember(bot, "ann", Role.MEMBER)).toMatchObject({ member: { userId: "ann", role: Role.MEMBER } });
    expect(await publish(ann)).toBe("published");
    expect(ann.seqs(ROOM)).toEqual([2, 3]);
    expect(await membersKept(test)).toEqual(["ann", "bot"]);
    expect(await call(bot, { case: "getRoom", value: { roomId: ROOM } })).toMatchObject({ room: { memberCount: 2 } });
    await setMember(bot, "ann", Role.READER);
    expect(await publish(ann)).toBe("PERMISSION_DENIED");
    expect(await listed(ann)).toHaveLength(1);
  });

  it("is added with a role though they read already", async () => {
    const { test, bot } = await useAnnouncements();
    const ann = await test.connect("ann");
    const members = [{ userId: "ann", role: Role.ADMIN }];
    expect(await call(bot, { case: "addMembers", value: { roomId: ROOM, key: "a", members } })).toMatchObject({
      members: [{ userId: "ann", role: Role.ADMIN }],
    });
    expect(await setMember(ann, "bob", Role.MEMBER)).toMatchObject({ member: { userId: "bob" } });
    expect(await refusal(ann, asRole("bot", Role.MEMBER))).toBe("PERMISSION_DENIED user_id");
  });

  it("counts among as many as a room may have", async () => {
    const { bot } = await useAnnouncements({ limits: { maxMembersPerRoom: 2 } });
    expect(await setMember(bot, "ann", Role.MEMBER)).toMatchObject({ member: { userId: "ann" } });
    expect(await setMember(bot, "ann", Role.ADMIN)).toMatchObject({ member: { role: Role.ADMIN } });
    expect(await refusal(bot, asRole("bob", Role.MEMBER))).toMatch(/^LIMIT_EXCEEDED/);
  });

  it("reads nothing that READ was denied for", async () => {
    const { test, bot } = await useAnnouncements();
    const ann = await test.connect("ann");
    await subscribe(ann);
    const overrides = { granted: [], denied: [Permission.READ] };
    await call(bot, { case: "setMember", value: { roomId: ROOM, key: "s", userId: "ann", overrides } });
    expect(ann.last("unsubscribed")).toMatchObject({ reason: UnsubscribeReason.ACCESS_LOST });
    expect(await listed(ann)).toEqual([]);
  });
});

describe("settings of the announcements", () => {
  const update = (client: TestClient, settings: { readonly typing?: boolean; readonly slowModeMs?: number }) =>
    call(client, { case: "updateRoom", value: { roomId: ROOM, key: newKey(), settings } });

  it("show who is typing only where they say so, however few could", async () => {
    const { test, bot } = await useAnnouncements();
    await setMember(bot, "ann", Role.MEMBER);
    const ann = await test.connect("ann");
    const typing = { case: "typing", value: { roomId: ROOM, typing: true } } as const;
    expect(await ann.ask(typing)).toMatchObject({ case: "error", value: { code: ErrorCode.PERMISSION_DENIED } });
    await update(bot, { typing: true });
    expect(await ann.ask(typing)).toMatchObject({ case: "done" });
  });

  it("slow down those who have a role, and keep nothing of others who may publish", async () => {
    const { test, bot } = await useAnnouncements();
    await setMember(bot, "ann", Role.MEMBER);
    await update(bot, { slowModeMs: 60_000 });
    const ann = await test.connect("ann");
    const root = await test.connect("root", {}, { grants: new Set(["admin"]) });
    expect([await publish(ann), await publish(ann)]).toEqual(["published", "RATE_LIMITED"]);
    expect([await publish(root), await publish(root)]).toEqual(["published", "published"]);
    expect(await test.engine.archive.member(REF, "root")).toBeUndefined();
  });
});

describe("a ban from the announcements", () => {
  it("holds at once, for whoever only read and for who had a role, until they are added again", async () => {
    const { test, bot } = await useAnnouncements();
    await setMember(bot, "bob", Role.MEMBER);
    for (const userId of ["ann", "bob"]) {
      const client = await test.connect(userId);
      await subscribe(client);
      expect(await ban(bot, userId)).toMatchObject({ position: {} });
      await announce(test, "unheard");
      await settle();
      expect(client.last("unsubscribed")).toMatchObject({ reason: UnsubscribeReason.ACCESS_LOST });
      expect(client.seqs(ROOM)).toHaveLength(1);
      expect(await subscribe(client)).toMatchObject({ case: "error", value: { code: ErrorCode.NOT_A_MEMBER } });
      expect(await refusal(client, { case: "joinRoom", value: { roomId: ROOM, key: newKey() } })).toBe(
        "PERMISSION_DENIED",
      );
      expect(await refusal(client, { case: "getHistory", value: { roomId: ROOM } })).toBe("NOT_A_MEMBER");
      expect(await listed(client)).toEqual([]);
      await call(bot, { case: "addMembers", value: { roomId: ROOM, key: newKey(), members: [{ userId }] } });
      expect(await subscribe(client)).toMatchObject({ value: { member: { role: Role.READER } } });
    }
  });

  it("is the only way to keep somebody out", async () => {
    const { bot } = await useAnnouncements();
    const removal = { roomId: ROOM, key: "r", userId: "ann" };
    expect(await refusal(bot, { case: "removeMember", value: removal })).toBe("INVALID_ARGUMENT ban");
  });
});

describe("markers in the announcements", () => {
  async function read(client: TestClient, { position }: Awaited<ReturnType<typeof announce>>) {
    const { seq = 0, tag = 0 } = position ?? {};
    expect(await client.ask({ case: "mark", value: { roomId: ROOM, read: { seq, tag } } })).toMatchObject({
      case: "done",
    });
  }

  it("count what is unread for whoever never joined", async () => {
    const { test } = await useAnnouncements();
    await announce(test, "one");
    const two = await announce(test, "two");
    await announce(test, "three");
    const ann = await test.connect("ann");
    expect(await listed(ann)).toEqual([`${ROOM} 3 three`]);
    await read(ann, two);
    expect(await listed(ann)).toEqual([`${ROOM} 1 three`]);
    expect(await subscribe(ann)).toMatchObject({ value: { marker: { readSeq: two.position?.seq } } });
  });

  it("are told to the user's own sessions and to authors, and to nobody else", async () => {
    const { test, bot } = await useAnnouncements();
    const [ann, bob] = [await test.connect("ann"), await test.connect("bob")];
    await setMember(bot, "bob", Role.ADMIN);
    for (const client of [ann, bob, bot]) await subscribe(client);
    await read(ann, await announce(test, "hello"));
    await settle();
    expect(ann.all("markers")).toHaveLength(1);
    expect(bot.last("markers")).toMatchObject({ roomId: ROOM, markers: [{ userId: "ann" }] });
    expect(bob.all("markers")).toEqual([]);
    await read(bot, await announce(test, "again"));
    expect(await subscribe(bob)).toMatchObject({ value: { markers: [] } });
  });

  it("make the list of receipts, page by page, stored or not yet", async () => {
    const { test, bot } = await useAnnouncements();
    const hello = await announce(test, "hello");
    const clients = new Map<string, TestClient>();
    for (const userId of ["ann", "bob", "cat", "dan"]) clients.set(userId, await test.connect(userId));
    const reads = async (userId: string): Promise<void> => {
      const client = clients.get(userId);
      if (client !== undefined) await read(client, hello);
    };
    await reads("cat");
    await reads("ann");
    await test.elapse(2_000);
    await reads("bob");
    const { messageId } = hello;
    const pages: string[][] = [];
    let pageToken = "";
    do {
      const asked = { roomId: ROOM, messageId, pageSize: 2, pageToken };
      const page = await call(bot, { case: "getReceipts", value: asked });
      pages.push(page.receipts.map(({ userId, readAt }) => `${userId} ${readAt === undefined ? "unread" : "read"}`));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(pages).toEqual([["ann read", "bob read"], ["cat read"]]);
    const status = create(rpc.GetDeliveryStatusRequestSchema, { roomId: ROOM, messageId });
    const { members } = await test.core.delivery.getDeliveryStatus(service(), status);
    expect(members.map(({ userId }) => userId)).toEqual(["ann", "bob", "cat"]);
    const [ann] = clients.values();
    if (ann === undefined) throw new Error("nobody is there");
    expect(await refusal(ann, { case: "getReceipts", value: { roomId: ROOM, messageId } })).toBe("PERMISSION_DENIED");
  });
});

describe("who reads the announcements", () => {
  it("is told in their inbox where a message names them, unless they are banned", async () => {
    const { test, bot } = await useAnnouncements();
    await ban(bot, "eve");
    const names: Record<string, string[]> = {};
    const clients = [await test.connect("ann"), await test.connect("eve")];
    const inboxes = clients.map((client) => client.last("welcome").inboxRoomId);
    for (const [index, client] of clients.entries()) {
      await client.ask({ case: "subscribe", value: { roomId: inboxes[index] ?? "", after: { seq: 0, tag: 0 } } });
    }
    await announce(test, "you two", { mentions: [{ userId: "ann" }, { userId: "eve" }] });
    await settle();
    for (const [index, client] of clients.entries()) {
      names[index] = client
        .all("roomEvents")
        .filter(({ value }) => value.roomId === inboxes[index])
        .flatMap(({ value }) => value.events.map(({ kind }) => kind.case ?? ""));
    }
    expect(names[0]).toEqual(["roomCreated", "mentioned"]);
    expect(names[1]).not.toContain("mentioned");
  });

  it("hides a message from themselves alone", async () => {
    const { test } = await useAnnouncements();
    const { messageId } = await announce(test, "hello");
    const [ann, bob] = [await test.connect("ann"), await test.connect("bob")];
    await call(ann, { case: "hideMessage", value: { roomId: ROOM, messageId, key: "h" } });
    expect(await call(ann, { case: "getHistory", value: { roomId: ROOM } })).toMatchObject({ messages: [] });
    expect(await call(bob, { case: "getHistory", value: { roomId: ROOM } })).toMatchObject({ messages: [{}] });
  });

  it("hears nothing of them without a subscription", async () => {
    const { test, bot } = await useAnnouncements();
    const ann = await test.connect("ann");
    await setMember(bot, "bob", Role.MEMBER);
    const bob = await test.connect("bob");
    await announce(test, "hello");
    await test.elapse(5_000);
    for (const client of [ann, bob]) expect(client.all("signals")).toEqual([]);
  });

  it("does not see how many are there either where very many have a role", async () => {
    const { test, bot } = await useAnnouncements();
    const members = Array.from({ length: 100 }, (_, index) => ({ userId: `user-${index}` }));
    await call(bot, { case: "addMembers", value: { roomId: ROOM, key: newKey(), members } });
    const ann = await test.connect("ann");
    const watched = await ann.ask({ case: "watchPresence", value: { roomIds: [ROOM] } });
    expect(watched).toMatchObject({ case: "error", value: { code: ErrorCode.PERMISSION_DENIED } });
  });

  it("sees nobody by it, role or not: neither who is there nor how many", async () => {
    const { test, bot } = await useAnnouncements();
    const [ann, bob] = [await test.connect("ann"), await test.connect("bob")];
    for (const userId of ["ann", "bob"]) await setMember(bot, userId, Role.ADMIN);
    const root = await test.connect("root", {}, { grants: new Set(["admin"]) });
    const eve = await test.connect("eve");
    for (const client of [ann, eve, root, bot]) {
      const watched = await client.ask({ case: "watchPresence", value: { roomIds: [ROOM] } });
      expect(watched).toMatchObject({ case: "error", value: { code: ErrorCode.PERMISSION_DENIED } });
    }
    await ann.ask({ case: "subscribe", value: { roomId: ROOM, presence: true } });
    await settle();
    expect(ann.all("presenceChanges")).toEqual([]);
    expect(await ann.ask({ case: "watchPresence", value: { userIds: ["bob"] } })).toMatchObject({
      case: "presenceSnapshot",
      value: { presences: [] },
    });
    const target = { case: "userId", value: "ann" } as const;
    const rung = await bob.ask({ case: "sendSignal", value: { target, type: "ring", data: new Uint8Array(1) } });
    expect(rung).toMatchObject({ case: "error", value: { code: ErrorCode.PERMISSION_DENIED } });
  });
});
