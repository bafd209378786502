// Rooms under another: made, listed, judged by their root's members, and gone with it.

import { describe, expect, it } from "vitest";
import { Permission, Role, RoomKind, RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { administrator, expectRefusal, type TestRooms, useRooms, user } from "./use-rooms.js";

const ADA = user("ada");
const BOB = user("bob");
const EVE = user("eve");

/** A lobby of ada, its owner, and bob, with a room under it. */
async function useCorner(engine = new MemoryEngine()): Promise<TestRooms> {
  const rooms = await useRooms({ engine });
  await rooms.room("lobby", { members: [{ userId: "bob" }] });
  await rooms.room("lobby~corner", { parentId: "lobby", name: "Corner" });
  return rooms;
}

describe("a room under another", () => {
  it("is made with the parent's members, none of its own, and is told to be under it", async () => {
    const rooms = await useCorner();
    const seen = await rooms.ask(BOB, "getRoom", { roomId: "lobby~corner" });
    expect(seen).toMatchObject({
      room: { roomId: "lobby~corner", parentId: "lobby", name: "Corner", memberCount: 2, kind: RoomKind.GROUP },
      member: { userId: "bob", role: Role.MEMBER },
    });
    const { members } = await rooms.ask(BOB, "listMembers", { roomId: "lobby~corner" });
    expect(members.map(({ userId }) => userId)).toEqual(["ada", "bob"]);
    expect((await rooms.events("lobby~corner")).map(({ kind }) => kind.value)).toMatchObject([{ members: [] }]);
  });

  it("is named by the server where nobody does, and is found again by the same key", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby");
    const made = await rooms.room("", { parentId: "lobby", key: "k" });
    expect(made).toMatch(/^lobby~r\./);
    expect(await rooms.room("", { parentId: "lobby", key: "k", attempt: 2 })).toBe(made);
  });

  it.each([
    ["a room under it", { roomId: "lobby~corner~shelf", parentId: "lobby~corner" }, "parent_id"],
    ["another's id", { roomId: "hall~corner", parentId: "lobby" }, "room_id"],
    ["no name", { roomId: "lobby~", parentId: "lobby" }, "room_id"],
    ["a name with the mark", { roomId: "lobby~a~b", parentId: "lobby" }, "room_id"],
    ["an id with the mark under none", { roomId: "lobby~a" }, "room_id"],
    ["members of its own", { roomId: "lobby~a", parentId: "lobby", members: [{ userId: "eve" }] }, "members"],
    ["a join rule", { roomId: "lobby~a", parentId: "lobby", joinRule: 1 }, "join_rule"],
    ["a direct room", { roomId: "lobby~a", parentId: "lobby", kind: RoomKind.DIRECT }, "kind"],
  ])("is refused with %s", async (_, request, field) => {
    const rooms = await useCorner();
    await expectRefusal(rooms.room("x", request), ErrorCode.INVALID_ARGUMENT, { field });
  });

  it("is made by whoever has the right in its root, and by nobody under a direct room or none", async () => {
    const rooms = await useCorner();
    const make = (as: typeof ADA, roomId: string, parentId = "lobby") =>
      rooms.ask(as, "createRoom", { roomId: `${parentId}~${roomId}`, parentId, key: roomId });
    await expectRefusal(make(BOB, "a"), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(make(EVE, "a"), ErrorCode.NOT_A_MEMBER);
    await expectRefusal(make(ADA, "a", "nowhere"), ErrorCode.NOT_FOUND);
    const overrides = { granted: [Permission.CREATE_SUB_ROOMS] };
    await rooms.ask(ADA, "setMember", { roomId: "lobby", userId: "bob", key: "grant", overrides });
    await make(BOB, "a");
    await expectRefusal(make(ADA, "a"), ErrorCode.ALREADY_EXISTS);
    const direct = await rooms.room("", { key: "d", kind: RoomKind.DIRECT, members: [{ userId: "bob" }] });
    await expectRefusal(make(administrator("root"), "a", direct), ErrorCode.PERMISSION_DENIED);
  });

  it("is one of so many, deleted ones not counted, also after a restart", async () => {
    const rooms = await useRooms({ limits: { maxSubRooms: 2 } });
    await rooms.room("lobby");
    const make = (name: string) => rooms.room(`lobby~${name}`, { parentId: "lobby" });
    const both = await Promise.allSettled(["a", "b", "c"].map(make));
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
    await expectRefusal(make("d"), ErrorCode.LIMIT_EXCEEDED, { details: { limit: "2" } });
    await rooms.ask(ADA, "deleteRoom", { roomId: "lobby~a", key: "delete" });
    await make("e");
    await rooms.restart();
    await expectRefusal(make("f"), ErrorCode.LIMIT_EXCEEDED);
  });

  it("has no members to add, remove, change or join", async () => {
    const rooms = await useCorner();
    const roomId = "lobby~corner";
    const refused = [
      rooms.ask(ADA, "addMembers", { roomId, key: "1", members: [{ userId: "eve" }] }),
      rooms.ask(ADA, "removeMember", { roomId, key: "2", userId: "bob" }),
      rooms.ask(ADA, "setMember", { roomId, key: "3", userId: "bob", role: Role.ADMIN }),
      rooms.ask(EVE, "joinRoom", { roomId, key: "4" }),
      rooms.ask(BOB, "leaveRoom", { roomId, key: "5" }),
    ];
    for (const each of refused) await expectRefusal(each, ErrorCode.PERMISSION_DENIED);
    expect((await rooms.ask(BOB, "joinRoom", { roomId, key: "6" })).member?.userId).toBe("bob");
    await expectRefusal(rooms.ask(ADA, "updateRoom", { roomId, key: "7", joinRule: 1 }), ErrorCode.INVALID_ARGUMENT, {
      field: "join_rule",
    });
  });

  it("takes nothing from whom the root has taken it, from that event on", async () => {
    const rooms = await useCorner();
    const said = rooms.publish(BOB, "lobby~corner", "before");
    const kicked = rooms.ask(ADA, "removeMember", { roomId: "lobby", key: "kick", userId: "bob" });
    const refused = expectRefusal(rooms.publish(BOB, "lobby~corner", "after"), ErrorCode.NOT_A_MEMBER);
    await Promise.all([said, kicked, refused]);
    const [made, message] = await rooms.events("lobby~corner");
    expect([made?.rootSeq, message?.rootSeq]).toEqual([1, 1]);
    await rooms.publish(ADA, "lobby~corner", "of ada");
    expect((await rooms.events("lobby~corner")).at(-1)?.rootSeq).toBe(2);
  });

  it("tells a refusal only when what it rests on in the root is stored", async () => {
    const engine = new MemoryEngine();
    const rooms = await useCorner(engine);
    engine.faultNextAppend({ kind: "refuse" });
    const kicked = rooms.ask(ADA, "removeMember", { roomId: "lobby", key: "kick", userId: "bob" });
    // It would have been NOT_A_MEMBER: but nobody has left.
    const refused = expectRefusal(rooms.publish(BOB, "lobby~corner", "after"), ErrorCode.UNAVAILABLE);
    await expectRefusal(kicked, ErrorCode.UNAVAILABLE);
    await refused;
  });

  it("is read-only while its root is archived, and itself again after", async () => {
    const rooms = await useCorner();
    const archive = (roomId: string, status: RoomStatus, key: string) =>
      rooms.ask(ADA, "updateRoom", { roomId, status, key });
    await archive("lobby", RoomStatus.ARCHIVED, "1");
    await expectRefusal(rooms.publish(BOB, "lobby~corner", "m"), ErrorCode.PERMISSION_DENIED);
    const view = async () => (await rooms.ask(BOB, "getRoom", { roomId: "lobby~corner" })).room?.status;
    expect(await view()).toBe(RoomStatus.ARCHIVED);
    await rooms.ask(ADA, "updateRoom", { roomId: "lobby~corner", name: "Nook", key: "2" });
    await rooms.restart();
    expect(await view()).toBe(RoomStatus.ARCHIVED);
    await archive("lobby", RoomStatus.ACTIVE, "3");
    expect(await view()).toBe(RoomStatus.ACTIVE);
    await rooms.publish(BOB, "lobby~corner", "m");
  });

  it("is gone with its root at once", async () => {
    const rooms = await useCorner();
    const deleted = rooms.ask(ADA, "deleteRoom", { roomId: "lobby", key: "delete" });
    const refused = expectRefusal(rooms.publish(ADA, "lobby~corner", "m"), ErrorCode.NOT_FOUND);
    await Promise.all([deleted, refused]);
    await rooms.restart();
    await expectRefusal(rooms.ask(ADA, "getRoom", { roomId: "lobby~corner" }), ErrorCode.NOT_FOUND);
    await expectRefusal(rooms.room("lobby~late", { parentId: "lobby" }), ErrorCode.NOT_FOUND);
  });

  it("stays at its owner together with its root, however long only it is used", async () => {
    const rooms = await useCorner();
    for (let minutes = 0; minutes < 30; minutes += 5) {
      rooms.clock.advance(5 * 60_000);
      await rooms.publish(BOB, "lobby~corner", `m${minutes}`);
    }
    await rooms.ask(ADA, "removeMember", { roomId: "lobby", key: "kick", userId: "bob" });
    await expectRefusal(rooms.publish(BOB, "lobby~corner", "after"), ErrorCode.NOT_A_MEMBER);
  });

  it("has a slow mode of its own, which leaving and coming back does not end", async () => {
    const rooms = await useCorner();
    const settings = { slowModeMs: 60_000 };
    await rooms.ask(ADA, "updateRoom", { roomId: "lobby~corner", settings, key: "slow" });
    await rooms.publish(BOB, "lobby~corner", "m1");
    await rooms.publish(BOB, "lobby", "m2");
    await expectRefusal(rooms.publish(BOB, "lobby~corner", "m3"), ErrorCode.RATE_LIMITED);
    await rooms.restart();
    await expectRefusal(rooms.publish(BOB, "lobby~corner", "m4"), ErrorCode.RATE_LIMITED);
    rooms.clock.advance(60_000);
    await rooms.publish(BOB, "lobby~corner", "m5");
    // Where somebody spoke makes nobody a member.
    const { members } = await rooms.ask(BOB, "listMembers", { roomId: "lobby~corner" });
    expect(members.length).toBe(2);
  });
});

describe("a user's rooms", () => {
  it("are each followed by those under it, also from page to page", async () => {
    const rooms = await useRooms();
    for (const id of ["lobby", "lobby-2", "hall"]) await rooms.room(id, { members: [{ userId: "bob" }] });
    for (const id of ["lobby~b", "lobby~a", "hall~x"]) await rooms.room(id, { parentId: id.split("~")[0] ?? "" });
    await rooms.publish(ADA, "lobby~a", "m1");
    const wanted = ["hall", "hall~x", "lobby", "lobby~a", "lobby~b", "lobby-2"];
    const { rooms: all } = await rooms.ask(BOB, "listRooms", {});
    expect(all.map(({ room, unreadCount }) => [room?.roomId, unreadCount])).toEqual(
      wanted.map((id) => [id, id === "lobby~a" ? 1 : 0]),
    );
    for (const pageSize of [1, 2, 3]) {
      const found: (string | undefined)[] = [];
      let pageToken = "";
      do {
        const page = await rooms.ask(BOB, "listRooms", { pageSize, pageToken });
        expect(page.rooms.length).toBeLessThanOrEqual(pageSize);
        found.push(...page.rooms.map(({ room }) => room?.roomId));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      expect(found).toEqual(wanted);
    }
  });
});
