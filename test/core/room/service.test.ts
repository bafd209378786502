// RoomService: what each change of a room does, and whom and what it refuses.

import { describe, expect, it } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import { JoinRule, Permission, Role, RoomKind, RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { settle } from "../use-core.js";
import { administrator, expectRefusal, type TestRooms, useRooms, user } from "./use-rooms.js";

const ADA = user("ada");
const BOB = user("bob");
const EVE = user("eve");
const ROOT = administrator("root");

/** ada owner, adam admin, bob member, rea reader. */
async function lobby(rooms: TestRooms, differing: Parameters<TestRooms["room"]>[1] = {}): Promise<string> {
  return await rooms.room("lobby", {
    members: [
      { userId: "adam", role: Role.ADMIN },
      { userId: "bob", role: Role.MEMBER },
      { userId: "rea", role: Role.READER },
    ],
    ...differing,
  });
}

/** User ids and roles, as the owner sees them. */
async function membersOf(rooms: TestRooms, roomId: string): Promise<Record<string, string>> {
  const { members } = await rooms.ask(ROOT, "listMembers", { roomId });
  return Object.fromEntries(members.map(({ userId, role }) => [userId, Role[role] ?? ""]));
}

async function topOf(rooms: TestRooms, roomId: string): Promise<number> {
  return (await rooms.events(roomId)).at(-1)?.position?.seq ?? 0;
}

describe("createRoom", () => {
  it("makes the caller the owner, and the room's first event says all of it", async () => {
    const rooms = await useRooms();
    const metadata = { topic: "boats" };
    const made = await rooms.ask(user("ada", { displayName: "Ada L." }), "createRoom", {
      roomId: "lobby",
      key: "k",
      attempt: 1,
      name: "Lobby",
      metadata,
      settings: { slowModeMs: 5 },
      members: [{ userId: "bob" }],
    });
    expect(made.room).toMatchObject({
      roomId: "lobby",
      kind: RoomKind.GROUP,
      status: RoomStatus.ACTIVE,
      name: "Lobby",
      metadata,
      version: 1,
      createdBy: "ada",
      joinRule: JoinRule.INVITE,
      settings: { slowModeMs: 5 },
      top: { seq: 1 },
      memberCount: 2,
      lastMessageIndex: 0,
    });
    expect(made.member).toMatchObject({ userId: "ada", role: Role.OWNER, displayName: "Ada L." });
    expect(made.position).toMatchObject({ seq: 1, tag: made.room?.top?.tag });
    const [created] = await rooms.events("lobby");
    expect(created).toMatchObject({
      position: { seq: 1 },
      actor: { userId: "ada", deviceId: "ada-phone" },
      kind: {
        case: "roomCreated",
        value: { room: { name: "Lobby" }, members: [{ userId: "ada" }, { userId: "bob" }] },
      },
    });
  });

  it("gives first members the role asked for, or the kind's usual one", async () => {
    const rooms = await useRooms();
    const members = [{ userId: "bob" }, { userId: "adam", role: Role.ADMIN }];
    await rooms.room("group", { members });
    await rooms.room("channel", { members, kind: RoomKind.CHANNEL });
    expect(await membersOf(rooms, "group")).toEqual({ ada: "OWNER", adam: "ADMIN", bob: "MEMBER" });
    expect(await membersOf(rooms, "channel")).toEqual({ ada: "OWNER", adam: "ADMIN", bob: "READER" });
  });

  it("takes each member once: the caller stays owner, of others the first role counts", async () => {
    const rooms = await useRooms();
    const members = [
      { userId: "bob", role: Role.ADMIN },
      { userId: "ada", role: Role.READER },
      { userId: "bob", role: Role.READER },
    ];
    await rooms.room("lobby", { members });
    expect(await membersOf(rooms, "lobby")).toEqual({ ada: "OWNER", bob: "ADMIN" });
    const [created] = await rooms.events("lobby");
    expect(created?.kind).toMatchObject({ value: { members: [{ userId: "ada" }, { userId: "bob" }] } });
    expect((await rooms.ask(ADA, "getRoom", { roomId: "lobby" })).room?.memberCount).toBe(2);
  });

  it("is open where it is a channel and by invitation otherwise, unless said", async () => {
    const rooms = await useRooms();
    const ruleOf = async (roomId: string) => (await rooms.ask(ADA, "getRoom", { roomId })).room?.joinRule;
    expect(await ruleOf(await rooms.room("g"))).toBe(JoinRule.INVITE);
    expect(await ruleOf(await rooms.room("c", { kind: RoomKind.CHANNEL }))).toBe(JoinRule.OPEN);
    expect(await ruleOf(await rooms.room("g-open", { joinRule: JoinRule.OPEN }))).toBe(JoinRule.OPEN);
    expect(await ruleOf(await rooms.room("c-closed", { kind: RoomKind.CHANNEL, joinRule: JoinRule.INVITE }))).toBe(
      JoinRule.INVITE,
    );
  });

  it("chooses an id that a repeat of the key finds again, another user's does not", async () => {
    const rooms = await useRooms();
    const make = async (caller: typeof ADA, key: string, attempt: number) =>
      (await rooms.ask(caller, "createRoom", { key, attempt })).room?.roomId;
    const roomId = await make(ADA, "k", 1);
    expect(roomId).toMatch(/^r\.[A-Za-z0-9_-]{22}$/);
    expect(await make(ADA, "k", 2)).toBe(roomId);
    expect(new Set([roomId, await make(ADA, "k2", 1), await make(BOB, "k", 1)]).size).toBe(3);
  });

  it("refuses an id that is taken, also by a room that was deleted", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const again = () => rooms.ask(BOB, "createRoom", { roomId: "lobby", key: "k", attempt: 1 });
    await expectRefusal(again(), ErrorCode.ALREADY_EXISTS, { field: "room_id" });
    await rooms.ask(ADA, "deleteRoom", { roomId: "lobby", key: "d", attempt: 1 });
    await expectRefusal(again(), ErrorCode.ALREADY_EXISTS, { field: "room_id" });
  });

  const many = Array.from({ length: 101 }, (_, index) => ({ userId: `user-${index}` }));
  const newer: number = 99;
  it.each([
    ["no key", { key: "" }, ErrorCode.INVALID_ARGUMENT, "key"],
    ["a bad id", { roomId: "a b" }, ErrorCode.INVALID_ARGUMENT, "room_id"],
    ["a system's id", { roomId: "~x" }, ErrorCode.INVALID_ARGUMENT, "room_id"],
    ["an inbox", { kind: RoomKind.INBOX }, ErrorCode.INVALID_ARGUMENT, "kind"],
    ["an unknown kind", { kind: newer }, ErrorCode.INVALID_ARGUMENT, "kind"],
    ["an unknown join rule", { joinRule: newer }, ErrorCode.INVALID_ARGUMENT, "join_rule"],
    ["a long name", { name: "x".repeat(257) }, ErrorCode.TOO_LARGE, "name"],
    ["much metadata", { metadata: { a: "x".repeat(5_000) } }, ErrorCode.TOO_LARGE, "metadata"],
    ["a short retention", { settings: { retentionMs: 1 } }, ErrorCode.INVALID_ARGUMENT, "settings.retention_ms"],
    ["many members", { members: many }, ErrorCode.TOO_LARGE, "members"],
    ["a bad member", { members: [{ userId: "b b" }] }, ErrorCode.INVALID_ARGUMENT, "members[0].user_id"],
    ["an unknown role", { members: [{ userId: "b", role: newer }] }, ErrorCode.INVALID_ARGUMENT, "members[0].role"],
  ])("refuses %s and names the field", async (_, differing, code, field) => {
    const rooms = await useRooms();
    const asked = rooms.ask(ADA, "createRoom", { roomId: "lobby", key: "k", attempt: 1, ...differing });
    await expectRefusal(asked, code, { field });
    expect(await rooms.events("lobby")).toEqual([]);
  });
});

describe("a direct room", () => {
  const direct = (rooms: TestRooms, from: typeof ADA, to: string, key = "k") =>
    rooms.ask(from, "createRoom", { key, attempt: 1, kind: RoomKind.DIRECT, members: [{ userId: to }] });

  it("has an id of its two users, whoever of them makes it and whatever id is asked for", async () => {
    const rooms = await useRooms();
    const first = await direct(rooms, ADA, "bob");
    expect(first.room?.roomId).toMatch(/^~d\.[A-Za-z0-9_-]{22}$/);
    const second = await rooms.ask(BOB, "createRoom", {
      roomId: "chosen",
      key: "k",
      attempt: 1,
      kind: RoomKind.DIRECT,
      members: [{ userId: "ada" }],
    });
    expect(second).toMatchObject({ room: { roomId: first.room?.roomId }, member: { userId: "bob" } });
    expect(second.position).toEqual(first.position);
    expect(await rooms.kinds(first.room?.roomId ?? "")).toEqual(["roomCreated"]);
  });

  it("is another for every pair, also where the ids of two pairs join to the same text", async () => {
    const rooms = await useRooms();
    const pairs: readonly [string, string][] = [
      ["ada", "bob"],
      ["ada", "bobby"],
      ["a", "dabob"],
      ["ad", "abob"],
      ["a:d", "abob"],
      ["a", "d:abob"],
    ];
    const ids = await Promise.all(pairs.map(async ([a, b]) => (await direct(rooms, user(a), b)).room?.roomId));
    expect(new Set(ids).size).toBe(pairs.length);
    const elsewhere = await direct(rooms, user("ada", { tenantId: "globex" }), "bob");
    expect(elsewhere.position?.seq).toBe(1);
  });

  it("has two members without an owner, whatever roles and rule were asked for", async () => {
    const rooms = await useRooms();
    const made = await rooms.ask(ADA, "createRoom", {
      key: "k",
      attempt: 1,
      kind: RoomKind.DIRECT,
      joinRule: JoinRule.OPEN,
      members: [{ userId: "bob", role: Role.OWNER }],
    });
    expect(made.room).toMatchObject({ joinRule: JoinRule.INVITE, memberCount: 2 });
    expect(await membersOf(rooms, made.room?.roomId ?? "")).toEqual({ ada: "MEMBER", bob: "MEMBER" });
  });

  it("takes exactly one other user", async () => {
    const rooms = await useRooms();
    const members = (...ids: string[]) =>
      rooms.ask(ADA, "createRoom", {
        key: "k",
        attempt: 1,
        kind: RoomKind.DIRECT,
        members: ids.map((userId) => ({ userId })),
      });
    for (const ids of [[], ["ada"], ["bob", "eve"], ["bob", "bob"]]) {
      await expectRefusal(members(...ids), ErrorCode.INVALID_ARGUMENT, { field: "members" });
    }
  });

  it("keeps its two users and lets in nobody else, not even an administrator", async () => {
    const rooms = await useRooms();
    const roomId = (await direct(rooms, ADA, "bob")).room?.roomId ?? "";
    const change = { roomId, key: "k2", attempt: 1 };
    const refusals = [
      rooms.ask(ADA, "leaveRoom", change),
      rooms.ask(EVE, "joinRoom", change),
      rooms.ask(ROOT, "joinRoom", change),
      rooms.ask(ROOT, "addMembers", { ...change, members: [{ userId: "eve" }] }),
      rooms.ask(ROOT, "removeMember", { ...change, userId: "bob" }),
      rooms.ask(ROOT, "setMember", { ...change, userId: "bob", role: Role.OWNER }),
    ];
    for (const refused of refusals) await expectRefusal(refused, ErrorCode.PERMISSION_DENIED);
    await expectRefusal(
      rooms.ask(ROOT, "updateRoom", { ...change, joinRule: JoinRule.OPEN }),
      ErrorCode.INVALID_ARGUMENT,
      {
        field: "join_rule",
      },
    );
    expect(await membersOf(rooms, roomId)).toEqual({ ada: "MEMBER", bob: "MEMBER" });
  });
});

describe("joinRoom", () => {
  const join = (rooms: TestRooms, caller: typeof ADA, key = "join", roomId = "lobby") =>
    rooms.ask(caller, "joinRoom", { roomId, key, attempt: 1 });

  it("makes the caller a member of an open room, a reader of a channel", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby", { joinRule: JoinRule.OPEN });
    await rooms.room("news", { kind: RoomKind.CHANNEL });
    const joined = await join(rooms, user("eve", { displayName: "Eve" }));
    expect(joined).toMatchObject({
      room: { memberCount: 2 },
      member: { userId: "eve", role: Role.MEMBER, displayName: "Eve" },
      position: { seq: 2 },
    });
    expect((await join(rooms, EVE, "join", "news")).member?.role).toBe(Role.READER);
  });

  it("changes nothing for a member, and answers with the room's top", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    await rooms.publish(ADA, "lobby", "m");
    expect(await join(rooms, BOB)).toMatchObject({
      member: { userId: "bob", role: Role.MEMBER },
      position: { seq: 2 },
    });
    expect(await rooms.kinds("lobby")).toEqual(["roomCreated", "messageCreated"]);
  });

  it("is refused by invitation, save for an administrator", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    await expectRefusal(join(rooms, EVE), ErrorCode.PERMISSION_DENIED);
    expect((await join(rooms, ROOT)).member?.userId).toBe("root");
  });

  it("is refused to whoever is banned, until a member with the right adds them", async () => {
    const rooms = await useRooms();
    await lobby(rooms, { joinRule: JoinRule.OPEN });
    await rooms.ask(ADA, "removeMember", { roomId: "lobby", key: "ban", attempt: 1, userId: "bob", ban: true });
    await expectRefusal(join(rooms, BOB, "j1"), ErrorCode.PERMISSION_DENIED);
    await rooms.restart();
    await expectRefusal(join(rooms, BOB, "j2"), ErrorCode.PERMISSION_DENIED);
    await rooms.ask(ADA, "addMembers", { roomId: "lobby", key: "add", attempt: 1, members: [{ userId: "bob" }] });
    await rooms.ask(BOB, "leaveRoom", { roomId: "lobby", key: "leave", attempt: 1 });
    expect((await join(rooms, BOB, "j3")).member?.userId).toBe("bob");
  });

  it("is refused where there is no room, also another tenant's of that name", async () => {
    const rooms = await useRooms();
    await expectRefusal(join(rooms, EVE), ErrorCode.NOT_FOUND);
    await rooms.room("lobby", { joinRule: JoinRule.OPEN });
    await expectRefusal(join(rooms, user("eve", { tenantId: "globex" })), ErrorCode.NOT_FOUND);
  });
});

describe("leaveRoom", () => {
  const leave = (rooms: TestRooms, caller: typeof ADA, key = "leave") =>
    rooms.ask(caller, "leaveRoom", { roomId: "lobby", key, attempt: 1 });

  it("ends the caller's membership", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    expect((await leave(rooms, BOB)).position?.seq).toBe(2);
    expect(await membersOf(rooms, "lobby")).toEqual({ ada: "OWNER", adam: "ADMIN", rea: "READER" });
    await expectRefusal(rooms.publish(BOB, "lobby", "m"), ErrorCode.NOT_A_MEMBER);
    await expectRefusal(leave(rooms, BOB, "again"), ErrorCode.NOT_A_MEMBER);
  });

  it("is refused to the last owner, not to one of two", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    await expectRefusal(leave(rooms, ADA), ErrorCode.PERMISSION_DENIED);
    await rooms.ask(ADA, "setMember", { roomId: "lobby", key: "s", attempt: 1, userId: "bob", role: Role.OWNER });
    expect((await leave(rooms, ADA)).position?.seq).toBe(3);
    await expectRefusal(leave(rooms, BOB), ErrorCode.PERMISSION_DENIED);
  });
});

describe("addMembers", () => {
  const add = (
    rooms: TestRooms,
    caller: typeof ADA,
    members: { userId: string; role?: Role }[],
    key = "add",
    attempt = 1,
  ) => rooms.ask(caller, "addMembers", { roomId: "lobby", key, attempt, members });

  it("adds each once, leaves members as they are, and answers the memberships of all named", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const answer = await add(rooms, ADA, [
      { userId: "eve", role: Role.ADMIN },
      { userId: "bob", role: Role.READER },
      { userId: "eve", role: Role.READER },
      { userId: "una" },
    ]);
    expect(answer.members.map(({ userId, role }) => [userId, Role[role]])).toEqual([
      ["eve", "ADMIN"],
      ["bob", "MEMBER"],
      ["una", "MEMBER"],
    ]);
    expect(answer.position?.seq).toBe(3);
    expect(await rooms.kinds("lobby")).toEqual(["roomCreated", "memberJoined", "memberJoined"]);
  });

  it("answers a repeat with the place of the last change, from memory and from the archive alike", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const members = [{ userId: "eve" }, { userId: "una" }, { userId: "uli" }];
    const { position } = await add(rooms, ADA, members);
    await rooms.publish(ADA, "lobby", "later");
    expect((await add(rooms, ADA, members, "add", 2)).position).toEqual(position);
    await rooms.restart();
    expect((await add(rooms, ADA, members, "add", 3)).position).toEqual(position);
    expect(await rooms.kinds("lobby")).toEqual([
      "roomCreated",
      "memberJoined",
      "memberJoined",
      "memberJoined",
      "messageCreated",
    ]);
  });

  it("refuses a role above the caller's own, and then adds nobody", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const members = [{ userId: "eve" }, { userId: "una", role: Role.OWNER }];
    await expectRefusal(add(rooms, user("adam"), members), ErrorCode.PERMISSION_DENIED, { field: "members[1].role" });
    expect(await topOf(rooms, "lobby")).toBe(1);
    expect((await add(rooms, user("adam"), [{ userId: "una", role: Role.ADMIN }])).position?.seq).toBe(2);
    expect((await add(rooms, ROOT, [{ userId: "eve", role: Role.OWNER }])).position?.seq).toBe(3);
  });

  it("refuses an empty list, too long a one, and callers without the right", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const many = Array.from({ length: 101 }, (_, index) => ({ userId: `user-${index}` }));
    await expectRefusal(add(rooms, ADA, []), ErrorCode.INVALID_ARGUMENT, { field: "members" });
    await expectRefusal(add(rooms, ADA, many), ErrorCode.TOO_LARGE, { field: "members" });
    await expectRefusal(add(rooms, ADA, [{ userId: "" }]), ErrorCode.INVALID_ARGUMENT, { field: "members[0].user_id" });
    await expectRefusal(add(rooms, BOB, [{ userId: "eve" }]), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(add(rooms, EVE, [{ userId: "eve" }]), ErrorCode.NOT_A_MEMBER);
    expect((await add(rooms, ADA, many.slice(1))).members).toHaveLength(100);
  });
});

describe("removeMember", () => {
  const remove = (rooms: TestRooms, caller: typeof ADA, userId: string) =>
    rooms.ask(caller, "removeMember", { roomId: "lobby", key: `remove-${userId}`, attempt: 1, userId });

  it("removes those below the caller, and no others", async () => {
    const rooms = await useRooms();
    await lobby(rooms, {
      members: [{ userId: "adam", role: Role.ADMIN }, { userId: "abe", role: Role.ADMIN }, { userId: "bob" }],
    });
    for (const userId of ["ada", "abe", "adam"]) {
      await expectRefusal(remove(rooms, user("adam"), userId), ErrorCode.PERMISSION_DENIED, { field: "user_id" });
    }
    await expectRefusal(remove(rooms, BOB, "adam"), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(remove(rooms, ADA, "eve"), ErrorCode.NOT_FOUND, { field: "user_id" });
    expect((await remove(rooms, user("adam"), "bob")).position?.seq).toBe(2);
    expect(await membersOf(rooms, "lobby")).toEqual({ ada: "OWNER", abe: "ADMIN", adam: "ADMIN" });
  });

  it("never takes the last owner, not even for an administrator", async () => {
    const rooms = await useRooms();
    await lobby(rooms, { members: [{ userId: "olga", role: Role.OWNER }] });
    expect((await remove(rooms, ADA, "olga")).position?.seq).toBe(2);
    await expectRefusal(remove(rooms, ADA, "ada"), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(remove(rooms, ROOT, "ada"), ErrorCode.PERMISSION_DENIED);
  });

  it("says in the event whether it is a ban", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    await remove(rooms, ADA, "bob");
    await rooms.ask(ADA, "removeMember", { roomId: "lobby", key: "ban", attempt: 1, userId: "rea", ban: true });
    expect((await rooms.events("lobby")).slice(1).map(({ kind }) => kind)).toMatchObject([
      { case: "memberLeft", value: { userId: "bob", banned: false } },
      { case: "memberLeft", value: { userId: "rea", banned: true } },
    ]);
  });
});

describe("setMember", () => {
  let keys = 0;
  type Change = Omit<Parameters<typeof asSet>[0], "roomId" | "key">;
  function asSet(value: {
    roomId: string;
    key: string;
    userId: string;
    role?: Role;
    overrides?: { granted?: Permission[]; denied?: Permission[] };
    muteForMs?: number;
  }) {
    return value;
  }
  const set = (rooms: TestRooms, caller: typeof ADA, change: Change) =>
    rooms.ask(caller, "setMember", asSet({ roomId: "lobby", key: `set-${++keys}`, ...change }));

  it("changes a role up to the caller's own, of members below", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const adam = user("adam");
    expect((await set(rooms, adam, { userId: "rea", role: Role.ADMIN })).member?.role).toBe(Role.ADMIN);
    await expectRefusal(set(rooms, adam, { userId: "bob", role: Role.OWNER }), ErrorCode.PERMISSION_DENIED, {
      field: "role",
    });
    for (const userId of ["ada", "rea", "adam"]) {
      await expectRefusal(set(rooms, adam, { userId, role: Role.READER }), ErrorCode.PERMISSION_DENIED, {
        field: "user_id",
      });
    }
    await expectRefusal(set(rooms, BOB, { userId: "rea", role: Role.READER }), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(set(rooms, ADA, { userId: "eve", role: Role.READER }), ErrorCode.NOT_FOUND, {
      field: "user_id",
    });
  });

  it("lets owners change one another, but keeps one", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    await expectRefusal(set(rooms, ADA, { userId: "ada", role: Role.MEMBER }), ErrorCode.PERMISSION_DENIED);
    await set(rooms, ADA, { userId: "bob", role: Role.OWNER });
    await set(rooms, BOB, { userId: "ada", role: Role.MEMBER });
    expect(await membersOf(rooms, "lobby")).toMatchObject({ ada: "MEMBER", bob: "OWNER" });
    await expectRefusal(set(rooms, ROOT, { userId: "bob", role: Role.ADMIN }), ErrorCode.PERMISSION_DENIED);
  });

  it("gives and takes rights that hold at once", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    await set(rooms, ADA, { userId: "rea", overrides: { granted: [Permission.PUBLISH] } });
    expect((await rooms.publish(user("rea"), "lobby", "m1")).seq).toBe(3);
    await set(rooms, ADA, { userId: "bob", overrides: { denied: [Permission.PUBLISH] } });
    await expectRefusal(rooms.publish(BOB, "lobby", "m2"), ErrorCode.PERMISSION_DENIED);
    await set(rooms, ADA, { userId: "bob", overrides: {} });
    expect((await rooms.publish(BOB, "lobby", "m3")).seq).toBe(6);
  });

  it("denies an owner nothing, so that a room is never without somebody who may do everything in it", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const denied = [Permission.SET_ROLES];
    const refusal = { field: "overrides.denied" };
    await expectRefusal(set(rooms, ADA, { userId: "ada", overrides: { denied } }), ErrorCode.INVALID_ARGUMENT, refusal);
    const promotion = { userId: "bob", role: Role.OWNER, overrides: { denied } };
    await expectRefusal(set(rooms, ADA, promotion), ErrorCode.INVALID_ARGUMENT, refusal);
    await set(rooms, ADA, { userId: "bob", overrides: { denied } });
    expect((await set(rooms, ADA, { userId: "bob", role: Role.OWNER })).member?.denied).toEqual([]);
    // Who is an owner no longer can be denied what they like.
    expect((await set(rooms, BOB, { userId: "ada", role: Role.ADMIN, overrides: { denied } })).member).toMatchObject({
      role: Role.ADMIN,
      denied,
    });
  });

  it("lets nobody give away a right they do not hold", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const adam = user("adam");
    const grant = (caller: typeof ADA, permission: Permission) =>
      set(rooms, caller, { userId: "bob", overrides: { granted: [permission] } });
    await expectRefusal(grant(adam, Permission.DELETE_ROOM), ErrorCode.PERMISSION_DENIED, {
      field: "overrides.granted[0]",
    });
    expect((await grant(adam, Permission.PIN)).member?.granted).toEqual([Permission.PIN]);
    expect((await grant(ROOT, Permission.DELETE_ROOM)).member?.granted).toEqual([Permission.DELETE_ROOM]);
  });

  it("lets an admin give the right to publish after its own mute has ended, and during it", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    await set(rooms, ADA, { userId: "adam", muteForMs: 1_000 });
    const grant = () => set(rooms, user("adam"), { userId: "rea", overrides: { granted: [Permission.PUBLISH] } });
    expect((await grant()).member?.granted).toEqual([Permission.PUBLISH]);
    rooms.clock.advance(2_000);
    expect((await grant()).member?.granted).toEqual([Permission.PUBLISH]);
  });

  it("mutes for a time, and ends a mute", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    await set(rooms, ADA, { userId: "bob", muteForMs: 1_000 });
    await expectRefusal(rooms.publish(BOB, "lobby", "m1"), ErrorCode.PERMISSION_DENIED);
    rooms.clock.advance(1_000);
    expect((await rooms.publish(BOB, "lobby", "m2")).messageIndex).toBe(1);
    await set(rooms, ADA, { userId: "bob", muteForMs: 1_000 });
    expect((await set(rooms, ADA, { userId: "bob", muteForMs: 0 })).member?.mutedUntil).toBeUndefined();
    expect((await rooms.publish(BOB, "lobby", "m3")).messageIndex).toBe(2);
  });

  it("asks for the right to remove where it mutes, and for the right to set roles where it does more", async () => {
    const rooms = await useRooms();
    await lobby(rooms, { members: [{ userId: "mod", role: Role.ADMIN }, { userId: "bob" }] });
    const mod = user("mod");
    await set(rooms, ADA, { userId: "mod", overrides: { denied: [Permission.SET_ROLES] } });
    expect((await set(rooms, mod, { userId: "bob", muteForMs: 5 })).member?.mutedUntil).toBeDefined();
    await expectRefusal(set(rooms, mod, { userId: "bob", role: Role.READER }), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(
      set(rooms, mod, { userId: "bob", role: Role.READER, muteForMs: 5 }),
      ErrorCode.PERMISSION_DENIED,
    );
    await set(rooms, ADA, { userId: "mod", overrides: { denied: [Permission.REMOVE] } });
    await expectRefusal(set(rooms, mod, { userId: "bob", muteForMs: 5 }), ErrorCode.PERMISSION_DENIED);
    expect((await set(rooms, mod, { userId: "bob", role: Role.READER })).member?.role).toBe(Role.READER);
  });

  it("refuses what does not exist, with its field", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const newer: number = 99;
    const cases: readonly [Change, string][] = [
      [{ userId: "" }, "user_id"],
      [{ userId: "bob", role: newer }, "role"],
      [{ userId: "bob", overrides: { granted: [Permission.PIN, newer] } }, "overrides.granted[1]"],
      [{ userId: "bob", overrides: { denied: [Permission.UNSPECIFIED] } }, "overrides.denied[0]"],
    ];
    for (const [change, field] of cases) {
      await expectRefusal(set(rooms, ADA, change), ErrorCode.INVALID_ARGUMENT, { field });
    }
  });
});

describe("updateRoom", () => {
  it("changes what is set and leaves the rest, one version at a time", async () => {
    const rooms = await useRooms();
    await lobby(rooms, { name: "Lobby", metadata: { a: 1 }, settings: { slowModeMs: 5 } });
    const update = { roomId: "lobby", attempt: 1 };
    const renamed = await rooms.ask(ADA, "updateRoom", { ...update, key: "u1", name: "Hall" });
    expect(renamed.room).toMatchObject({ name: "Hall", metadata: { a: 1 }, settings: { slowModeMs: 5 }, version: 2 });
    const emptied = await rooms.ask(user("adam"), "updateRoom", {
      ...update,
      key: "u2",
      name: "",
      metadata: {},
      settings: {},
      joinRule: JoinRule.OPEN,
    });
    expect(emptied.room).toMatchObject({
      name: "",
      metadata: {},
      joinRule: JoinRule.OPEN,
      version: 3,
      top: { seq: 3 },
    });
    expect(emptied.room?.settings?.slowModeMs).toBeUndefined();
  });

  it("is CONFLICT on a stale base_version, with the current one", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const update = (key: string, baseVersion: number) =>
      rooms.ask(ADA, "updateRoom", { roomId: "lobby", key, attempt: 1, baseVersion, name: key });
    expect((await update("u1", 1)).room?.version).toBe(2);
    for (const [key, stale] of [
      ["u2", 1],
      ["u3", 3],
    ] as const) {
      await expectRefusal(update(key, stale), ErrorCode.CONFLICT, {
        field: "base_version",
        details: { current_version: "2" },
      });
    }
    expect((await update("u4", 0)).room?.version).toBe(3);
  });

  it("lets one of two that are based on the same version through", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const update = (key: string) =>
      rooms.ask(ADA, "updateRoom", { roomId: "lobby", key, attempt: 1, baseVersion: 1, name: key });
    const both = await Promise.allSettled([update("u1"), update("u2")]);
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
    expect((await rooms.ask(ADA, "getRoom", { roomId: "lobby" })).room).toMatchObject({ name: "u1", version: 2 });
  });

  it("refuses what cannot be set, and callers without the right", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const newer: number = 99;
    const update = { roomId: "lobby", key: "u", attempt: 1 };
    await expectRefusal(rooms.ask(BOB, "updateRoom", update), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(rooms.ask(EVE, "updateRoom", update), ErrorCode.NOT_A_MEMBER);
    for (const [change, field] of [
      [{ status: RoomStatus.DELETED }, "status"],
      [{ status: newer }, "status"],
      [{ joinRule: newer }, "join_rule"],
    ] as const) {
      await expectRefusal(rooms.ask(ADA, "updateRoom", { ...update, ...change }), ErrorCode.INVALID_ARGUMENT, {
        field,
      });
    }
  });
});

describe("an archived room", () => {
  async function archived(): Promise<TestRooms> {
    const rooms = await useRooms();
    await lobby(rooms, { joinRule: JoinRule.OPEN });
    await rooms.publish(BOB, "lobby", "m");
    await rooms.ask(ADA, "updateRoom", { roomId: "lobby", key: "a", attempt: 1, status: RoomStatus.ARCHIVED });
    return rooms;
  }

  it("can be read and left, and takes no message and no member", async () => {
    const rooms = await archived();
    const change = { roomId: "lobby", key: "k", attempt: 1 };
    await expectRefusal(rooms.publish(ADA, "lobby", "m2"), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(rooms.ask(EVE, "joinRoom", change), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(
      rooms.ask(ADA, "addMembers", { ...change, members: [{ userId: "eve" }] }),
      ErrorCode.PERMISSION_DENIED,
    );
    await expectRefusal(rooms.ask(ROOT, "removeMember", { ...change, userId: "bob" }), ErrorCode.PERMISSION_DENIED);
    expect((await rooms.ask(BOB, "getHistory", { roomId: "lobby" })).messages).toHaveLength(1);
    expect((await rooms.ask(BOB, "leaveRoom", change)).position?.seq).toBe(4);
  });

  it("takes messages again once it is active", async () => {
    const rooms = await archived();
    await rooms.ask(ADA, "updateRoom", { roomId: "lobby", key: "b", attempt: 1, status: RoomStatus.ACTIVE });
    expect((await rooms.publish(BOB, "lobby", "m2")).messageIndex).toBe(2);
  });

  it("can be deleted", async () => {
    const rooms = await archived();
    expect((await rooms.ask(ADA, "deleteRoom", { roomId: "lobby", key: "d", attempt: 1 })).position?.seq).toBe(4);
  });
});

describe("deleteRoom", () => {
  it("is the owners' alone", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const remove = { roomId: "lobby", key: "d", attempt: 1 };
    for (const caller of [user("adam"), BOB, user("rea")]) {
      await expectRefusal(rooms.ask(caller, "deleteRoom", remove), ErrorCode.PERMISSION_DENIED);
    }
    await expectRefusal(rooms.ask(EVE, "deleteRoom", remove), ErrorCode.NOT_A_MEMBER);
    expect((await rooms.ask(ROOT, "deleteRoom", remove)).position?.seq).toBe(2);
  });

  it("leaves a tombstone: nobody can do or see anything of the room, also after a restart", async () => {
    const rooms = await useRooms();
    await lobby(rooms, { name: "Secret", joinRule: JoinRule.OPEN });
    for (const key of ["m1", "m2"]) await rooms.publish(BOB, "lobby", key);
    expect((await rooms.ask(ADA, "deleteRoom", { roomId: "lobby", key: "d", attempt: 1 })).position?.seq).toBe(4);
    await settle();
    for (const round of ["before", "after"]) {
      const change = { roomId: "lobby", key: `k-${round}`, attempt: 1 };
      for (const caller of [ADA, EVE, ROOT]) {
        const { roomId } = change;
        await expectRefusal(rooms.ask(caller, "getRoom", { roomId }), ErrorCode.NOT_FOUND);
        await expectRefusal(rooms.ask(caller, "getHistory", { roomId }), ErrorCode.NOT_FOUND);
        await expectRefusal(rooms.ask(caller, "getEvents", { roomId }), ErrorCode.NOT_FOUND);
        await expectRefusal(rooms.ask(caller, "listMembers", { roomId }), ErrorCode.NOT_FOUND);
        await expectRefusal(rooms.ask(caller, "joinRoom", change), ErrorCode.NOT_FOUND);
        await expectRefusal(rooms.ask(caller, "leaveRoom", change), ErrorCode.NOT_FOUND);
        await expectRefusal(rooms.ask(caller, "deleteRoom", change), ErrorCode.NOT_FOUND);
        await expectRefusal(rooms.publish(caller, "lobby", `m-${round}`), ErrorCode.NOT_FOUND);
      }
      expect((await rooms.ask(ADA, "listRooms", {})).rooms).toEqual([]);
      const document = await rooms.engine.archive.room({ tenantId: "acme", roomId: "lobby", key: "acme/lobby" });
      expect(document?.room).toMatchObject({ status: RoomStatus.DELETED, name: "", top: { seq: 4 } });
      await rooms.restart();
    }
  });

  it("is answered again for the same key", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    const remove = (attempt: number) => rooms.ask(ADA, "deleteRoom", { roomId: "lobby", key: "d", attempt });
    const { position } = await remove(1);
    expect((await remove(2)).position).toEqual(position);
    await rooms.restart();
    expect((await remove(3)).position).toEqual(position);
  });
});

describe("every change", () => {
  it("asks for a room and a key that can be one", async () => {
    const rooms = await useRooms();
    await lobby(rooms);
    for (const method of ["updateRoom", "deleteRoom", "joinRoom", "leaveRoom"] as const) {
      await expectRefusal(rooms.ask(ADA, method, { roomId: "", key: "k" }), ErrorCode.INVALID_ARGUMENT, {
        field: "room_id",
      });
      await expectRefusal(rooms.ask(ADA, method, { roomId: "lobby", key: "" }), ErrorCode.INVALID_ARGUMENT, {
        field: "key",
      });
      await expectRefusal(rooms.ask(ADA, method, { roomId: "lobby", key: "k/k" }), ErrorCode.INVALID_ARGUMENT, {
        field: "key",
      });
    }
    expect(await topOf(rooms, "lobby")).toBe(1);
  });

  it("is NOT_FOUND where there is no such room", async () => {
    const rooms = await useRooms();
    for (const method of ["updateRoom", "deleteRoom", "joinRoom", "leaveRoom"] as const) {
      await expectRefusal(rooms.ask(ADA, method, { roomId: "nowhere", key: "k" }), ErrorCode.NOT_FOUND);
    }
    await expectRefusal(rooms.publish(ADA, "nowhere", "m"), ErrorCode.NOT_FOUND);
    await expectRefusal(rooms.ask(ADA, "getRoom", { roomId: "nowhere" }), ErrorCode.NOT_FOUND);
  });
});

describe("a room that is joined before it is there", () => {
  const dora = user("dora");

  it("is made where that is the rule, open, and owned by who came first", async () => {
    const rooms = await useRooms({ limits: { openRooms: true } });
    const join = (who: typeof ADA, attempt = 1) => rooms.ask(who, "joinRoom", { roomId: "new", key: "j", attempt });
    const [first, second] = await Promise.all([join(ADA), join(dora)]);
    expect([first.member?.role, second.member?.role]).toEqual([Role.OWNER, Role.MEMBER]);
    expect(await join(ADA, 2)).toMatchObject({ member: { userId: "ada" }, room: { joinRule: JoinRule.OPEN } });
    expect(await rooms.kinds("new")).toEqual(["roomCreated", "memberJoined"]);
    await expectRefusal(rooms.ask(ADA, "joinRoom", { roomId: "~new", key: "j" }), ErrorCode.NOT_FOUND);
  });

  it("stays deleted", async () => {
    const rooms = await useRooms({ limits: { openRooms: true } });
    await rooms.room("r");
    await rooms.ask(ADA, "deleteRoom", { roomId: "r", key: "d" });
    await expectRefusal(rooms.ask(dora, "joinRoom", { roomId: "r", key: "j" }), ErrorCode.NOT_FOUND);
  });
});

describe("a full room", () => {
  it("takes no more members, however they come, until one has left", async () => {
    const rooms = await useRooms({ limits: { maxMembersPerRoom: 3 } });
    const full = { code: ErrorCode.LIMIT_EXCEEDED, details: { limit: "3" } };
    const four = { members: ["b", "c", "d"].map((userId) => ({ userId })) };
    await expect(rooms.room("four", four)).rejects.toMatchObject(full);
    await rooms.room("r", { joinRule: JoinRule.OPEN, members: [{ userId: "bob" }] });
    const add = (key: string, ...ids: readonly string[]) =>
      rooms.ask(ADA, "addMembers", { roomId: "r", key, members: ids.map((userId) => ({ userId })) });
    await expect(add("two", "carl", "dora")).rejects.toMatchObject(full);
    await add("one", "bob", "carl");
    await expect(rooms.ask(user("dora"), "joinRoom", { roomId: "r", key: "j" })).rejects.toMatchObject(full);
    await rooms.ask(BOB, "leaveRoom", { roomId: "r", key: "l" });
    await rooms.ask(user("dora"), "joinRoom", { roomId: "r", key: "j" });
    await rooms.ask(user("dora"), "joinRoom", { roomId: "r", key: "j", attempt: 2 });
    expect((await rooms.ask(ADA, "getRoom", { roomId: "r" })).room?.memberCount).toBe(3);
  });
});

describe("slow mode", () => {
  it("lets a member publish once per interval, and administrators whenever they want", async () => {
    const rooms = await useRooms();
    await lobby(rooms, { settings: { slowModeMs: 1_000 } });
    await rooms.publish(BOB, "lobby", "m1");
    rooms.clock.advance(999);
    await expect(rooms.publish(BOB, "lobby", "m2")).rejects.toMatchObject({
      code: ErrorCode.RATE_LIMITED,
      retryAfterMs: 1,
    });
    expect((await rooms.publish(BOB, "lobby", "m1", 2)).duplicate).toBe(true);
    rooms.clock.advance(1);
    expect((await rooms.publish(BOB, "lobby", "m2")).messageIndex).toBe(2);
    for (const key of ["m3", "m4"]) await rooms.publish(user("adam"), "lobby", key);
    expect(await topOf(rooms, "lobby")).toBe(5);
  });

  it("remembers who has published over a restart, an idle hour, and leaving and coming back", async () => {
    const rooms = await useRooms();
    await lobby(rooms, { settings: { slowModeMs: 7_200_000 }, joinRule: JoinRule.OPEN });
    await rooms.publish(BOB, "lobby", "m1");
    const refused = async (retryAfterMs: number) =>
      await expect(rooms.publish(BOB, "lobby", "m2")).rejects.toMatchObject({
        code: ErrorCode.RATE_LIMITED,
        retryAfterMs,
      });
    await rooms.restart();
    await refused(7_200_000);
    rooms.clock.advance(3_600_000);
    await refused(3_600_000);
    await rooms.ask(BOB, "leaveRoom", { roomId: "lobby", key: "leave" });
    await rooms.ask(BOB, "joinRoom", { roomId: "lobby", key: "join" });
    await refused(3_600_000);
    rooms.clock.advance(3_600_000);
    expect((await rooms.publish(BOB, "lobby", "m2")).messageIndex).toBe(2);
  });

  it("is at most a day", async () => {
    const rooms = await useRooms();
    await expectRefusal(lobby(rooms, { settings: { slowModeMs: 86_400_001 } }), ErrorCode.INVALID_ARGUMENT, {
      field: "settings.slow_mode_ms",
    });
  });

  it("limits what a room takes from all its members together", async () => {
    const rooms = await useRooms({ limits: { rates: ratesWith({ publish: { room: { perSecond: 1, burst: 2 } } }) } });
    await lobby(rooms);
    await rooms.publish(BOB, "lobby", "m1");
    await rooms.publish(ADA, "lobby", "m2");
    await expect(rooms.publish(BOB, "lobby", "m3")).rejects.toMatchObject({
      code: ErrorCode.RATE_LIMITED,
      retryAfterMs: 1_000,
    });
    rooms.clock.advance(1_000);
    expect((await rooms.publish(BOB, "lobby", "m3")).messageIndex).toBe(3);
  });
});
