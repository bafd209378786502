// What every event log must do: the guarantees of src/ports/event-log.ts, as tests.

import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Archive } from "../../src/ports/archive.js";
import { ErrorCode } from "../../src/ports/error.js";
import { type AppendBatch, type EventLog, type LogRecord, recordBytes } from "../../src/ports/event-log.js";
import type { RoomRef } from "../../src/ports/room-ref.js";
import { ALL, batchOf, changesOf, eventChange, memberDocument, newRoom, sampleBatch, tagOf } from "./samples.js";

export interface EventLogSubject {
  readonly log: EventLog;
  /** The archive that belongs to the log. */
  readonly archive: Archive;
  /** The log as another node has it, at the same time; undefined: one process has it all. Closed with the subject. */
  rival?(): Promise<EventLog>;
  /** Makes all that was appended so far too old to be kept, and resolves once it is gone. What is accepted in 2100 stays. */
  expire(): Promise<void>;
  /** Ends the subject and comes back on the same data, as a new process would. The old ports are not used again. */
  reopen(): Promise<EventLogSubject>;
  close(): Promise<void>;
}

/** The engine behind `factory` starts empty or not; it must have at least 3 shards. */
export function describeEventLog(name: string, factory: () => Promise<EventLogSubject>): void {
  describe(`the event log of ${name}`, () => {
    let subject: EventLogSubject;
    beforeAll(async () => {
      subject = await factory();
    });
    afterAll(() => subject.close());

    /** Opens the shard and appends there. */
    async function append(shard: number, batch: AppendBatch): Promise<{ at: number; end: number }> {
      const { end: at } = await subject.log.open(shard);
      const outcome = await subject.log.append(shard, at, batch);
      if (outcome.status !== "durable") throw new Error("displaced");
      return { at, end: outcome.end };
    }

    it("stores a batch and reads it back in order, byte for byte", async () => {
      const room = newRoom();
      const batch = sampleBatch(room, 1, 3);
      const { at, end } = await append(0, batch);
      const records = await subject.log.read(0, at, 10);
      expect(records.map(({ event }) => event.seq)).toEqual([1, 2, 3]);
      expect(records.map(({ event }) => event.tag)).toEqual([1, 2, 3].map(tagOf));
      expect(records.map((record) => record.room.key)).toEqual([room.key, room.key, room.key]);
      expect(records.map(bytesOf)).toEqual(batch.records.map(bytesOf));
      expect(records.every(({ offset }) => offset >= at && offset < end)).toBe(true);
      expect(rising(records)).toBe(true);
    });

    it("goes on at the end that an append has answered", async () => {
      const room = newRoom();
      const { at, end } = await append(0, sampleBatch(room, 1, 2));
      const next = await subject.log.append(0, end, sampleBatch(room, 3));
      expect(next.status).toBe("durable");
      expect((await subject.log.read(0, at, 10)).map(({ event }) => event.seq)).toEqual([1, 2, 3]);
      expect((await subject.log.read(0, end, 10)).map(({ event }) => event.seq)).toEqual([3]);
    });

    it("keeps rooms of one batch apart and their order in the shard", async () => {
      const [one, two] = [newRoom(), newRoom("other")];
      const events = [eventChange(one, 1), eventChange(two, 1), eventChange(one, 2)];
      const { at } = await append(0, batchOf({ events }));
      const records = await subject.log.read(0, at, 10);
      expect(records.map(({ room }) => room.key)).toEqual([one.key, two.key, one.key]);
      expect(records[1]?.room).toEqual(two);
    });

    it("answers displaced at any other offset, and stores nothing of the batch", async () => {
      const room = newRoom();
      const { at, end } = await append(0, sampleBatch(room, 1, 2));
      for (const wrong of [at, end - 1, end + 1, end + 1_000]) {
        expect(await subject.log.append(0, wrong, sampleBatch(room, 3, 4))).toEqual({ status: "displaced" });
      }
      const records = await subject.log.read(0, at, 10);
      expect(records.map(({ event }) => event.seq)).toEqual([1, 2]);
      expect(await subject.archive.seqOf(room, `${room.roomId}:3`)).toBeUndefined();
    });

    it("lets one of two writers win at an offset", async () => {
      const [one, two] = [newRoom(), newRoom()];
      const { end: at } = await subject.log.open(1);
      expect((await subject.log.append(1, at, sampleBatch(one, 1))).status).toBe("durable");
      expect(await subject.log.append(1, at, sampleBatch(two, 1))).toEqual({ status: "displaced" });
      expect((await subject.log.read(1, at, 10)).map((record) => record.room.key)).toEqual([one.key]);
    });

    it("keeps shards apart", async () => {
      const [one, two] = [newRoom(), newRoom()];
      const first = await append(1, sampleBatch(one, 1, 2));
      const second = await append(2, sampleBatch(two, 1));
      expect((await subject.log.read(1, first.at, 10)).map((record) => record.room.key)).toEqual([one.key, one.key]);
      expect((await subject.log.read(2, second.at, 10)).map((record) => record.room.key)).toEqual([two.key]);
    });

    it("takes appends of all shards at once", async () => {
      const shards = [0, 1, 2];
      const rooms = shards.map(() => newRoom());
      const opened = await Promise.all(shards.map((shard) => subject.log.open(shard)));
      const outcomes = await Promise.all(
        opened.map(({ end }, shard) => subject.log.append(shard, end, sampleBatch(rooms[shard] ?? newRoom(), 1, 20))),
      );
      expect(outcomes.map(({ status }) => status)).toEqual(["durable", "durable", "durable"]);
      for (const shard of shards) {
        expect(await subject.log.read(shard, opened[shard]?.end ?? 0, 100)).toHaveLength(20);
      }
    });

    it("reads at most as many records as asked for, and none beyond the end", async () => {
      const { at, end } = await append(0, sampleBatch(newRoom(), 1, 5));
      expect((await subject.log.read(0, at, 2)).map(({ event }) => event.seq)).toEqual([1, 2]);
      expect(await subject.log.read(0, at, 0)).toEqual([]);
      expect(await subject.log.read(0, end, 10)).toEqual([]);
    });

    it("takes a batch as large as it says, and nothing of a larger one", async () => {
      const { log } = subject;
      if (!Number.isFinite(log.maxBatchBytes)) return;
      const room = newRoom();
      const { end: at } = await log.open(1);
      const [fits, exceeds] = [batchOfBytes(room, log.maxBatchBytes), batchOfBytes(room, log.maxBatchBytes + 1)];
      await expect(log.append(1, at, exceeds)).rejects.toMatchObject({ code: ErrorCode.TOO_LARGE });
      const outcome = await log.append(1, at, fits);
      expect(outcome.status).toBe("durable");
      expect((await log.read(1, at, 10_000)).map(bytesOf)).toEqual(fits.records.map(bytesOf));
    });

    it("answers an open with all that was durable before", async () => {
      const { end } = await append(0, sampleBatch(newRoom(), 1, 2));
      const again = await subject.log.open(0);
      expect(again.end).toBeGreaterThanOrEqual(end);
    });

    it("shows an append under way in the answer of an open, or displaces it", async () => {
      const room = newRoom();
      const { end: at } = await subject.log.open(0);
      const underWay = subject.log.append(0, at, sampleBatch(room, 1));
      const opened = await subject.log.open(0);
      const outcome = await underWay;
      const stored = (await subject.log.read(0, at, 10)).some((record) => record.room.key === room.key);
      expect(stored).toBe(outcome.status === "durable");
      if (outcome.status === "durable") expect(opened.end).toBeGreaterThanOrEqual(outcome.end);
    });

    it("owns what it stores and what it returns", async () => {
      const room = newRoom();
      const batch = sampleBatch(room, 1);
      const original = batch.records.map(bytesOf);
      const { at } = await append(0, batch);
      for (const { event } of batch.records) event.bytes.fill(0);
      const first = await subject.log.read(0, at, 10);
      expect(first.map(bytesOf)).toEqual(original);
      for (const { event } of first) event.bytes.fill(0xff);
      expect((await subject.log.read(0, at, 10)).map(bytesOf)).toEqual(original);
    });

    it("lets at most one append of two nodes that both believe they own a shard", async () => {
      const { log } = subject;
      const rival = await subject.rival?.();
      if (rival === undefined) return;
      const room = newRoom();
      const { end: first } = await log.open(1);
      const { end: second } = await rival.open(1);
      const outcomes = [
        await log.append(1, first, sampleBatch(room, 1, 2)),
        await rival.append(1, second, sampleBatch(room, 1, 2)),
      ];
      const durable = outcomes.filter(({ status }) => status === "durable");
      expect(durable.length).toBeLessThanOrEqual(1);
      expect(await rival.read(1, first, 10)).toHaveLength(2 * durable.length);
      expect((await log.open(1)).end).toBeGreaterThan(second);
    });

    it("has one history of two nodes that take a shard from each other", async () => {
      const rival = await subject.rival?.();
      if (rival === undefined) return;
      const room = newRoom();
      const { end: start } = await subject.log.open(1);
      const appended: number[] = [];
      let formerEnd: number | undefined;
      for (let turn = 0; turn < 12; turn++) {
        const [owner, former] = turn % 2 === 0 ? [subject.log, rival] : [rival, subject.log];
        const { end } = await owner.open(1);
        const seqs = [10 * turn + 1, 10 * turn + 2];
        // Who was the owner a turn ago still believes to be.
        const late =
          formerEnd === undefined ? undefined : former.append(1, formerEnd, sampleBatch(room, 10 * turn + 3));
        const outcome = await owner.append(1, end, sampleBatch(room, 10 * turn + 1, 10 * turn + 2));
        formerEnd = outcome.status === "durable" ? outcome.end : undefined;
        const lateWon = (await late)?.status === "durable";
        expect(lateWon && outcome.status === "durable").toBe(false);
        if (lateWon) appended.push(10 * turn + 3);
        else if (outcome.status === "durable") appended.push(...seqs);
      }
      expect(appended.length).toBeGreaterThan(0);
      for (const log of [subject.log, rival]) {
        await log.open(1);
        expect((await pagesOf(log, 1, start, 2)).map(({ event }) => event.seq)).toEqual(appended);
      }
    });

    it("begins nothing for an open that was given up", async () => {
      const room = newRoom();
      const given = new AbortController();
      for (const owner of [subject.log, await subject.rival?.()]) {
        if (owner === undefined) continue;
        const { end } = await owner.open(1);
        given.abort();
        await expect(subject.log.open(1, given.signal)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
        expect((await owner.append(1, end, sampleBatch(room, 1))).status).toBe("durable");
      }
    });

    it("shows another node what was appended", async () => {
      const rival = await subject.rival?.();
      if (rival === undefined) return;
      const room = newRoom();
      const { at, end } = await append(2, sampleBatch(room, 1, 5));
      expect((await rival.read(2, at, 10)).map(({ event }) => event.seq)).toEqual([1, 2, 3, 4, 5]);
      expect((await rival.open(2)).end).toBeGreaterThanOrEqual(end);
    });

    it("says where every shard ends, behind what was appended, also by another node", async () => {
      const room = newRoom();
      const before = await subject.log.ends();
      expect(before).toHaveLength(subject.log.shards);
      const { end } = await append(1, sampleBatch(room, 1, 3));
      const ends = await subject.log.ends();
      expect(ends[1]).toBe(end);
      expect(await subject.log.read(1, end, 10)).toEqual([]);
      expect(before.every((at, shard) => at <= (ends[shard] ?? -1))).toBe(true);
      const rival = await subject.rival?.();
      if (rival === undefined) return;
      expect((await rival.ends())[1]).toBe(end);
      const opened = await rival.open(1);
      const outcome = await rival.append(1, opened.end, sampleBatch(room, 4));
      expect((await subject.log.ends())[1]).toBe(outcome.status === "durable" ? outcome.end : -1);
    });

    it("has every durable event after coming back", async () => {
      const room = newRoom();
      const { at, end } = await append(2, sampleBatch(room, 1, 4));
      subject = await subject.reopen();
      const opened = await subject.log.open(2);
      expect(opened.end).toBeGreaterThanOrEqual(end);
      expect((await subject.log.read(2, at, 10)).map(({ event }) => event.seq)).toEqual([1, 2, 3, 4]);
      expect((await subject.log.append(2, opened.end, sampleBatch(room, 5))).status).toBe("durable");
    });

    it("has the archive up to date when an append resolves, or has the events in the tail", async () => {
      const room = newRoom();
      const batch = sampleBatch(room, 1, 3);
      const joined = { ...batch.changes, members: [{ room, document: memberDocument("ada", 3) }] };
      const { end } = await append(0, { ...batch, changes: joined });
      if (subject.log.archivesOnAppend) {
        expect(await subject.archive.archived(0)).toBe(end);
        expect(await archivedSeqs(subject.archive, room)).toEqual([1, 2, 3]);
        expect((await subject.archive.room(room))?.appliedSeq).toBe(3);
        expect((await subject.archive.member(room, "ada"))?.appliedSeq).toBe(3);
        expect(await subject.archive.roomsOf(room.tenantId, "ada", { after: "", limit: 1_000 })).toContain(room.roomId);
        expect((await subject.log.open(0)).tail).toEqual([]);
        return;
      }
      expect(seqsOf((await subject.log.open(0)).tail, room)).toEqual([1, 2, 3]);
      await subject.archive.apply(0, end, changesOf(joined));
      expect(await archivedSeqs(subject.archive, room)).toEqual([1, 2, 3]);
      expect(seqsOf((await subject.log.open(0)).tail, room)).toEqual([]);
    });

    it("continues what was read of it, also before it came back, and nothing else", async () => {
      const endsOf = ({ log }: EventLogSubject) =>
        Promise.all(Array.from({ length: log.shards }, async (_, shard) => (await log.open(shard)).end));
      const room = newRoom();
      await append(1, sampleBatch(room, 1, 2));
      const { era } = subject.log;
      const ends = await endsOf(subject);
      const continues = async (era: string, offsets: readonly number[]) => subject.log.continues(era, offsets);
      expect(era).toMatch(/^[A-Za-z0-9_-]{1,32}$/);
      expect(await continues(era, ends)).toBe(true);
      const start = ends.map(() => 0);
      expect(await continues(era, start)).toBe(true);
      expect(await continues(era, ends.slice(1))).toBe(false);
      expect(await continues(`${era}x`, start)).toBe(false);
      expect(await continues("", start)).toBe(false);
      expect(await continues(era, ends.with(1, (ends[1] ?? 0) + 1_000))).toBe(false);
      subject = await subject.reopen();
      await append(1, sampleBatch(room, 3, 4));
      expect(await continues(era, ends)).toBe(true);
      expect(await continues(subject.log.era, await endsOf(subject))).toBe(true);
    });

    it("says where it begins once what stood before is too old, and never passes over that", async () => {
      const { log } = subject;
      const room = newRoom();
      const { at, end } = await append(1, sampleBatch(room, 1, 3));
      const before = await log.begins();
      expect(before).toHaveLength(log.shards);
      expect(before[1]).toBeLessThanOrEqual(at);
      await subject.expire();
      const next = await append(1, sampleBatch(room, 4, 5, { createdAtMs: Date.UTC(2100) }));
      const [, begins = -1] = await log.begins();
      expect(begins).toBeGreaterThanOrEqual(end);
      expect(begins).toBeLessThanOrEqual(next.at);
      const gone = { name: "LogExpired", shard: 1, begins };
      await expect(log.read(1, at, 10)).rejects.toMatchObject({ ...gone, from: at });
      await expect(log.read(1, begins - 1, 10)).rejects.toMatchObject({ ...gone, from: begins - 1 });
      expect((await log.read(1, begins, 10)).map(({ event }) => event.seq)).toEqual([4, 5]);
      expect(await log.continues(log.era, await log.begins())).toBe(true);
      subject = await subject.reopen();
      expect((await subject.log.begins())[1]).toBe(begins);
      await expect(subject.log.read(1, at, 10)).rejects.toMatchObject(gone);
    });

    it("never changes the number of shards", async () => {
      const { shards } = subject.log;
      expect(shards).toBeGreaterThanOrEqual(3);
      subject = await subject.reopen();
      expect(subject.log.shards).toBe(shards);
    });
  });
}

/** A batch of many small events and one that fills it. */
function batchOfBytes(room: RoomRef, bytes: number): AppendBatch {
  const few = sampleBatch(room, 1, 500);
  const size = few.records.reduce((sum, record) => sum + recordBytes(record), 0);
  const empty = recordBytes({ room, event: eventChange(room, 501, { text: "x".repeat(20_000) }).event });
  const last = eventChange(room, 501, { text: "x".repeat(bytes - size - empty + 20_000) });
  // A longer text takes more bytes to say how long it is, at each of its levels.
  const excess = size + recordBytes(last) - bytes;
  return batchOf({
    events: [
      ...few.changes.events,
      eventChange(room, 501, { text: "x".repeat(bytes - size - empty + 20_000 - excess) }),
    ],
  });
}

function bytesOf({ event }: { readonly event: { readonly bytes: Uint8Array } }): string {
  return Buffer.from(event.bytes).toString("hex");
}

/** All records from an offset on, read a few at a time. */
async function pagesOf(log: EventLog, shard: number, from: number, limit: number): Promise<readonly LogRecord[]> {
  const records: LogRecord[] = [];
  for (let at = from; ; ) {
    const page = await log.read(shard, at, limit);
    records.push(...page);
    const last = page.at(-1);
    if (last === undefined || page.length < limit) return records;
    at = last.offset + 1;
  }
}

function seqsOf(records: readonly LogRecord[], room: RoomRef): readonly number[] {
  return records.filter((record) => record.room.key === room.key).map(({ event }) => event.seq);
}

async function archivedSeqs(archive: Archive, room: RoomRef): Promise<readonly number[]> {
  return (await archive.events(room, ALL)).map(({ seq }) => seq);
}

function rising(records: readonly LogRecord[]): boolean {
  return records.every(({ offset }, index) => index === 0 || offset > (records[index - 1]?.offset ?? offset));
}
