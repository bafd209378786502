// A client that reads slowly, or not at all, costs a bounded amount of memory and keeps nobody else waiting.

import { describe, expect, it } from "vitest";
import { NO_LIMIT } from "../../../src/core/limit/rates.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { UNLIMITED_RATES } from "../../support/rates.js";
import { settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";

const WORDS = "w".repeat(4_000);

/** Sends this many messages of 4 kB to a room, a few at a time: what comes together is written together. */
async function fill(from: TestClient, roomId: string, count: number, key = roomId): Promise<void> {
  for (let sent = 0; sent < count; sent++) {
    from.post(text(roomId, `${key}-${sent}`, WORDS));
    if (sent % 10 === 9) await settle(3);
  }
  await settle();
}

/** A writer without limits and a reader of rooms that both belong to. */
async function withRooms(...rooms: readonly string[]): Promise<{
  readonly core: TestCore;
  readonly writer: TestClient;
  readonly reader: TestClient;
}> {
  const core = await useCore({
    limits: {
      rates: UNLIMITED_RATES,
      frameRate: NO_LIMIT,
      maxInFlight: 10_000,
    },
  });
  const writer = await core.connect("bert");
  for (const roomId of rooms) await core.room(writer, roomId, "anna");
  const reader = await core.connect("anna", { rooms: rooms.map((roomId) => ({ roomId })) });
  return { core, writer, reader };
}

/** Time passes while the client goes on speaking, though it may not read. */
async function speak(core: TestCore, client: TestClient, milliseconds: number): Promise<void> {
  for (let passed = 0; passed < milliseconds; passed += 1_000) {
    client.post({ case: "pong", value: { id: 0 } });
    await core.elapse(1_000);
  }
}

function seqs(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}

describe("a session whose client reads nothing", () => {
  it("is closed 30 s after it last took anything", async () => {
    const { core, writer, reader } = await withRooms("r1");
    reader.stall();
    await fill(writer, "r1", 3);
    await speak(core, reader, 29_000);
    expect(reader.endedWith).toBeUndefined();
    await speak(core, reader, 2_000);
    expect(reader.endedWith).toBe(CloseCode.SLOW_CONSUMER);
    expect(reader.last("goodbye").reason).toBe(CloseCode.SLOW_CONSUMER);
  });

  it("begins a new 30 s whenever it takes something", async () => {
    const { core, writer, reader } = await withRooms("r1");
    reader.stall();
    await fill(writer, "r1", 1);
    for (let round = 0; round < 4; round++) {
      await fill(writer, "r1", 1, `round-${round}`);
      await speak(core, reader, 20_000);
      // Takes one write, and no more.
      reader.connection.drained();
    }
    expect(reader.endedWith).toBeUndefined();
    await speak(core, reader, 29_000);
    expect(reader.endedWith).toBeUndefined();
    await speak(core, reader, 2_000);
    expect(reader.endedWith).toBe(CloseCode.SLOW_CONSUMER);
  });

  it("lives as long as it likes while nothing waits for it", async () => {
    const { core, reader } = await withRooms("r1");
    await speak(core, reader, 120_000);
    expect(reader.endedWith).toBeUndefined();
  });

  it("keeps nobody else of the room waiting", async () => {
    const { core, writer, reader } = await withRooms("r1");
    const bert = await core.connect("bert", {
      device: { deviceId: "other" },
      rooms: [{ roomId: "r1" }],
    });
    reader.stall();
    await fill(writer, "r1", 400);
    expect(bert.seqs("r1")).toEqual(seqs(2, 401));
  });

  it("is refused more requests once a mebibyte waits, and answered again after it has read", async () => {
    const { writer, reader } = await withRooms("r1");
    reader.stall();
    await fill(writer, "r1", 600);
    const refused = reader.send(text("r1", "one-more"));
    await settle();
    reader.connection.drained();
    expect(reader.reply(refused)).toMatchObject({ case: "error", value: { code: ErrorCode.LIMIT_EXCEEDED } });
    reader.read();
    await settle();
    expect((await reader.ask(text("r1", "one-more"))).case).toBe("published");
    expect(reader.seqs("r1")).toEqual(seqs(2, 602));
  });

  it("is closed when it goes on asking for what is refused", async () => {
    const { core, reader } = await withRooms("r1");
    reader.stall();
    await reader.ask({ case: "ping", value: { id: 1 } });
    let asked = 0;
    while (reader.endedWith === undefined && asked < 100_000) {
      asked++;
      reader.send({ case: "subscribe", value: { roomId: "no room" } });
      if (asked % 100 === 0) await settle(2);
    }
    // What waited was bounded: it is all told with the end.
    expect(reader.endedWith).toBe(CloseCode.SLOW_CONSUMER);
    expect(asked).toBeLessThan(20_000);
    await core.elapse(1_000);
    expect(reader.sink.late).toBe(0);
  });
});

describe("a session that lags", () => {
  it("misses nothing of any of its rooms when it reads again", async () => {
    const { core, writer, reader } = await withRooms("r1", "r2");
    const lagging = core.record("session.lagging");
    reader.stall();
    await fill(writer, "r1", 400);
    await fill(writer, "r2", 400);
    expect(lagging.length).toBeGreaterThan(0);
    reader.read();
    await settle();
    expect([reader.seqs("r1"), reader.seqs("r2")]).toEqual([seqs(2, 401), seqs(2, 401)]);
  });

  it("is fed from its rooms in turn: a busy one does not starve the others", async () => {
    const { writer, reader } = await withRooms("busy", "quiet");
    await fill(writer, "busy", 600);
    await fill(writer, "quiet", 600);
    for (const roomId of ["busy", "quiet"]) await reader.ask({ case: "unsubscribe", value: { roomId } });
    const told = reader.sink.frames.length;
    // Both are caught up with from their beginning, through a pipe that takes one write at a time.
    reader.stall();
    for (const roomId of ["busy", "quiet"]) reader.send({ case: "subscribe", value: { roomId, after: { seq: 0 } } });
    await settle();
    const order = (): string[] =>
      reader.sink.frames.slice(told).flatMap(({ frame }) => (frame.case === "roomEvents" ? [frame.value.roomId] : []));
    while (order().length < 8) {
      reader.connection.drained();
      await settle(2);
    }
    expect(order().filter((roomId) => roomId === "quiet").length).toBeGreaterThanOrEqual(3);
    expect(order().filter((roomId) => roomId === "busy").length).toBeGreaterThanOrEqual(3);
    const before = reader.sink.frames.length;
    reader.read();
    await settle(100);
    expect(reader.sink.frames.length).toBeGreaterThan(before);
    for (const roomId of ["busy", "quiet"]) {
      const replayed = reader.seqs(roomId).slice(600);
      expect(replayed).toEqual(seqs(1, 601));
    }
  });
});
