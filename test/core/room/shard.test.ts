// Nobody sees what is not durable: answers, refusals and views wait for the events they were judged on.

import { describe, expect, it } from "vitest";
import { RoomOwner } from "../../../src/core/room/owner.js";
import { Permission, RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle } from "../use-core.js";
import { expectRefusal, TENANT, type TestRooms, useRooms, user } from "./use-rooms.js";

const ADA = user("ada");
const BOB = user("bob");
const LOBBY = roomRef(TENANT, "lobby");
/** The longest wait of a shard before it opens its log again. */
const REOPENED_MS = 5_000;

/** What has come of a promise so far. */
interface Watched {
  is: "waiting" | "answered" | "refused";
  with: unknown;
}

function watch(promise: Promise<unknown>): Watched {
  const watched: Watched = { is: "waiting", with: undefined };
  promise.then(
    (value) => Object.assign(watched, { is: "answered", with: value }),
    (error: unknown) => Object.assign(watched, { is: "refused", with: error }),
  );
  return watched;
}

/** The next append is stored and answered when the test says so. */
function hold(rooms: TestRooms): () => void {
  const held = Promise.withResolvers<void>();
  rooms.engine.faultNextAppend({ kind: "hold", until: held.promise });
  return () => held.resolve();
}

/** A lobby of ada and bob with one message, and the announcements of it from then on. */
async function lobby(engine = new MemoryEngine()): Promise<{ rooms: TestRooms; announced: number[] }> {
  const rooms = await useRooms({ engine });
  await rooms.room("lobby", { name: "before", members: [{ userId: "bob" }] });
  await rooms.publish(ADA, "lobby", "m1");
  const announced: number[] = [];
  await rooms.engine.fanout.subscribe(LOBBY, (events) => announced.push(...events.map(({ seq }) => seq)));
  return { rooms, announced };
}

/** Every way of looking at the room. */
function looks(rooms: TestRooms): Promise<unknown>[] {
  const { owner } = rooms;
  return [
    rooms.ask(ADA, "getRoom", { roomId: "lobby" }),
    rooms.ask(ADA, "getHistory", { roomId: "lobby" }),
    rooms.ask(ADA, "getEvents", { roomId: "lobby" }),
    rooms.ask(ADA, "listMembers", { roomId: "lobby" }),
    rooms.ask(ADA, "listRooms", {}),
    owner.view(LOBBY, ["ada"], ({ state }) => state.seq),
  ];
}

describe("while an append is under way", () => {
  it("neither an answer nor an announcement tells of it", async () => {
    const { rooms, announced } = await lobby();
    const release = hold(rooms);
    const answer = watch(rooms.publish(BOB, "lobby", "m2"));
    await settle();
    expect([answer.is, announced]).toEqual(["waiting", []]);
    release();
    await settle();
    expect(answer).toMatchObject({ is: "answered", with: { seq: 3 } });
    expect(announced).toEqual([3]);
  });

  it("no way of looking at the room tells of it", async () => {
    const { rooms } = await lobby();
    const release = hold(rooms);
    watch(rooms.ask(ADA, "updateRoom", { roomId: "lobby", key: "u", attempt: 1, name: "after" }));
    const seen = looks(rooms).map(watch);
    await settle();
    expect(seen.map(({ is }) => is)).toEqual(seen.map(() => "waiting"));
    release();
    await settle();
    expect(seen.map(({ is }) => is)).toEqual(seen.map(() => "answered"));
    expect(seen[0]?.with).toMatchObject({ room: { name: "after", top: { seq: 3 } } });
    expect(seen[1]?.with).toMatchObject({ asOf: { seq: 3 } });
    expect(seen[2]?.with).toMatchObject({ top: { seq: 3 } });
    expect(seen[4]?.with).toMatchObject({ rooms: [{ room: { name: "after" } }] });
    expect(seen[5]?.with).toBe(3);
  });

  it("a refusal that rests on it waits for it", async () => {
    const { rooms } = await lobby();
    const release = hold(rooms);
    watch(rooms.ask(ADA, "removeMember", { roomId: "lobby", key: "r", attempt: 1, userId: "bob" }));
    await settle();
    const refusals = [
      rooms.publish(BOB, "lobby", "m2"),
      rooms.ask(BOB, "getHistory", { roomId: "lobby" }),
      rooms.ask(BOB, "leaveRoom", { roomId: "lobby", key: "l", attempt: 1 }),
    ].map(watch);
    await settle();
    expect(refusals.map(({ is }) => is)).toEqual(["waiting", "waiting", "waiting"]);
    release();
    await settle();
    for (const refusal of refusals) {
      expect(refusal).toMatchObject({ is: "refused", with: { code: ErrorCode.NOT_A_MEMBER } });
    }
    expect(await rooms.kinds("lobby")).toEqual(["roomCreated", "messageCreated", "memberLeft"]);
  });

  it("a repeat of it waits with it and names the same place", async () => {
    const { rooms } = await lobby();
    const release = hold(rooms);
    const answers = [rooms.publish(BOB, "lobby", "m2"), rooms.publish(BOB, "lobby", "m2", 2)].map(watch);
    await settle();
    expect(answers.map(({ is }) => is)).toEqual(["waiting", "waiting"]);
    release();
    await settle();
    expect(answers).toMatchObject([{ with: { seq: 3, duplicate: false } }, { with: { seq: 3, duplicate: true } }]);
  });

  it("what is asked meanwhile goes into the next append, all of it together", async () => {
    const { rooms, announced } = await lobby();
    const sizes: number[] = [];
    rooms.telemetry.on("log.appended", ({ events }) => sizes.push(events));
    const release = hold(rooms);
    const first = watch(rooms.publish(BOB, "lobby", "m2"));
    await settle();
    const next = ["m3", "m4", "m5"].map((key) => watch(rooms.publish(BOB, "lobby", key)));
    await settle();
    release();
    await settle();
    expect([first, ...next].map(({ is }) => is)).toEqual(["answered", "answered", "answered", "answered"]);
    expect(sizes).toEqual([1, 3]);
    expect(announced).toEqual([3, 4, 5, 6]);
  });

  it("another room of the shard answers what it has to say about itself", async () => {
    const { rooms } = await lobby(new MemoryEngine({ shards: 1 }));
    await rooms.room("hall");
    hold(rooms);
    watch(rooms.publish(BOB, "lobby", "m2"));
    await settle();
    expect((await rooms.ask(ADA, "getRoom", { roomId: "hall" })).room?.top?.seq).toBe(1);
    const rest = watch(rooms.publish(ADA, "hall", "m"));
    await settle();
    expect(rest.is).toBe("waiting");
  });
});

describe("when an append has failed", () => {
  it.each(["refuse", "displace"] as const)(
    "by %s, nobody was ever told of anything that rested on it",
    async (kind) => {
      const { rooms, announced } = await lobby();
      const failures: unknown[] = [];
      rooms.telemetry.on("log.failed", ({ cause }) => failures.push(cause));
      rooms.engine.faultNextAppend({ kind });
      const told = [
        rooms.ask(ADA, "updateRoom", { roomId: "lobby", key: "u", attempt: 1, name: "after" }),
        rooms.ask(ADA, "removeMember", { roomId: "lobby", key: "r", attempt: 1, userId: "bob" }),
        rooms.publish(BOB, "lobby", "m2"),
        ...looks(rooms),
      ].map(watch);
      await settle();
      for (const each of told) {
        expect(each).toMatchObject({ is: "refused", with: { code: ErrorCode.UNAVAILABLE, retryable: true } });
      }
      expect([announced, failures.length]).toEqual([[], 1]);
      rooms.clock.advance(REOPENED_MS);
      await settle();
      expect((await rooms.ask(ADA, "getRoom", { roomId: "lobby" })).room).toMatchObject({
        name: "before",
        top: { seq: 2 },
      });
      expect(await rooms.kinds("lobby")).toEqual(["roomCreated", "messageCreated"]);
      // bob was never removed, and the place that m2 was judged for is free.
      expect((await rooms.publish(BOB, "lobby", "m2", 2)).seq).toBe(3);
      expect(announced).toEqual([3]);
    },
  );

  it("with its answer lost, the room goes on from what is there", async () => {
    const { rooms } = await lobby();
    rooms.engine.faultNextAppend({ kind: "lose-answer" });
    await expectRefusal(rooms.publish(BOB, "lobby", "m2"), ErrorCode.UNAVAILABLE);
    rooms.clock.advance(REOPENED_MS);
    await settle();
    expect((await rooms.publish(BOB, "lobby", "m3")).seq).toBe(4);
    expect(await rooms.publish(BOB, "lobby", "m2", 2)).toMatchObject({ seq: 3, duplicate: true });
  });

  it("all that waited behind it is refused too, also of other rooms of the shard", async () => {
    const { rooms } = await lobby(new MemoryEngine({ shards: 1 }));
    await rooms.room("hall");
    const held = Promise.withResolvers<void>();
    const displaced = held.promise.then(() => Promise.reject(new Error("cut")));
    rooms.engine.faultNextAppend({ kind: "hold", until: displaced });
    const underWay = watch(rooms.publish(BOB, "lobby", "m2"));
    await settle();
    const behind = [rooms.publish(BOB, "lobby", "m3"), rooms.publish(ADA, "hall", "m")].map(watch);
    await settle();
    held.resolve();
    await settle();
    for (const each of [underWay, ...behind]) {
      expect(each).toMatchObject({ is: "refused", with: { code: ErrorCode.UNAVAILABLE } });
    }
  });

  it("the shard refuses until its log is open again, after waits that double", async () => {
    const { rooms } = await lobby();
    const opened: number[] = [];
    const { log } = rooms.engine;
    log.open = async () => {
      opened.push(rooms.clock.monotonic());
      throw new Error("away");
    };
    rooms.engine.faultNextAppend({ kind: "refuse" });
    const startMs = rooms.clock.monotonic();
    await expectRefusal(rooms.publish(BOB, "lobby", "m2"), ErrorCode.UNAVAILABLE);
    for (let step = 0; step < 400; step++) {
      rooms.clock.advance(50);
      await settle(2);
    }
    expect(opened.map((at) => at - startMs)).toEqual([100, 300, 700, 1_500, 3_100, 6_300, 11_300, 16_300]);
    await expectRefusal(rooms.ask(ADA, "getRoom", { roomId: "lobby" }), ErrorCode.UNAVAILABLE);
  });
});

describe("an owner", () => {
  it("refuses before it is started, and once it is closed", async () => {
    const rooms = await useRooms();
    const owner = new RoomOwner(rooms.deps);
    await expectRefusal(
      owner.view(LOBBY, [], () => 1),
      ErrorCode.UNAVAILABLE,
    );
    rooms.owner.close();
    await expectRefusal(rooms.publish(ADA, "lobby", "m"), ErrorCode.UNAVAILABLE);
  });

  it("tells those who wait that it is closed", async () => {
    const { rooms } = await lobby();
    hold(rooms);
    const waiting = [rooms.publish(BOB, "lobby", "m2"), ...looks(rooms)].map(watch);
    await settle();
    rooms.owner.close();
    await settle();
    for (const each of waiting) expect(each).toMatchObject({ is: "refused", with: { code: ErrorCode.UNAVAILABLE } });
    expect(rooms.clock.pending).toBe(0);
  });

  it("is idle once everything accepted has been answered", async () => {
    const { rooms } = await lobby();
    await rooms.owner.idle();
    const release = hold(rooms);
    const answer = watch(rooms.publish(BOB, "lobby", "m2"));
    await settle();
    const second = watch(rooms.publish(BOB, "lobby", "m3"));
    const idle = watch(rooms.owner.idle());
    await settle();
    expect(idle.is).toBe("waiting");
    release();
    await settle();
    expect([answer.is, second.is, idle.is]).toEqual(["answered", "answered", "answered"]);
  });

  it("tells nothing of a room whose archive is behind before it knows everything of it again", async () => {
    const rooms = await useRooms({ engine: new MemoryEngine({ shards: 1, archivesOnAppend: false }) });
    await rooms.room("lobby");
    const read = async () => {
      const events = await rooms.owner.reading(LOBBY).events(LOBBY, { from: 1, to: 9, limit: 9, maxBytes: 1_000_000 });
      return events.map(({ seq }) => seq);
    };
    rooms.engine.faultNextAppend({ kind: "lose-answer" });
    await expect(rooms.publish(ADA, "lobby", "m1", 1)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    // The archive would answer, and lacks what was stored without an answer.
    await expect(read()).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    rooms.clock.advance(1_000);
    await settle();
    expect(await read()).toEqual([1, 2]);
  });

  it("refuses more than a shard may hold that is not durable", async () => {
    const rooms = await useRooms({ engine: new MemoryEngine({ shards: 1 }), limits: { shardPendingBytes: 1_000 } });
    await rooms.room("lobby");
    const release = hold(rooms);
    const words = "x".repeat(400);
    const answers = ["m1", "m2", "m3", "m4"].map((key) => watch(rooms.publish(ADA, "lobby", key, 1, words)));
    await settle();
    expect(answers.map(({ is }) => is)).toEqual(["waiting", "waiting", "waiting", "refused"]);
    expect(answers[3]?.with).toMatchObject({ code: ErrorCode.UNAVAILABLE, retryAfterMs: 1_000 });
    release();
    await settle();
    expect((await rooms.publish(ADA, "lobby", "m4", 2, words)).seq).toBe(5);
  });

  it.each([false, true])(
    "judges commands in the order they were submitted (archive answers later: %s)",
    async (answersLater) => {
      const { rooms } = await lobby(new MemoryEngine({ answersLater }));
      const members = [{ userId: "eve" }];
      const { turned, outcome } = rooms.owner.submit(LOBBY, ADA, {
        kind: "set",
        key: "s",
        attempt: 1,
        userId: "bob",
        role: 0,
        overrides: { granted: [Permission.INVITE], denied: [] },
        muteForMs: undefined,
      });
      await turned;
      const added = rooms.ask(BOB, "addMembers", { roomId: "lobby", key: "a", attempt: 1, members });
      expect([(await outcome).seq, (await added).position?.seq]).toEqual([3, 4]);
    },
  );

  it("keeps the archive's documents as of the last event", async () => {
    const { rooms } = await lobby();
    await Promise.all([
      rooms.publish(BOB, "lobby", "m2"),
      rooms.ask(ADA, "updateRoom", { roomId: "lobby", key: "u", attempt: 1, status: RoomStatus.ARCHIVED }),
      rooms.ask(BOB, "leaveRoom", { roomId: "lobby", key: "l", attempt: 1 }),
    ]);
    const room = await rooms.engine.archive.room(LOBBY);
    expect(room).toMatchObject({
      tenantId: TENANT,
      appliedSeq: 5,
      ownerCount: 1,
      room: { status: RoomStatus.ARCHIVED, memberCount: 1, lastMessageIndex: 2, top: { seq: 5 } },
    });
    expect(await rooms.engine.archive.member(LOBBY, "bob")).toMatchObject({ appliedSeq: 5, left: true, banned: false });
  });
});
