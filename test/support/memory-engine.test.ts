// The memory engine goes wrong as it is told to, and only so.

import { describe, expect, it } from "vitest";
import { ErrorCode } from "../../src/ports/error.js";
import type { EventLog } from "../../src/ports/event-log.js";
import { ALL, eventChange, newRoom, sampleBatch } from "../contract/samples.js";
import { type Arrival, MemoryEngine } from "./memory-engine.js";
import { eventsOf } from "./memory-engine-state.js";

async function seqsIn(log: EventLog): Promise<readonly number[]> {
  return (await log.read(0, 0, 100)).map(({ event }) => event.seq);
}

/** Whether a promise has settled once everything that could happen by itself has happened. */
async function settles(promise: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const settle = () => {
    settled = true;
  };
  promise.then(settle, settle);
  await new Promise((resolve) => setImmediate(resolve));
  return settled;
}

describe("the memory engine", () => {
  it("refuses one append and stores nothing of it", async () => {
    const engine = new MemoryEngine();
    const room = newRoom();
    engine.faultNextAppend({ kind: "refuse" });
    const refused = engine.log.append(0, 0, sampleBatch(room, 1));
    await expect(refused).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    expect(await seqsIn(engine.log)).toEqual([]);
    expect(await engine.archive.events(room, ALL)).toEqual([]);
    expect((await engine.log.append(0, 0, sampleBatch(room, 1))).status).toBe("durable");
  });

  it("stores one append and loses the answer", async () => {
    const engine = new MemoryEngine();
    engine.faultNextAppend({ kind: "lose-answer" }, 0);
    expect((await engine.log.append(1, 0, sampleBatch(newRoom(), 1))).status).toBe("durable");
    const uncertain = engine.log.append(0, 0, sampleBatch(newRoom(), 1, 2));
    await expect(uncertain).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    expect(await seqsIn(engine.log)).toEqual([1, 2]);
    expect((await engine.log.open(0)).end).toBe(2);
  });

  it("lets a foreign batch in before an append", async () => {
    const engine = new MemoryEngine();
    const room = newRoom();
    engine.faultNextAppend({ kind: "displace", by: sampleBatch(room, 1, 2) });
    expect(await engine.log.append(0, 0, sampleBatch(room, 1))).toEqual({ status: "displaced" });
    expect(await seqsIn(engine.log)).toEqual([1, 2]);
    expect((await engine.archive.room(room))?.appliedSeq).toBe(2);
  });

  it("lets a void record in before an append", async () => {
    const engine = new MemoryEngine();
    engine.faultNextAppend({ kind: "displace" });
    expect(await engine.log.append(0, 0, sampleBatch(newRoom(), 1))).toEqual({ status: "displaced" });
    expect(await seqsIn(engine.log)).toEqual([]);
    expect(await engine.log.open(0)).toEqual({ end: 1, tail: [] });
  });

  it("holds an append until it is let go", async () => {
    const engine = new MemoryEngine();
    const gate = Promise.withResolvers<void>();
    engine.faultNextAppend({ kind: "hold", until: gate.promise });
    const held = engine.log.append(0, 0, sampleBatch(newRoom(), 1));
    expect(await settles(held)).toBe(false);
    expect(await seqsIn(engine.log)).toEqual([]);
    gate.resolve();
    expect(await held).toEqual({ status: "durable", end: 1 });
  });

  it("displaces a held append when the shard is opened meanwhile", async () => {
    const engine = new MemoryEngine();
    const gate = Promise.withResolvers<void>();
    engine.faultNextAppend({ kind: "hold", until: gate.promise });
    const held = engine.log.append(0, 0, sampleBatch(newRoom(), 1));
    await engine.log.open(0);
    gate.resolve();
    expect(await held).toEqual({ status: "displaced" });
    expect(await seqsIn(engine.log)).toEqual([]);
  });

  it("asks for the fault of each append that has none of its own", async () => {
    const engine = new MemoryEngine();
    engine.faultOf = (_shard, at) => (at === 1 ? { kind: "refuse" } : undefined);
    const room = newRoom();
    expect((await engine.log.append(0, 0, sampleBatch(room, 1))).status).toBe("durable");
    await expect(engine.log.append(0, 1, sampleBatch(room, 2))).rejects.toThrow("not available");
  });

  it("forgets in a crash what was under way, and answers nothing more to the dead", async () => {
    const engine = new MemoryEngine();
    const { log, archive, fanout } = engine;
    const room = newRoom();
    await log.append(0, 0, sampleBatch(room, 1));
    const heard: number[] = [];
    await fanout.subscribe(room, (events) => heard.push(...events.map(({ seq }) => seq)));
    const underWay = log.append(0, 1, sampleBatch(room, 2));
    engine.crash();
    expect(await settles(underWay)).toBe(false);
    expect(await settles(log.append(0, 1, sampleBatch(room, 2)))).toBe(false);
    expect(await settles(Promise.resolve(archive.room(room)))).toBe(false);
    fanout.announce(room, [eventChange(room, 2).event]);
    expect(heard).toEqual([]);
    expect(await seqsIn(engine.log)).toEqual([1]);
    expect((await engine.log.append(0, 1, sampleBatch(room, 2))).status).toBe("durable");
  });

  it("comes back on an earlier state from a snapshot, as often as wanted", async () => {
    const engine = new MemoryEngine();
    const room = newRoom();
    await engine.log.append(0, 0, sampleBatch(room, 1));
    const snapshot = engine.snapshot();
    for (let round = 0; round < 2; round++) {
      await engine.log.append(0, 1, sampleBatch(room, 2));
      engine.restore(snapshot);
      expect(await seqsIn(engine.log)).toEqual([1]);
      expect((await engine.archive.room(room))?.appliedSeq).toBe(1);
    }
  });

  it("answers archive reads at once, or later, or not", async () => {
    const engine = new MemoryEngine();
    expect(engine.archive.archived(0)).toBe(0);
    engine.answersLater = true;
    const later = engine.archive.archived(0);
    expect(later).toBeInstanceOf(Promise);
    expect(await later).toBe(0);
    engine.archiveDown = true;
    await expect(engine.archive.archived(0)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });

  it("shows what it stored of a room in the room's order, also where a part came before the rest", async () => {
    const engine = new MemoryEngine({ archivesOnAppend: false });
    const room = newRoom();
    const { changes } = sampleBatch(room, 1, 2);
    await engine.archive.apply(0, 0, { ...changes, events: changes.events.slice(1) });
    await engine.archive.apply(0, 2, changes);
    expect([...engine.state.rooms.values()].flatMap(eventsOf).map(({ seq }) => seq)).toEqual([1, 2]);
  });

  it("lets only the node append that has opened the shard last", async () => {
    for (const leavesVoids of [false, true]) {
      const engine = new MemoryEngine({ archivesOnAppend: false, leavesVoids });
      const room = newRoom();
      const [one, other] = [engine.node().log, engine.node().log];
      const before = await one.open(0);
      const after = await other.open(0);
      expect(await one.append(0, before.end, sampleBatch(room, 1))).toEqual({ status: "displaced" });
      expect(await one.append(0, after.end, sampleBatch(room, 1))).toEqual({ status: "displaced" });
      const { end } = await other.open(0);
      expect((await other.append(0, end, sampleBatch(room, 1))).status).toBe("durable");
      expect(await seqsIn(engine.log)).toEqual([1]);
    }
  });

  it("stores what a node had under way when it died, unless another has opened the shard", async () => {
    for (const displaced of [false, true]) {
      const engine = new MemoryEngine({ archivesOnAppend: false });
      const node = engine.node();
      const { end } = await node.log.open(0);
      const late = Promise.withResolvers<void>();
      engine.faultNextAppend({ kind: "hold", until: late.promise });
      const unanswered = node.log.append(0, end, sampleBatch(newRoom(), 1));
      node.end();
      if (displaced) await engine.log.open(0);
      late.resolve();
      expect(await settles(unanswered)).toBe(false);
      expect(await seqsIn(engine.log)).toEqual(displaced ? [] : [1]);
      expect(await settles(node.log.append(0, end + 1, sampleBatch(newRoom(), 1)))).toBe(false);
      expect(await seqsIn(engine.log)).toEqual(displaced ? [] : [1]);
    }
  });

  it("says that nobody knows of an append which comes late: it is stored unless the shard was opened meanwhile", async () => {
    for (const opened of [false, true]) {
      const engine = new MemoryEngine({ archivesOnAppend: false, leavesVoids: true });
      const arrivals: Arrival[] = [];
      engine.arrived = (arrival) => void arrivals.push(arrival);
      const { end } = await engine.log.open(0);
      const late = Promise.withResolvers<void>();
      engine.faultNextAppend({ kind: "late", until: late.promise });
      const given = engine.log.append(0, end, sampleBatch(newRoom(), 1));
      await expect(given).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
      if (opened) await engine.node().log.open(0);
      late.resolve();
      await settles(late.promise);
      expect(await seqsIn(engine.log)).toEqual(opened ? [] : [1]);
      expect(arrivals).toEqual([
        { shard: 0, stored: !opened, isGivenUp: true, isOvertaken: opened, isBeforeFirst: true },
      ]);
    }
  });

  it("loses announcements", async () => {
    const engine = new MemoryEngine();
    const room = newRoom();
    const heard: number[] = [];
    await engine.fanout.subscribe(room, (events) => heard.push(...events.map(({ seq }) => seq)));
    engine.lostAnnouncements = 1;
    for (const seq of [1, 2]) engine.fanout.announce(room, [eventChange(room, seq).event]);
    expect(heard).toEqual([2]);
  });
});
