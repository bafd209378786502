// Answers that write nothing: pages of history, events, rooms and members.

import { create } from "@bufbuild/protobuf";
import { describe, expect, it, onTestFinished } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import { BodySchema, JoinRule, Permission, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import type { GetEventsResponse, GetHistoryResponse } from "../../../src/gen/trunkline/v1/room_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle } from "../use-core.js";
import { administrator, expectRefusal, TENANT, type TestRooms, useRooms, user } from "./use-rooms.js";

const ADA = user("ada");
const EVE = user("eve");
const LOBBY = roomRef(TENANT, "lobby");
const NO_LIMIT = { perSecond: 0, burst: 0 };

/** A lobby with so many messages: message n is at seq n + 1. */
async function lobbyOf(messages: number, words?: string, engine = new MemoryEngine()): Promise<TestRooms> {
  const rooms = await useRooms({ engine, limits: { rates: ratesWith({ publish: { room: NO_LIMIT } }) } });
  await rooms.room("lobby", { members: [{ userId: "bob" }] });
  await say(rooms, 1, messages, words);
  return rooms;
}

async function say(rooms: TestRooms, from: number, to: number, words?: string): Promise<void> {
  const keys = Array.from({ length: to - from + 1 }, (_, index) => `m${from + index}`);
  await Promise.all(keys.map((key) => rooms.publish(ADA, "lobby", key, 1, words)));
}

function indexesOf({ messages }: GetHistoryResponse): readonly number[] {
  return messages.map(({ messageIndex }) => messageIndex);
}

function seqsOf({ events }: GetEventsResponse): readonly number[] {
  return events.map(({ position }) => position?.seq ?? 0);
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

describe("getHistory", () => {
  it("begins at the end, and pages back to the first", async () => {
    const rooms = await lobbyOf(7);
    const pages: (readonly number[])[] = [];
    let page = await rooms.ask(ADA, "getHistory", { roomId: "lobby", limit: 3 });
    expect(page.asOf).toMatchObject({ seq: 8, tag: (await rooms.events("lobby")).at(-1)?.position?.tag });
    for (;;) {
      pages.push(indexesOf(page));
      if (!page.more) break;
      const from = { case: "beforeIndex" as const, value: page.nextIndex };
      page = await rooms.ask(ADA, "getHistory", { roomId: "lobby", limit: 3, from });
    }
    expect(pages).toEqual([[5, 6, 7], [2, 3, 4], [1]]);
  });

  it("pages forward from any index", async () => {
    const rooms = await lobbyOf(7);
    const pages: (readonly number[])[] = [];
    for (let after = 1; ; ) {
      const from = { case: "afterIndex" as const, value: after };
      const page = await rooms.ask(ADA, "getHistory", { roomId: "lobby", limit: 3, from });
      pages.push(indexesOf(page));
      if (!page.more) break;
      after = page.nextIndex;
    }
    expect(pages).toEqual([
      [2, 3, 4],
      [5, 6, 7],
    ]);
  });

  it("shows messages as they are, and none for other events", async () => {
    const rooms = await lobbyOf(1);
    await rooms.ask(ADA, "updateRoom", { roomId: "lobby", key: "u", attempt: 1, name: "x" });
    const page = await rooms.ask(user("bob"), "getHistory", { roomId: "lobby" });
    const [, created] = await rooms.events("lobby");
    expect(page).toMatchObject({ more: false, asOf: { seq: 3 } });
    expect(page.messages).toMatchObject([
      {
        messageId: created?.eventId,
        roomId: "lobby",
        position: { seq: 2 },
        messageIndex: 1,
        sender: { userId: "ada", deviceId: "ada-phone" },
        body: { kind: { case: "text", value: "text of m1" } },
        version: 1,
        clientMessageId: "m1",
        deleted: false,
      },
    ]);
  });

  it("is empty where there is nothing in that direction", async () => {
    const rooms = await lobbyOf(2);
    for (const from of [
      { case: "beforeIndex" as const, value: 1 },
      { case: "beforeIndex" as const, value: 0 },
      { case: "afterIndex" as const, value: 2 },
      { case: "afterIndex" as const, value: 0xffff_ffff },
    ]) {
      const page = await rooms.ask(ADA, "getHistory", { roomId: "lobby", from });
      expect([page.messages, page.more, page.asOf?.seq]).toEqual([[], false, 3]);
    }
  });

  it("gives 50 unless asked for another number, and 200 at most", async () => {
    const rooms = await lobbyOf(210);
    expect(indexesOf(await rooms.ask(ADA, "getHistory", { roomId: "lobby" }))).toEqual(range(161, 210));
    expect(indexesOf(await rooms.ask(ADA, "getHistory", { roomId: "lobby", limit: 200 }))).toEqual(range(11, 210));
    await expectRefusal(rooms.ask(ADA, "getHistory", { roomId: "lobby", limit: 201 }), ErrorCode.TOO_LARGE, {
      field: "limit",
      details: { limit: "200" },
    });
  });

  it("ends a page at about 256 KiB and says that there is more, in both directions", async () => {
    const rooms = await lobbyOf(40, "x".repeat(16_000));
    const back = await rooms.ask(ADA, "getHistory", { roomId: "lobby", limit: 40 });
    const forward = await rooms.ask(ADA, "getHistory", {
      roomId: "lobby",
      limit: 40,
      from: { case: "afterIndex", value: 0 },
    });
    expect([indexesOf(back), back.more, back.nextIndex]).toEqual([range(24, 40), true, 24]);
    expect([indexesOf(forward), forward.more, forward.nextIndex]).toEqual([range(1, 17), true, 17]);
  });

  it.each([false, true])(
    "misses nothing between the pages and what follows as_of, while the room goes on (archive answers later: %s)",
    async (answersLater) => {
      for (const forward of [true, false]) {
        const rooms = await lobbyOf(6, undefined, new MemoryEngine({ answersLater }));
        const seen = new Set(forward ? range(1, 5) : []);
        let said = 6;
        let asOf = 0;
        let next = forward ? 5 : 0;
        for (let round = 0, more = true; more; round++) {
          // What the page is judged on, and what is in the archive by the time it is read, differ.
          const judged = rooms.publish(ADA, "lobby", `m${++said}`);
          const from = forward
            ? { case: "afterIndex" as const, value: next }
            : { case: "beforeIndex" as const, value: next };
          const asked = rooms.ask(ADA, "getHistory", {
            roomId: "lobby",
            limit: 3,
            from: forward || next > 0 ? from : { case: undefined },
          });
          for (let turn = 0; turn < 5; turn++) await Promise.resolve();
          const behind = round < 2 ? range(said + 1, said + 3) : [];
          said += behind.length;
          await Promise.all([judged, ...behind.map((index) => rooms.publish(ADA, "lobby", `m${index}`))]);
          const page = await asked;
          expect(page.messages).not.toEqual([]);
          for (const index of indexesOf(page)) {
            expect(index + 1).toBeLessThanOrEqual(page.asOf?.seq ?? 0);
            seen.add(index);
          }
          // Going forward the last page's as_of counts; going back the first one's.
          if (forward || asOf === 0) asOf = page.asOf?.seq ?? 0;
          ({ more, nextIndex: next } = page);
          if (round > 100) throw new Error("the pages do not end");
        }
        await settle();
        for (const event of await rooms.events("lobby")) {
          if ((event.position?.seq ?? 0) <= asOf || event.kind.case !== "messageCreated") continue;
          seen.add(event.kind.value.messageIndex);
        }
        expect([...seen].sort((a, b) => a - b)).toEqual(range(1, said));
      }
    },
  );

  it("counts the replies that there were at as_of, whatever is said or deleted before the page is read", async () => {
    const engine = new MemoryEngine();
    const rooms = await lobbyOf(1, undefined, engine);
    const [, said] = await rooms.events("lobby");
    const root = said?.eventId ?? "";
    const reply = async (key: string): Promise<string> => {
      const body = create(BodySchema, { kind: { case: "text", value: key } });
      const words = { body, replyTo: "", threadRoot: root, mentions: [], metadata: undefined };
      return (await rooms.owner.submit(LOBBY, ADA, { kind: "publish", key, attempt: 1, ...words }).outcome).eventId;
    };
    const remove = (key: string, messageId: string) =>
      rooms.owner.submit(LOBBY, ADA, { kind: "deleteMessage", key, attempt: 1, messageId, expired: false }).outcome;
    const [first, second] = [await reply("r1"), await reply("r2")];
    const { archive } = engine;
    const read = archive.messages.bind(archive);
    onTestFinished(() => void Object.assign(archive, { messages: read }));
    Object.assign(archive, {
      messages: async (...asked: Parameters<typeof read>) => {
        Object.assign(archive, { messages: read });
        await remove("d1", first);
        await remove("d2", second);
        await reply("r3");
        return read(...asked);
      },
    });
    const page = await rooms.ask(ADA, "getHistory", { roomId: "lobby" });
    expect(page.asOf?.seq).toBe(4);
    expect(page.messages[0]).toMatchObject({ messageId: root, replyCount: 2 });
    const later = await rooms.ask(ADA, "getHistory", { roomId: "lobby" });
    expect(later.messages[0]).toMatchObject({ messageId: root, replyCount: 1 });
  });

  it("is for those who may read the room", async () => {
    const rooms = await lobbyOf(1);
    await expectRefusal(rooms.ask(EVE, "getHistory", { roomId: "lobby" }), ErrorCode.NOT_A_MEMBER);
    await expectRefusal(rooms.ask(EVE, "getHistory", { roomId: "" }), ErrorCode.INVALID_ARGUMENT, { field: "room_id" });
    expect((await rooms.ask(administrator("root"), "getHistory", { roomId: "lobby" })).messages).toHaveLength(1);
  });
});

describe("getEvents", () => {
  it("gives the events asked for, and the top", async () => {
    const rooms = await lobbyOf(9);
    const page = await rooms.ask(ADA, "getEvents", { roomId: "lobby", fromSeq: 3, toSeq: 6 });
    expect([seqsOf(page), page.more, page.top?.seq]).toEqual([[3, 4, 5, 6], false, 10]);
    expect(page.events).toEqual((await rooms.events("lobby")).slice(2, 6));
  });

  it("begins at the first and ends at the top unless told otherwise, and not beyond it", async () => {
    const rooms = await lobbyOf(2);
    for (const [asked, seqs] of [
      [{}, [1, 2, 3]],
      [{ fromSeq: 2 }, [2, 3]],
      [{ toSeq: 2 }, [1, 2]],
      [{ fromSeq: 3, toSeq: 99 }, [3]],
      [{ fromSeq: 4 }, []],
      [{ fromSeq: 3, toSeq: 2 }, []],
      [{ fromSeq: 0xffff_ffff }, []],
    ] as const) {
      const page = await rooms.ask(ADA, "getEvents", { roomId: "lobby", ...asked });
      expect([seqsOf(page), page.more, page.top?.seq], JSON.stringify(asked)).toEqual([seqs, false, 3]);
    }
  });

  it("pages without a hole", async () => {
    const rooms = await lobbyOf(9);
    const seqs: number[] = [];
    for (let more = true; more; ) {
      const page = await rooms.ask(ADA, "getEvents", {
        roomId: "lobby",
        fromSeq: (seqs.at(-1) ?? 0) + 1,
        toSeq: 9,
        limit: 4,
      });
      seqs.push(...seqsOf(page));
      more = page.more;
    }
    expect(seqs).toEqual(range(1, 9));
  });

  it("gives 200 unless asked for another number, 1,000 at most, and ends a page at 256 KiB", async () => {
    const rooms = await lobbyOf(250);
    const usual = await rooms.ask(ADA, "getEvents", { roomId: "lobby" });
    expect([seqsOf(usual), usual.more]).toEqual([range(1, 200), true]);
    expect(seqsOf(await rooms.ask(ADA, "getEvents", { roomId: "lobby", limit: 1_000 }))).toEqual(range(1, 251));
    await expectRefusal(rooms.ask(ADA, "getEvents", { roomId: "lobby", limit: 1_001 }), ErrorCode.TOO_LARGE, {
      field: "limit",
      details: { limit: "1000" },
    });
    const big = await lobbyOf(40, "x".repeat(16_000));
    const page = await big.ask(ADA, "getEvents", { roomId: "lobby" });
    expect([seqsOf(page), page.more]).toEqual([range(1, 18), true]);
  });

  it("is NOT_FOUND where older ones are gone, with the first that is kept", async () => {
    const rooms = await lobbyOf(9);
    await rooms.engine.archive.purge(LOBBY, 4);
    const ask = (fromSeq: number, toSeq = 0) => rooms.ask(ADA, "getEvents", { roomId: "lobby", fromSeq, toSeq });
    for (const from of [0, 1, 4]) {
      await expectRefusal(ask(from), ErrorCode.NOT_FOUND, { field: "from_seq", details: { first_seq: "5" } });
    }
    await expectRefusal(ask(1, 3), ErrorCode.NOT_FOUND, { field: "from_seq" });
    expect(seqsOf(await ask(5))).toEqual(range(5, 10));
  });

  it("is for those who may read the room", async () => {
    const rooms = await lobbyOf(1);
    await expectRefusal(rooms.ask(EVE, "getEvents", { roomId: "lobby" }), ErrorCode.NOT_A_MEMBER);
  });
});

describe("listMembers", () => {
  const list = (rooms: TestRooms, pageSize = 0, pageToken = "", caller = ADA) =>
    rooms.ask(caller, "listMembers", { roomId: "lobby", pageSize, pageToken });

  it("pages the present members by user id", async () => {
    const rooms = await useRooms();
    const ids = ["bob", "cleo", "dora", "eve"];
    await rooms.room("lobby", { members: ids.map((userId) => ({ userId })) });
    await rooms.ask(user("cleo"), "leaveRoom", { roomId: "lobby", key: "l", attempt: 1 });
    const seen: string[] = [];
    for (let token = ""; ; ) {
      const { members, nextPageToken } = await list(rooms, 2, token);
      expect(members.length).toBeLessThanOrEqual(2);
      seen.push(...members.map(({ userId }) => userId));
      if (nextPageToken === "") break;
      token = nextPageToken;
    }
    expect(seen).toEqual(["ada", "bob", "dora", "eve"]);
  });

  it("gives 100 unless asked for another number, and 500 at most", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby", {
      members: Array.from({ length: 100 }, (_, index) => ({ userId: `user-${String(index).padStart(3, "0")}` })),
    });
    const first = await list(rooms);
    expect([first.members.length, first.nextPageToken]).toEqual([100, "user-098"]);
    expect((await list(rooms, 500)).members).toHaveLength(101);
    await expectRefusal(list(rooms, 501), ErrorCode.TOO_LARGE, { field: "page_size", details: { limit: "500" } });
    await expectRefusal(list(rooms, 1, "a b"), ErrorCode.INVALID_ARGUMENT, { field: "page_token" });
  });

  it("needs the right to see members, which readers of a channel do not have", async () => {
    const rooms = await useRooms();
    await rooms.room("lobby", { kind: RoomKind.CHANNEL, members: [{ userId: "bob" }] });
    await expectRefusal(list(rooms, 0, "", user("bob")), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(list(rooms, 0, "", EVE), ErrorCode.NOT_A_MEMBER);
  });
});

describe("listRooms", () => {
  it("pages the caller's rooms by id, with membership and last message", async () => {
    const rooms = await useRooms();
    for (const roomId of ["a", "b", "c"]) await rooms.room(roomId, { members: [{ userId: "bob" }] });
    await rooms.room("of-ada-alone");
    await rooms.publish(ADA, "b", "m1");
    await rooms.publish(ADA, "b", "m2");
    const bob = user("bob");
    const first = await rooms.ask(bob, "listRooms", { pageSize: 2 });
    expect(first).toMatchObject({
      nextPageToken: "b",
      rooms: [
        { room: { roomId: "a", memberCount: 2 }, member: { userId: "bob" } },
        { room: { roomId: "b", top: { seq: 3 } }, lastMessage: { messageIndex: 2, clientMessageId: "m2" } },
      ],
    });
    expect(first.rooms[0]?.lastMessage).toBeUndefined();
    const last = await rooms.ask(bob, "listRooms", { pageSize: 2, pageToken: first.nextPageToken });
    expect([last.rooms.map(({ room }) => room?.roomId), last.nextPageToken]).toEqual([["c"], ""]);
  });

  it("leaves out rooms that were left, deleted, or may not be read, and those of other tenants", async () => {
    const rooms = await useRooms();
    for (const roomId of ["kept", "left", "deleted", "denied"]) {
      await rooms.room(roomId, { members: [{ userId: "bob" }], joinRule: JoinRule.OPEN });
      await rooms.publish(ADA, roomId, "m");
    }
    const change = (roomId: string) => ({ roomId, key: "k", attempt: 1 });
    await rooms.ask(user("bob"), "leaveRoom", change("left"));
    await rooms.ask(ADA, "deleteRoom", change("deleted"));
    const overrides = { denied: [Permission.READ] };
    await rooms.ask(ADA, "setMember", { ...change("denied"), userId: "bob", overrides });
    const idsOf = async (caller: typeof ADA) =>
      (await rooms.ask(caller, "listRooms", {})).rooms.map(({ room }) => room?.roomId);
    expect(await idsOf(user("bob"))).toEqual(["kept"]);
    expect(await idsOf(ADA)).toEqual(["denied", "kept", "left"]);
    expect(await idsOf(user("bob", { tenantId: "globex" }))).toEqual([]);
  });

  it("gives 500 at most", async () => {
    const rooms = await useRooms();
    await expectRefusal(rooms.ask(ADA, "listRooms", { pageSize: 501 }), ErrorCode.TOO_LARGE, { field: "page_size" });
    await expectRefusal(rooms.ask(ADA, "listRooms", { pageToken: "/" }), ErrorCode.INVALID_ARGUMENT, {
      field: "page_token",
    });
  });
});

describe("when the archive is away", () => {
  it("every page is UNAVAILABLE, and comes when it is back", async () => {
    const rooms = await lobbyOf(1);
    const asks = () => [
      rooms.ask(ADA, "getHistory", { roomId: "lobby" }),
      rooms.ask(ADA, "getEvents", { roomId: "lobby" }),
      rooms.ask(ADA, "listMembers", { roomId: "lobby" }),
      rooms.ask(ADA, "listRooms", {}),
    ];
    rooms.engine.archiveDown = true;
    for (const asked of await Promise.allSettled(asks())) {
      expect(asked).toMatchObject({ status: "rejected", reason: { code: ErrorCode.UNAVAILABLE } });
    }
    rooms.engine.archiveDown = false;
    expect((await Promise.all(asks())).length).toBe(4);
  });
});
