// A shard whose log takes only so much at once.

import { expect, it } from "vitest";
import { ErrorCode } from "../../../src/ports/error.js";
import { type AppendBatch, recordBytes } from "../../../src/ports/event-log.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle } from "../use-core.js";
import { TENANT, type TestRooms, useRooms, user } from "./use-rooms.js";

const ADA = user("ada");
const LOBBY = roomRef(TENANT, "lobby");
const MAX_BATCH_BYTES = 4_000;
/** A few batches of them. */
const MESSAGES = 40;
/** The longest wait of a shard before it opens its log again. */
const REOPENED_MS = 5_000;

/** A lobby whose next append is held until the test says so, and the batches appended from then on. */
async function lobby(): Promise<{ rooms: TestRooms; batches: AppendBatch[]; release: () => void }> {
  const engine = new MemoryEngine({ maxBatchBytes: MAX_BATCH_BYTES });
  const rooms = await useRooms({ engine });
  await rooms.room("lobby");
  const held = Promise.withResolvers<void>();
  engine.faultNextAppend({ kind: "hold", until: held.promise });
  const batches: AppendBatch[] = [];
  engine.faultOf = (_shard, _at, batch) => {
    batches.push(batch);
    return undefined;
  };
  return { rooms, batches, release: () => held.resolve() };
}

function publish(rooms: TestRooms): Promise<unknown>[] {
  return Array.from({ length: MESSAGES }, (_, index) => rooms.publish(ADA, "lobby", `m${index}`));
}

function seqsOf({ records }: AppendBatch): readonly number[] {
  return records.map(({ event }) => event.seq);
}

it("stores what has gathered in batches that the log takes, in order", async () => {
  const { rooms, batches, release } = await lobby();
  const first = rooms.publish(ADA, "lobby", "first");
  await settle();
  const outcomes = publish(rooms);
  release();
  await Promise.all([first, ...outcomes]);
  const sizes = batches.map(({ records }) => records.reduce((sum, record) => sum + recordBytes(record), 0));
  expect(batches.length).toBeGreaterThan(2);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(MAX_BATCH_BYTES);
  expect(batches.flatMap(seqsOf)).toEqual(Array.from({ length: MESSAGES }, (_, index) => index + 3));
});

it("gives each batch the documents as they are after its own events", async () => {
  const { rooms, batches, release } = await lobby();
  const outcomes = publish(rooms);
  release();
  await Promise.all(outcomes);
  for (const batch of batches) {
    const applied = batch.changes.rooms.map(({ document }) => document.appliedSeq);
    expect(applied).toEqual([seqsOf(batch).at(-1)]);
  }
});

it("refuses what is in a batch that fails and behind it, and answers what was before it", async () => {
  const { rooms, release } = await lobby();
  const { engine } = rooms;
  const outcomes = publish(rooms);
  await settle();
  let appends = 0;
  engine.faultOf = () => (appends++ === 1 ? { kind: "refuse" } : undefined);
  release();
  const settled = await Promise.allSettled(outcomes);
  const answered = settled.filter(({ status }) => status === "fulfilled").length;
  expect(answered).toBeGreaterThan(0);
  expect(answered).toBeLessThan(MESSAGES);
  for (const outcome of settled.slice(answered)) {
    expect(outcome).toMatchObject({ status: "rejected", reason: { code: ErrorCode.UNAVAILABLE } });
  }
  expect((await engine.archive.room(LOBBY))?.appliedSeq).toBe(answered + 1);

  engine.faultOf = () => undefined;
  rooms.clock.advance(REOPENED_MS);
  await settle();
  await Promise.all(publish(rooms));
  expect((await engine.archive.room(LOBBY))?.appliedSeq).toBe(MESSAGES + 1);
});

it("is idle only when the last of them is stored", async () => {
  const { rooms, release } = await lobby();
  const outcomes = publish(rooms);
  await settle();
  let idle = false;
  const told = rooms.owner.idle().then(() => {
    idle = true;
  });
  await settle();
  expect(idle).toBe(false);
  release();
  await told;
  expect((await rooms.engine.archive.room(LOBBY))?.appliedSeq).toBe(MESSAGES + 1);
  await Promise.all(outcomes);
});
