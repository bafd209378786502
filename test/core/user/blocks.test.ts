// What it means to have blocked somebody.

import { describe, expect, it } from "vitest";
import { RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { expectRefusal, type TestRooms, useRooms, user } from "../room/use-rooms.js";
import { settle, text, useCore } from "../use-core.js";
import { call, openInbox, told } from "./use-inbox.js";

const ADA = user("ada");
const BOB = user("bob");

function block(rooms: TestRooms, who: typeof ADA, userId: string, blocked: boolean, key = `${userId}-${blocked}`) {
  return rooms.ask(who, "blockUser", { userId, blocked, key });
}

async function direct(rooms: TestRooms, who: typeof ADA, userId: string, key = `direct-${userId}`): Promise<string> {
  const asked = { kind: RoomKind.DIRECT, key, members: [{ userId }] };
  return (await rooms.ask(who, "createRoom", asked)).room?.roomId ?? "";
}

describe("a blocked user", () => {
  it("publishes nothing in the direct room, nor does the blocker, until they are unblocked", async () => {
    const rooms = await useRooms();
    const roomId = await direct(rooms, ADA, "bob");
    await rooms.publish(BOB, roomId, "before");
    await block(rooms, ADA, "bob", true);
    await expectRefusal(rooms.publish(BOB, roomId, "m1"), ErrorCode.BLOCKED);
    await expectRefusal(rooms.publish(ADA, roomId, "m2"), ErrorCode.BLOCKED);
    await rooms.restart();
    await expectRefusal(rooms.publish(BOB, roomId, "m3"), ErrorCode.BLOCKED);
    await block(rooms, ADA, "bob", false);
    await rooms.publish(BOB, roomId, "m4");
    expect(await rooms.kinds(roomId)).toEqual(["roomCreated", "messageCreated", "messageCreated"]);
  });

  it("stays blocked while the other of the two still blocks", async () => {
    const rooms = await useRooms();
    const roomId = await direct(rooms, ADA, "bob");
    await block(rooms, ADA, "bob", true);
    await block(rooms, BOB, "ada", true);
    await block(rooms, ADA, "bob", false);
    await expectRefusal(rooms.publish(ADA, roomId, "m1"), ErrorCode.BLOCKED);
    await block(rooms, BOB, "ada", false);
    await rooms.publish(ADA, roomId, "m2");
  });

  it("is blocked also where the log has stored that without an answer", async () => {
    const engine = new MemoryEngine({ shards: 1 });
    const core = await useCore({ engine });
    const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
    const asked = { kind: RoomKind.DIRECT, key: "direct", members: [{ userId: "bob" }] };
    const made = await call(ada, { case: "createRoom", value: asked });
    const roomId = made.case === "createRoom" ? (made.value.room?.roomId ?? "") : "";
    await bob.ask(text(roomId, "m1"));
    engine.faultNextAppend({ kind: "lose-answer" });
    const value = { userId: "bob", blocked: true, key: "b" };
    ada.send({ case: "call", value: { rpc: { case: "blockUser", value } } });
    await core.elapse(1_000);
    expect(await bob.ask(text(roomId, "m2"))).toMatchObject({ case: "error", value: { code: ErrorCode.BLOCKED } });
  });

  it("is told of what was stored before under the same key", async () => {
    const rooms = await useRooms();
    const roomId = await direct(rooms, ADA, "bob");
    const before = await rooms.publish(BOB, roomId, "m");
    await block(rooms, ADA, "bob", true);
    expect(await rooms.publish(BOB, roomId, "m", 2)).toMatchObject({ duplicate: true, seq: before.seq });
    await rooms.restart();
    expect(await rooms.publish(BOB, roomId, "m", 3)).toMatchObject({ duplicate: true, seq: before.seq });
  });

  it("makes no direct room with the blocker, nor the blocker with them", async () => {
    const rooms = await useRooms();
    await block(rooms, ADA, "bob", true);
    await expectRefusal(direct(rooms, ADA, "bob"), ErrorCode.BLOCKED);
    await expectRefusal(direct(rooms, BOB, "ada"), ErrorCode.BLOCKED);
    await direct(rooms, BOB, "carl");
    await block(rooms, ADA, "bob", false);
    await direct(rooms, BOB, "ada", "again");
  });

  it("is not spoken for by a service either, which goes on speaking for itself", async () => {
    const rooms = await useRooms();
    const roomId = await direct(rooms, ADA, "bob");
    const service = user("mailer", { grants: new Set(["service"]) });
    await block(rooms, ADA, "bob", true);
    await expectRefusal(rooms.publish({ ...service, onBehalfOf: "bob" }, roomId, "m1"), ErrorCode.BLOCKED);
    await rooms.publish(service, roomId, "m2");
  });

  it("speaks in groups as before", async () => {
    const rooms = await useRooms();
    await rooms.room("r", { members: [{ userId: "bob" }] });
    await block(rooms, ADA, "bob", true);
    await rooms.publish(BOB, "r", "m");
  });

  it("reaches nobody's inbox who blocks them by naming them", async () => {
    const core = await useCore();
    const [ada, bob, carl] = await Promise.all(["ada", "bob", "carl"].map((id) => core.connect(id)));
    if (ada === undefined || bob === undefined || carl === undefined) throw new Error("three are there");
    await core.room(ada, "r", "bob", "carl");
    await openInbox(ada);
    await openInbox(carl);
    await call(ada, { case: "blockUser", value: { userId: "bob", blocked: true, key: "b" } });
    const mentions = [{ userId: "ada" }, { userId: "carl" }];
    const body = { kind: { case: "text" as const, value: "look" } };
    await bob.ask({ case: "publish", value: { roomId: "r", clientMessageId: "m", body, mentions } });
    await settle();
    expect(told(ada).map((kind) => kind.case)).toEqual(["userBlocked"]);
    expect(told(carl).map((kind) => kind.case)).toEqual(["addedToRoom", "mentioned"]);
  });
});

describe("blocking", () => {
  it("is told to the user's devices, once each way", async () => {
    const core = await useCore();
    const phone = await core.connect("ada");
    const laptop = await core.connect("ada", { device: { deviceId: "laptop" } });
    await openInbox(laptop);
    for (const [key, blocked] of [
      ["1", true],
      ["2", true],
      ["3", false],
      ["4", false],
    ] as const) {
      await call(phone, { case: "blockUser", value: { userId: "bob", blocked, key } });
    }
    expect(told(laptop)).toMatchObject([
      { case: "userBlocked", value: { userId: "bob", blocked: true } },
      { case: "userBlocked", value: { userId: "bob", blocked: false } },
    ]);
  });

  it("is listed for the user alone, by user id, page by page, also after a restart", async () => {
    const rooms = await useRooms();
    const list = async (who: typeof ADA, pageToken = "", pageSize = 3) => {
      const { userIds, nextPageToken } = await rooms.ask(who, "listBlockedUsers", { pageToken, pageSize });
      return [userIds, nextPageToken];
    };
    expect(await list(ADA)).toEqual([[], ""]);
    for (const userId of ["zoe", "dan", "Bob", "eve", "cem"]) await block(rooms, ADA, userId, true);
    await block(rooms, ADA, "dan", false);
    expect(await list(ADA)).toEqual([["Bob", "cem", "eve"], "eve"]);
    expect(await list(ADA, "eve")).toEqual([["zoe"], ""]);
    await block(rooms, ADA, "zoe", false);
    expect(await list(ADA)).toEqual([["Bob", "cem", "eve"], ""]);
    expect(await list(BOB)).toEqual([[], ""]);
    await rooms.restart();
    expect(await list(ADA, "", 0)).toEqual([["Bob", "cem", "eve"], ""]);
    await expectRefusal(list(ADA, "", 501), ErrorCode.TOO_LARGE, { field: "page_size" });
    await expectRefusal(list(ADA, "a b"), ErrorCode.INVALID_ARGUMENT, { field: "page_token" });
  });

  it("takes a thousand users and no more, and not oneself", async () => {
    const rooms = await useRooms();
    await Promise.all(Array.from({ length: 1_000 }, (_, n) => block(rooms, ADA, `u${n}`, true)));
    await expectRefusal(block(rooms, ADA, "more", true), ErrorCode.LIMIT_EXCEEDED, { details: { limit: "1000" } });
    await block(rooms, ADA, "u0", false);
    await block(rooms, ADA, "more", true, "later");
    await expectRefusal(block(rooms, ADA, "ada", true), ErrorCode.INVALID_ARGUMENT, { field: "user_id" });
  });
});
