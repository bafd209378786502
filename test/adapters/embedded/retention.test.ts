// Retention: old events go, a step at a time; documents and young events stay.

import { describe, expect, it, onTestFinished } from "vitest";
import { EmbeddedArchive } from "../../../src/adapters/embedded/archive.js";
import { EmbeddedEventLog } from "../../../src/adapters/embedded/event-log.js";
import { GroupCommit } from "../../../src/adapters/embedded/group-commit.js";
import { FOLLOWERS_WAIT_MS, Retention, SWEEP_STEP } from "../../../src/adapters/embedded/retention.js";
import { openTables } from "../../../src/adapters/embedded/tables.js";
import { ALL, batchOf, memberDocument, messageChange, newRoom, sampleBatch } from "../../contract/samples.js";
import { StoppedClock, useDirectory, useStore } from "./use-store.js";

const RETENTION_MS = 1_000;

/** The parts of a store whose events are kept for a second, and whose time starts at 0. */
async function useRetention() {
  const tables = await openTables(await useDirectory(), 2);
  const commit = new GroupCommit(tables.root);
  const clock = new StoppedClock();
  const faults: unknown[] = [];
  const retention = new Retention(tables, commit, {
    retentionMs: RETENTION_MS,
    clock,
    onFault: (cause) => faults.push(cause),
  });
  onTestFinished(async () => {
    await retention.close();
    await commit.close();
    await tables.root.close();
  });
  return { clock, retention, log: new EmbeddedEventLog(tables, commit), archive: new EmbeddedArchive(tables, commit) };
}

describe("retention", () => {
  it("removes what is older and everything that belongs to it, and keeps the documents", async () => {
    const { clock, retention, log, archive } = await useRetention();
    const room = newRoom();
    const batch = sampleBatch(room, 1, 3, { createdAtMs: 0 });
    const members = [{ room, document: memberDocument("ada", 1) }];
    await log.append(0, 0, batchOf({ ...batch.changes, members, messages: [messageChange(room, 1, 1, 3)] }));
    await log.append(0, 3, sampleBatch(room, 4, 5, { createdAtMs: 500 }));
    clock.advance(RETENTION_MS + 1);
    expect(await retention.sweep()).toBe(3);
    expect(archive.events(room, ALL).map(({ seq }) => seq)).toEqual([4, 5]);
    expect(archive.messages(room, { afterIndex: 0, limit: 10 }).map(({ messageIndex }) => messageIndex)).toEqual([
      4, 5,
    ]);
    expect(archive.seqOf(room, `${room.roomId}:3`)).toBeUndefined();
    expect((await log.read(0, 3, 10)).map(({ offset }) => offset)).toEqual([3, 4]);
    expect(await log.begins()).toEqual([3, 0]);
    await expect(log.read(0, 2, 10)).rejects.toMatchObject({ name: "LogExpired", from: 2, begins: 3 });
    expect(archive.room(room)?.appliedSeq).toBe(5);
    expect(archive.member(room, "ada")).toBeDefined();
    expect(await retention.sweep()).toBe(0);
  });

  it("lets nothing come back that has gone, with changes that are applied again", async () => {
    const { clock, retention, log, archive } = await useRetention();
    const [room, inbox] = [newRoom(), newRoom()];
    const { changes, records } = sampleBatch(room, 1, 3, { createdAtMs: 0 });
    const hidden = [{ inbox, roomId: room.roomId, messageIndex: 2 }];
    await log.append(0, 0, { records, changes: { ...changes, hidden } });
    clock.advance(RETENTION_MS + 1);
    await retention.sweep();
    await archive.apply(0, 3, { ...changes, hidden });
    expect(archive.events(room, ALL)).toEqual([]);
    expect(archive.hidden(inbox, room.roomId, 1, 9)).toEqual([]);
  });

  it("goes on at the same end when every event has gone", async () => {
    const { clock, retention, log, archive } = await useRetention();
    const room = newRoom();
    await log.append(1, 0, sampleBatch(room, 1, 3, { createdAtMs: 0 }));
    clock.advance(RETENTION_MS + 1);
    await retention.sweep();
    expect(await log.open(1)).toEqual({ end: 3, tail: [] });
    expect((await log.append(1, 3, sampleBatch(room, 4))).status).toBe("durable");
    expect(archive.events(room, ALL).map(({ seq }) => seq)).toEqual([4]);
  });

  it("removes a bounded number of events in a step, over all shards", async () => {
    const { clock, retention, log, archive } = await useRetention();
    const rooms = [newRoom(), newRoom()];
    const half = SWEEP_STEP / 2 + 10;
    for (const [shard, room] of rooms.entries())
      await log.append(shard, 0, sampleBatch(room, 1, half, { createdAtMs: 0 }));
    clock.nowMs = RETENTION_MS + 1;
    expect(await retention.sweep()).toBe(SWEEP_STEP);
    expect(await retention.sweep()).toBe(20);
    for (const room of rooms) expect(archive.events(room, ALL)).toEqual([]);
  });

  it("steps over events that were purged", async () => {
    const { clock, retention, log, archive } = await useRetention();
    const room = newRoom();
    await log.append(0, 0, sampleBatch(room, 1, 4, { createdAtMs: 0 }));
    await archive.purge(room, 2);
    expect((await log.read(0, 0, 10)).map(({ event }) => event.seq)).toEqual([3, 4]);
    clock.advance(RETENTION_MS + 1);
    expect(await log.begins()).toEqual([0, 0]);
    expect(await retention.sweep()).toBe(2);
    expect(await log.read(0, 4, 10)).toEqual([]);
  });

  it("keeps what a follower has still to read, for a day", async () => {
    const { clock, retention, log, archive } = await useRetention();
    const room = newRoom();
    await log.append(0, 0, sampleBatch(room, 1, 4, { createdAtMs: 0 }));
    await log.append(1, 0, sampleBatch(newRoom(), 1, 2, { createdAtMs: 0 }));
    await archive.follow("slow", 0, 1);
    await archive.follow("fast", 0, 4);
    await archive.follow("fast", 1, 2);
    clock.advance(RETENTION_MS + 1);
    expect(await retention.sweep()).toBe(3);
    expect((await log.read(0, 1, 10)).map(({ offset }) => offset)).toEqual([1, 2, 3]);
    await archive.follow("slow", 0, 3);
    expect(await retention.sweep()).toBe(2);
    clock.advance(FOLLOWERS_WAIT_MS);
    expect(await retention.sweep()).toBe(1);
    expect(await log.read(0, 4, 10)).toEqual([]);
  });

  it("runs by the store's clock, and ends with the store", async () => {
    const directory = await useDirectory();
    const clock = new StoppedClock();
    const store = await useStore({ directory, clock, retentionMs: RETENTION_MS });
    const room = newRoom();
    await store.log.append(0, 0, sampleBatch(room, 1, 3, { createdAtMs: 0 }));
    expect(clock.pending).toBe(1);
    clock.advance(RETENTION_MS + 1);
    await store.close();
    expect(clock.pending).toBe(0);
    const again = await useStore({ directory });
    expect(await again.archive.events(room, ALL)).toEqual([]);
  });

  it("is off unless it is asked for", async () => {
    const clock = new StoppedClock();
    await useStore({ clock });
    expect(clock.pending).toBe(0);
  });
});
