// The room of two users after it was deleted, and where it was stored before it named them.

import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { RoomDocumentSchema } from "../../../src/gen/trunkline/store/v1/documents_pb.js";
import { RoomKind, RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { administrator, expectRefusal, type TestRooms, useRooms, user } from "./use-rooms.js";

const ADA = user("ada");
const BOB = user("bob");
const ROOT = administrator("root");

async function direct(rooms: TestRooms, from: typeof ADA, to: string, key = "k", attempt = 1): Promise<string> {
  const asked = { key, attempt, kind: RoomKind.DIRECT, members: [{ userId: to }] };
  return (await rooms.ask(from, "createRoom", asked)).room?.roomId ?? "";
}

describe("a direct room that was deleted", () => {
  it("stays so, and its two users get another one, the same for both", async () => {
    const rooms = await useRooms();
    const first = await direct(rooms, ADA, "bob");
    await rooms.publish(ADA, first, "secret");
    await rooms.ask(ROOT, "deleteRoom", { roomId: first, key: "d" });
    await expectRefusal(rooms.publish(ADA, first, "m"), ErrorCode.NOT_FOUND);

    const second = await direct(rooms, BOB, "ada", "again");
    expect(second).not.toBe(first);
    expect(second).toMatch(/^~d\./);
    expect(await direct(rooms, ADA, "bob", "again")).toBe(second);
    expect((await rooms.publish(ADA, second, "m")).seq).toBe(2);
    expect(await rooms.kinds(second)).toEqual(["roomCreated", "messageCreated"]);
    const { rooms: listed } = await rooms.ask(BOB, "listRooms", {});
    expect(listed.map(({ room }) => room?.roomId)).toEqual([second]);

    await rooms.restart();
    expect(await direct(rooms, ADA, "bob", "once-more")).toBe(second);
    await rooms.ask(ROOT, "deleteRoom", { roomId: second, key: "d" });
    const third = await direct(rooms, ADA, "bob", "third");
    expect(new Set([first, second, third]).size).toBe(3);
  });

  it("is not what a resend of its making finds, nor one after a restart", async () => {
    const rooms = await useRooms();
    const first = await direct(rooms, ADA, "bob", "k");
    await rooms.ask(ROOT, "deleteRoom", { roomId: first, key: "d" });
    const second = await direct(rooms, ADA, "bob", "k", 2);
    expect(second).not.toBe(first);
    await rooms.restart();
    expect(await direct(rooms, ADA, "bob", "k", 3)).toBe(second);
  });

  it("has blocks that hold in the next one", async () => {
    const rooms = await useRooms();
    const first = await direct(rooms, ADA, "bob");
    await rooms.ask(ROOT, "deleteRoom", { roomId: first, key: "d" });
    await rooms.ask(ADA, "blockUser", { userId: "bob", blocked: true, key: "b" });
    await expectRefusal(direct(rooms, BOB, "ada", "again"), ErrorCode.BLOCKED);
  });

  it("can be deleted a hundred times and no more", async () => {
    const rooms = await useRooms();
    for (let n = 0; n < 100; n++) {
      await rooms.ask(ROOT, "deleteRoom", { roomId: await direct(rooms, ADA, "bob", `k${n}`), key: "d" });
    }
    await expectRefusal(direct(rooms, ADA, "bob", "last"), ErrorCode.LIMIT_EXCEEDED, { details: { limit: "100" } });
  });
});

it("a direct room that is archived is found by who would make it", async () => {
  const rooms = await useRooms();
  const roomId = await direct(rooms, ADA, "bob");
  await rooms.ask(ROOT, "updateRoom", { roomId, key: "u", status: RoomStatus.ARCHIVED });
  expect(await direct(rooms, BOB, "ada")).toBe(roomId);
});

describe.each([false, true])("a direct room that was stored without its users (answers later: %s)", (answersLater) => {
  async function stored(): Promise<{ readonly rooms: TestRooms; readonly roomId: string }> {
    const engine = new MemoryEngine({ answersLater });
    const rooms = await useRooms({ engine });
    const roomId = await direct(rooms, ADA, "bob");
    const kept = engine.state.rooms.get(`acme/${roomId}`);
    if (kept?.document === undefined) throw new Error("the room is not stored");
    const document = fromBinary(RoomDocumentSchema, kept.document.bytes);
    expect(document.directUsers).toEqual(["ada", "bob"]);
    document.directUsers = [];
    kept.document = { ...kept.document, bytes: toBinary(RoomDocumentSchema, document) };
    await rooms.restart();
    return { rooms, roomId };
  }

  it("heeds the blocks of its two users", async () => {
    const { rooms, roomId } = await stored();
    await rooms.ask(ADA, "blockUser", { userId: "bob", blocked: true, key: "b" });
    await expectRefusal(rooms.publish(BOB, roomId, "m1"), ErrorCode.BLOCKED);
    await rooms.ask(ADA, "blockUser", { userId: "bob", blocked: false, key: "u" });
    await rooms.publish(BOB, roomId, "m2");
  });

  it("names them from its next event on", async () => {
    const { rooms, roomId } = await stored();
    await rooms.publish(BOB, roomId, "m");
    expect((await rooms.engine.archive.room({ tenantId: "acme", roomId, key: `acme/${roomId}` }))?.directUsers).toEqual(
      ["ada", "bob"],
    );
  });
});
