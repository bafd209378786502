// Tails: all of a tenant's events, in each room's order, at the reader's pace, from any cursor on.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { shardOf } from "../../../src/ports/shard.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";
import { service, TestTail, useTail } from "./use-delivery.js";

async function useRooms(...roomIds: readonly string[]): Promise<{ core: TestCore; ada: TestClient }> {
  const core = await useCore();
  const ada = await core.connect("ada");
  for (const roomId of roomIds) await core.room(ada, roomId);
  return { core, ada };
}

/** The places of one room, in the order they came. */
function of(roomId: string, places: readonly string[]): readonly string[] {
  return places.filter((place) => place.startsWith(`${roomId} `));
}

describe("a tail", () => {
  it("begins now: its first response is a cursor and nothing else", async () => {
    const { core, ada } = await useRooms("r");
    const tail = await useTail(core);
    expect(tail.responses).toMatchObject([{ roomId: "", events: [], cursor: expect.stringMatching(/^2\./) }]);
    await ada.ask(text("r", "m1"));
    expect(tail.places).toEqual(["r 2"]);
  });

  it("shows every room of its tenant, inboxes too, and nothing of another's", async () => {
    const { core, ada } = await useRooms("r", "s");
    const eve = await core.connect("eve", { token: "eve" }, { tenantId: "globex" });
    await core.room(eve, "r");
    const tail = await useTail(core);
    await ada.ask(text("r", "m1"));
    await eve.ask(text("r", "secret"));
    await ada.ask(text("s", "m2"));
    expect([...tail.places].sort()).toEqual(["r 2", "s 2"]);
    await ada.ask({
      case: "call",
      value: { rpc: { case: "addMembers", value: { roomId: "r", key: "a", members: [{ userId: "bob" }] } } },
    });
    await settle();
    expect(of("r", tail.places)).toEqual(["r 2", "r 3"]);
    const inbox = tail.responses.filter(({ roomId }) => roomId.startsWith("~i."));
    expect(inbox.flatMap(({ events }) => events.map(({ kind }) => kind.case))).toEqual(["roomCreated", "addedToRoom"]);
  });

  it("shows only the rooms that were asked for", async () => {
    const { core, ada } = await useRooms("r", "s", "t");
    const tail = await useTail(core, { roomIds: ["s", "t"] });
    for (const roomId of ["r", "s", "t", "r", "s"]) await ada.ask(text(roomId, `m-${ada.sink.frames.length}`));
    expect(of("s", tail.places)).toEqual(["s 2", "s 3"]);
    expect(of("t", tail.places)).toEqual(["t 2"]);
    expect(of("r", tail.places)).toEqual([]);
  });

  it("is behind while it is not read, holds no more than a page, and misses nothing", async () => {
    const { core, ada } = await useRooms("r");
    const tail = await useTail(core);
    tail.pause();
    const reads: number[] = [];
    const { log } = core.engine;
    const read = log.read.bind(log);
    log.read = async (...asked) => {
      const records = await read(...asked);
      reads.push(records.length);
      return records;
    };
    for (let n = 0; n < 300; n++) {
      ada.post(text("r", `m${n}`));
      if (n % 20 === 0) await core.elapse(1_000);
    }
    await core.elapse(5_000);
    expect(tail.responses).toHaveLength(2);
    tail.resume();
    await settle(100);
    expect(Math.max(...reads)).toBeLessThanOrEqual(128);
    expect(tail.places).toEqual(Array.from({ length: 300 }, (_, index) => `r ${index + 2}`));
  });

  it("goes on from a cursor after a restart, without a hole and without a repeat", async () => {
    const { core, ada } = await useRooms("r");
    const tail = await useTail(core);
    await ada.ask(text("r", "m1"));
    const { cursor } = tail;
    await ada.ask(text("r", "m2"));
    await core.core.stop();
    core.engine.crash();
    const next = await useCore({ engine: core.engine });
    const resumed = await useTail(next, { cursor });
    const again = await next.connect("ada");
    await again.ask(text("r", "m3"));
    expect(resumed.places).toEqual(["r 3", "r 4"]);
  });

  describe("does not go on", () => {
    const refusal = { code: ErrorCode.INVALID_ARGUMENT, field: "cursor", details: { reset_reason: "OTHER_HISTORY" } };

    async function read(engine: MemoryEngine, ...keys: readonly string[]): Promise<string> {
      const core = await useCore({ engine });
      const ada = await core.connect("ada");
      await core.room(ada, "r");
      const tail = await useTail(core);
      for (const key of keys) await ada.ask(text("r", key));
      const { cursor } = tail;
      await core.core.stop();
      return cursor;
    }

    it("from another store's cursor, however far that has come", async () => {
      const cursor = await read(new MemoryEngine({ name: "old" }), "m1");
      const engine = new MemoryEngine({ name: "new" });
      await read(engine, "m1", "m2", "m3");
      const core = await useCore({ engine });
      expect((await useTail(core, { cursor })).ended).toMatchObject(refusal);
    });

    it("from what a restored backup does not hold, also once it has grown beyond", async () => {
      const engine = new MemoryEngine();
      const kept = await read(engine, "m1");
      const backup = engine.snapshot();
      const lost = await read(engine, "m2", "m3");
      engine.crash();
      const after = await read(engine, "m4");
      engine.restore(backup);
      await read(engine, "m5", "m6", "m7", "m8");
      const core = await useCore({ engine });
      expect((await useTail(core, { cursor: lost })).ended).toMatchObject(refusal);
      expect((await useTail(core, { cursor: after })).ended).toMatchObject(refusal);
      expect((await useTail(core, { cursor: kept })).places).toEqual(["r 3", "r 4", "r 5", "r 6"]);
    });

    it("from a place that is not there", async () => {
      const engine = new MemoryEngine();
      const cursor = await read(engine, "m1");
      const core = await useCore({ engine });
      for (const wrong of [cursor.replace(/\w+$/, "zzzz"), `${cursor}.0`, cursor.replace(/\.\w+$/, "")]) {
        expect((await useTail(core, { cursor: wrong })).ended).toMatchObject(refusal);
      }
    });
  });

  describe("that has not read what is no longer kept", () => {
    const refusal = { code: ErrorCode.INVALID_ARGUMENT, field: "cursor", details: { reset_reason: "EXPIRED" } };

    function expireAll({ engine }: TestCore): void {
      for (const shard of engine.state.shards.keys()) engine.expire(shard);
    }

    it("is refused before its first response", async () => {
      const { core, ada } = await useRooms("r");
      const { cursor } = await useTail(core);
      await ada.ask(text("r", "m1"));
      const kept = (await useTail(core)).cursor;
      expireAll(core);
      const refused = await useTail(core, { cursor });
      expect(refused).toMatchObject({ ended: refusal, responses: [] });
      expect((await useTail(core, { cursor: kept })).ended).toBeUndefined();
    });

    it("goes on where only shards have lost something that it does not read", async () => {
      const { core, ada } = await useRooms("r");
      const { cursor } = await useTail(core);
      await ada.ask(text("r", "m1"));
      const { shards } = core.engine;
      const own = shardOf("acme/r", shards);
      for (let shard = 0; shard < shards; shard++) {
        const state = core.engine.state.shards[shard];
        if (shard !== own && state !== undefined) state.begins = state.end + 10;
      }
      expect((await useTail(core, { cursor })).ended).toMatchObject(refusal);
      expect((await useTail(core, { cursor, roomIds: ["r"] })).places).toEqual(["r 2"]);
    });

    it("is cut off where it read too slowly, and not led past it", async () => {
      const { core, ada } = await useRooms("r");
      const tail = await useTail(core);
      tail.pause();
      await ada.ask(text("r", "m1"));
      await ada.ask(text("r", "m2"));
      expireAll(core);
      await ada.ask(text("r", "m3"));
      tail.resume();
      await settle();
      expect(tail.places).toEqual(["r 2"]);
      expect(tail.ended).toMatchObject(refusal);
    });

    it("has missed nothing where that was for others", async () => {
      const { core, ada } = await useRooms("r", "s");
      const tail = await useTail(core, { roomIds: ["r"] });
      const first = tail.cursor;
      const roomId = ["s1", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9"].find(
        (each) => shardOf(`acme/${each}`, core.engine.shards) === shardOf("acme/r", core.engine.shards),
      );
      await core.room(ada, roomId ?? "");
      await core.elapse(59_000);
      expect(tail.responses).toHaveLength(1);
      await core.elapse(2_000);
      expect(tail.responses.slice(1)).toMatchObject([
        { roomId: "", events: [], cursor: expect.not.stringMatching(first) },
      ]);
      await core.elapse(120_000);
      expect(tail.responses).toHaveLength(2);
      expireAll(core);
      await (await core.connect("ada")).ask(text("r", "m1"));
      expect([tail.places, tail.ended]).toEqual([["r 2"], undefined]);
      expect((await useTail(core, { roomIds: ["r"], cursor: first })).ended).toMatchObject(refusal);
      expect((await useTail(core, { roomIds: ["r"], cursor: tail.responses[1]?.cursor ?? "" })).places).toEqual([
        "r 2",
      ]);
    });
  });

  it("has every event once and in order, whatever it was cut at", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.oneof(fc.constantFrom("a", "b", "c"), fc.constant("cut")), { minLength: 1, maxLength: 25 }),
        async (steps) => {
          const core = await useCore({ engine: new MemoryEngine({ shards: 2 }) });
          const ada = await core.connect("ada");
          for (const roomId of ["a", "b", "c"]) await core.room(ada, roomId);
          let tail = new TestTail(core, {}, service());
          await settle();
          const seen: string[] = [];
          const sent = { a: 1, b: 1, c: 1 };
          for (const [index, step] of steps.entries()) {
            if (step === "a" || step === "b" || step === "c") {
              ada.post(text(step, `m${index}`));
              sent[step]++;
            } else {
              // At whatever it had come to.
              await settle(index % 4);
              seen.push(...tail.places);
              const { cursor } = tail;
              tail.abort.abort();
              tail = new TestTail(core, { cursor }, service());
              await settle(1);
            }
          }
          await settle();
          seen.push(...tail.places);
          for (const roomId of ["a", "b", "c"] as const) {
            const wanted = Array.from({ length: sent[roomId] - 1 }, (_, index) => `${roomId} ${index + 2}`);
            expect(of(roomId, seen)).toEqual(wanted);
          }
          await core.core.stop();
        },
      ),
      { numRuns: 25 },
    );
  });

  it("shows what was said in a room that is deleted before it was read", async () => {
    const { core, ada } = await useRooms("r");
    const tail = await useTail(core);
    tail.pause();
    // A page that is taken, and one that waits in the log.
    for (let n = 0; n < 130; n++) {
      ada.post(text("r", `m${n}`));
      if (n % 20 === 0) await core.elapse(1_000);
    }
    await core.elapse(1_000);
    const deleteRoom = { roomId: "r", key: "delete" };
    await ada.ask({ case: "call", value: { rpc: { case: "deleteRoom", value: deleteRoom } } });
    await settle();
    tail.resume();
    await settle(100);
    expect(tail.places).toEqual(Array.from({ length: 131 }, (_, index) => `r ${index + 2}`));
    const range = { from: 1, to: 999, limit: 999, maxBytes: 999_999 };
    expect(await core.engine.archive.events(roomRef("acme", "r"), range)).toMatchObject([{ seq: 132 }]);
  });

  it("shows what was stored without an answer", async () => {
    const { core, ada } = await useRooms("r");
    const tail = await useTail(core);
    core.engine.faultNextAppend({ kind: "lose-answer" });
    await ada.ask(text("r", "m1"));
    await core.elapse(1_000);
    expect(tail.places).toEqual(["r 2"]);
  });

  it("splits what is too much for one response", async () => {
    const { core, ada } = await useRooms("r");
    const tail = await useTail(core);
    const { cursor } = tail;
    for (let n = 0; n < 40; n++) await ada.ask(text("r", `m${n}`, "x".repeat(16_000)));
    const again = await useTail(core, { cursor });
    expect(again.places).toHaveLength(40);
    expect(again.responses.length).toBeGreaterThan(2);
    expect(Math.max(...again.responses.map(({ events }) => events.length))).toBeLessThan(20);
  });
});

describe("a tail ends", () => {
  it("with its token", async () => {
    const { core } = await useRooms("r");
    const expiresAtMs = core.clock.now() + 60_000;
    const tail = await useTail(core, {}, service({ expiresAtMs }));
    await core.elapse(59_000);
    expect(tail.ended).toBeUndefined();
    await core.elapse(2_000);
    expect(tail.ended).toMatchObject({ code: ErrorCode.TOKEN_EXPIRED });
  });

  it("when its token, or all of its user's, are revoked", async () => {
    const { core } = await useRooms("r");
    const byToken = await useTail(core, {}, service({ tokenId: "t1" }));
    const byUser = await useTail(core, {}, service({ userId: "other" }));
    await core.elapse(1_000);
    core.verifier.revoke({ tenantId: "acme", subject: { tokenId: "t1" }, atMs: core.clock.now() });
    core.verifier.revoke({ tenantId: "globex", subject: { userId: "other" }, atMs: core.clock.now() });
    await settle();
    expect([byToken.ended, byUser.ended]).toEqual([
      expect.objectContaining({ code: ErrorCode.UNAUTHENTICATED }),
      undefined,
    ]);
    core.verifier.revoke({ tenantId: "acme", subject: { userId: "other" }, atMs: core.clock.now() });
    await settle();
    expect(byUser.ended).toMatchObject({ code: ErrorCode.UNAUTHENTICATED });
  });

  it("when the node leaves, and no new one begins", async () => {
    const { core } = await useRooms("r");
    const tail = await useTail(core, {}, service({ expiresAtMs: core.clock.now() + 60_000 }));
    await core.core.drain(0);
    await settle();
    expect(tail.ended).toMatchObject({ code: ErrorCode.UNAVAILABLE, retryAfterMs: 1_000 });
    expect((await useTail(core)).ended).toMatchObject({ code: ErrorCode.UNAVAILABLE });
    await core.core.stop();
    expect(core.clock.pending).toBe(0);
  });

  it("when nobody reads it any more, also while it is behind", async () => {
    const { core, ada } = await useRooms("r");
    const tails = await Promise.all(Array.from({ length: 64 }, () => useTail(core)));
    expect((await useTail(core)).ended).toMatchObject({ code: ErrorCode.LIMIT_EXCEEDED });
    for (const tail of tails) tail.pause();
    await ada.ask(text("r", "m1"));
    for (const tail of tails) tail.abort.abort();
    expect((await useTail(core)).ended).toBeUndefined();
  });

  it("before it has begun where it was asked for wrongly", async () => {
    const { core } = await useRooms("r");
    const refused = async (request: Parameters<typeof useTail>[1]) => (await useTail(core, request)).ended;
    const many = Array.from({ length: 1_001 }, (_, index) => `r${index}`);
    expect(await refused({ roomIds: many })).toMatchObject({ code: ErrorCode.TOO_LARGE, field: "room_ids" });
    expect(await refused({ roomIds: ["a b"] })).toMatchObject({ field: "room_ids[0]" });
    expect(await refused({ cursor: "nonsense" })).toMatchObject({ code: ErrorCode.INVALID_ARGUMENT, field: "cursor" });
  });

  it("when the log cannot be read", async () => {
    const { core } = await useRooms("r");
    const { log } = core.engine;
    log.read = () => Promise.reject(new Error("broken"));
    expect((await useTail(core)).ended).toMatchObject({ message: "broken" });
  });
});

it("the log of a room is read from its own shard alone", async () => {
  const { core } = await useRooms("r");
  const { log } = core.engine;
  const shards = new Set<number>();
  const read = log.read.bind(log);
  log.read = (shard, from, limit) => {
    shards.add(shard);
    return read(shard, from, limit);
  };
  await useTail(core, { roomIds: ["r"] });
  expect(shards.size).toBe(1);
});
