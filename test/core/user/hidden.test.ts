// Messages that a user has hidden from themselves.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../../src/ports/error.js";
import { expectRefusal, type TestRooms, useRooms, user } from "../room/use-rooms.js";
import { useCore } from "../use-core.js";
import { call, openInbox, told } from "./use-inbox.js";

const ADA = user("ada");
const BOB = user("bob");

async function shown(rooms: TestRooms, who: typeof ADA, limit = 200): Promise<number[]> {
  const indexes: number[] = [];
  let from: { case: "afterIndex"; value: number } = { case: "afterIndex", value: 0 };
  for (;;) {
    const page = await rooms.ask(who, "getHistory", { roomId: "r", limit, from });
    indexes.push(...page.messages.map(({ messageIndex }) => messageIndex));
    if (!page.more) return indexes;
    from = { case: "afterIndex", value: page.nextIndex };
  }
}

async function say(rooms: TestRooms, count: number): Promise<string[]> {
  await rooms.room("r", { members: [{ userId: "bob" }] });
  const ids: string[] = [];
  for (let n = 1; n <= count; n++) ids.push((await rooms.publish(BOB, "r", `m${n}`)).eventId);
  return ids;
}

function hide(rooms: TestRooms, messageId: string, key = `hide-${messageId}`) {
  return rooms.ask(ADA, "hideMessage", { roomId: "r", messageId, key });
}

describe("a hidden message", () => {
  it("is left out of its user's history and of nobody else's, also after a restart", async () => {
    const rooms = await useRooms();
    const [, second = ""] = await say(rooms, 3);
    await hide(rooms, second);
    expect(await shown(rooms, ADA)).toEqual([1, 3]);
    await rooms.restart();
    expect(await shown(rooms, ADA)).toEqual([1, 3]);
    expect(await shown(rooms, BOB)).toEqual([1, 2, 3]);
  });

  it("is never a room's last message, as long as another is among the last", async () => {
    const rooms = await useRooms();
    const ids = await say(rooms, 3);
    const last = async () => (await rooms.ask(ADA, "listRooms", {})).rooms[0]?.lastMessage?.messageIndex;
    await hide(rooms, ids[2] ?? "");
    expect(await last()).toBe(2);
    for (const id of ids) await hide(rooms, id, `again-${id}`);
    expect(await last()).toBeUndefined();
    expect((await rooms.ask(BOB, "listRooms", {})).rooms[0]?.lastMessage?.messageIndex).toBe(3);
  });

  it("must be one of a room that the user can read", async () => {
    const rooms = await useRooms();
    const [first = ""] = await say(rooms, 1);
    await expectRefusal(hide(rooms, "none"), ErrorCode.NOT_FOUND, { field: "message_id" });
    const asked = { roomId: "r", messageId: first, key: "k" };
    await expectRefusal(rooms.ask(user("eve"), "hideMessage", asked), ErrorCode.NOT_A_MEMBER);
  });

  it("is told to the user's devices once, however often it is hidden", async () => {
    const core = await useCore();
    const phone = await core.connect("ada");
    const laptop = await core.connect("ada", { device: { deviceId: "laptop" } });
    await openInbox(laptop);
    await core.room(phone, "r");
    const body = { kind: { case: "text" as const, value: "x" } };
    const sent = await phone.ask({ case: "publish", value: { roomId: "r", clientMessageId: "m", body } });
    const messageId = sent.case === "published" ? sent.value.messageId : "";
    for (const key of ["1", "2"]) await call(phone, { case: "hideMessage", value: { roomId: "r", messageId, key } });
    expect(told(laptop)).toMatchObject([{ case: "messageHidden", value: { roomId: "r", messageId, messageIndex: 1 } }]);
  });

  it("leaves every other message in its place, whatever the pages", async () => {
    const rooms = await useRooms();
    const ids = await say(rooms, 12);
    const hidden = new Set<number>();
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 5 }), async (index, limit) => {
        await hide(rooms, ids[index - 1] ?? "");
        hidden.add(index);
        const expected = ids.map((_, at) => at + 1).filter((each) => !hidden.has(each));
        expect(await shown(rooms, ADA, limit)).toEqual(expected);
      }),
      { numRuns: 20 },
    );
  });
});
