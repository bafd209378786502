// What is durable and not archived yet: read as if it were, written until it is, given up only with the shard.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Archiver } from "../../../src/core/archive/archiver.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import type { Archive, ArchiveChanges } from "../../../src/ports/archive.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { RoomRef } from "../../../src/ports/room-ref.js";
import {
  ALL,
  changesOf,
  eventChange,
  eventScrub,
  memberDocument,
  newRoom,
  roomDocument,
} from "../../contract/samples.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { settle } from "../use-core.js";

const SHARD = 0;

/** An archive whose writes wait until the test lets them through, or refuses them. */
function gatedArchive(inner: Archive) {
  const waiting: { readonly end: number; readonly let: (succeeds: boolean) => Promise<void> }[] = [];
  const archive = Object.create(inner, {
    apply: {
      value: (shard: number, end: number, changes: ArchiveChanges) =>
        new Promise<void>((resolve, reject) => {
          waiting.push({
            end,
            let: async (succeeds) => {
              if (succeeds) await inner.apply(shard, end, changes).then(resolve, reject);
              else reject(new TrunklineError(ErrorCode.UNAVAILABLE, "the archive is away"));
              await settle(3);
            },
          });
        }),
    },
    events: { value: inner.events.bind(inner) },
  }) as Archive;
  return { archive, waiting };
}

/** By default one write follows the other at once. */
function useArchiver(gatherMs = 0) {
  const engine = new MemoryEngine({ archivesOnAppend: false, shards: 1 });
  const clock = new StoppedClock();
  const { archive, waiting } = gatedArchive(engine.archive);
  const archiver = new Archiver(SHARD, { archive, clock, telemetry: new Telemetry(), gatherMs });
  return { engine, clock, archiver, waiting };
}

/** The events `from` to `to` of a room, and its document after them. */
function grown(room: RoomRef, from: number, to: number): ArchiveChanges {
  const events = Array.from({ length: to - from + 1 }, (_, index) => eventChange(room, from + index));
  return changesOf({ events, rooms: [{ room, document: roomDocument(room, to) }] });
}

const TEN_BYTES = 10;

async function seqs(archiver: Archiver, room: RoomRef, range = ALL): Promise<readonly number[]> {
  return (await archiver.events(room, range)).map(({ seq }) => seq);
}

describe("what is not archived yet", () => {
  it("is read behind what is", async () => {
    const { archiver, waiting } = useArchiver();
    const room = newRoom();
    archiver.push(3, grown(room, 1, 3), TEN_BYTES);
    await waiting.shift()?.let(true);
    archiver.push(5, grown(room, 4, 5), TEN_BYTES);
    expect(await seqs(archiver, room)).toEqual([1, 2, 3, 4, 5]);
    expect(await seqs(archiver, room, { ...ALL, from: 5 })).toEqual([5]);
    expect(await seqs(archiver, room, { ...ALL, from: 2, limit: 3 })).toEqual([2, 3, 4]);
    expect(await seqs(archiver, room, { ...ALL, from: 2, maxBytes: 1 })).toEqual([2]);
    expect(await seqs(archiver, room, { ...ALL, from: 2, to: 4 })).toEqual([2, 3, 4]);
  });

  it("is read where everything before it was purged", async () => {
    const { archiver, waiting, engine } = useArchiver();
    const room = newRoom();
    archiver.push(3, grown(room, 1, 3), TEN_BYTES);
    await waiting.shift()?.let(true);
    archiver.push(5, grown(room, 4, 5), TEN_BYTES);
    await engine.archive.purge(room, 3);
    expect(await seqs(archiver, room)).toEqual([4, 5]);
    expect(await seqs(archiver, room, { ...ALL, to: 3 })).toEqual([]);
  });

  it("is waited for by who asks for the room, and by nobody else", async () => {
    const { archiver, waiting } = useArchiver();
    const [room, other] = [newRoom(), newRoom()];
    archiver.push(1, grown(room, 1, 1), TEN_BYTES);
    expect(archiver.settled(other)).toBeUndefined();
    let settled = false;
    const done = archiver.settled(room)?.then(() => {
      settled = true;
    });
    await settle(3);
    expect(settled).toBe(false);
    await waiting.shift()?.let(true);
    await done;
    expect(archiver.settled(room)).toBeUndefined();
    expect(archiver.drained()).toBeUndefined();
  });

  it("is not waited for longer than a while", async () => {
    const { archiver, clock } = useArchiver();
    const room = newRoom();
    archiver.push(1, grown(room, 1, 1), TEN_BYTES);
    const settled = archiver.settled(room);
    clock.advance(5_000);
    await expect(settled).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    expect(clock.pending).toBe(0);
  });

  it("is written together, once for each document, when the write before it is done", async () => {
    const { archiver, waiting, engine } = useArchiver();
    const room = newRoom();
    archiver.push(1, grown(room, 1, 1), TEN_BYTES);
    archiver.push(2, grown(room, 2, 2), TEN_BYTES);
    archiver.push(4, grown(room, 3, 4), TEN_BYTES);
    expect(archiver.pendingBytes).toBe(3 * TEN_BYTES);
    expect(waiting.map(({ end }) => end)).toEqual([1]);
    await waiting.shift()?.let(true);
    expect(waiting.map(({ end }) => end)).toEqual([4]);
    await waiting.shift()?.let(true);
    expect(archiver.pendingBytes).toBe(0);
    expect(await engine.archive.archived(SHARD)).toBe(4);
    expect(await engine.archive.room(room)).toMatchObject({ appliedSeq: 4 });
  });

  it("is gathered between two writes, and written when it is time, when it is much, or when somebody waits for it", async () => {
    const { archiver, waiting, clock } = useArchiver(200);
    const room = newRoom();
    archiver.push(1, grown(room, 1, 1), TEN_BYTES);
    await waiting.shift()?.let(true);
    archiver.push(2, grown(room, 2, 2), TEN_BYTES);
    archiver.push(3, grown(room, 3, 3), TEN_BYTES);
    clock.advance(199);
    expect(waiting).toEqual([]);
    clock.advance(1);
    expect(waiting.map(({ end }) => end)).toEqual([3]);
    await waiting.shift()?.let(true);

    archiver.push(4, grown(room, 4, 4), TEN_BYTES);
    expect(waiting).toEqual([]);
    const settled = archiver.settled(room);
    expect(waiting.map(({ end }) => end)).toEqual([4]);
    await waiting.shift()?.let(true);
    await settled;

    archiver.push(5, grown(room, 5, 5), TEN_BYTES);
    archiver.push(6, grown(room, 6, 6), 1024 * 1024);
    expect(waiting.map(({ end }) => end)).toEqual([6]);
    await waiting.shift()?.let(true);
    expect(clock.pending).toBe(0);

    archiver.push(7, grown(room, 7, 7), TEN_BYTES);
    archiver.clear();
    expect(clock.pending).toBe(0);
  });

  it("is tried again, later each time, until the archive takes it", async () => {
    const { archiver, waiting, clock } = useArchiver();
    const room = newRoom();
    archiver.push(1, grown(room, 1, 1), TEN_BYTES);
    await waiting.shift()?.let(false);
    expect(waiting).toHaveLength(0);
    clock.advance(100);
    await waiting.shift()?.let(false);
    clock.advance(100);
    expect(waiting).toHaveLength(0);
    clock.advance(100);
    await waiting.shift()?.let(true);
    expect(archiver.pendingBytes).toBe(0);
  });

  it("has lost what was deleted, in the archive too before that is scrubbed", async () => {
    const { archiver, waiting } = useArchiver();
    const room = newRoom();
    archiver.push(2, grown(room, 1, 2), TEN_BYTES);
    archiver.push(3, changesOf({ ...grown(room, 3, 3), scrubs: [eventScrub(room, 1)] }), TEN_BYTES);
    const said = async () =>
      (await archiver.events(room, ALL)).map(
        ({ event: { kind } }) => kind.case === "messageCreated" && kind.value.body,
      );
    expect((await said())[0]).toBeUndefined();
    await waiting.shift()?.let(true);
    expect((await said())[0]).toBeUndefined();
    await waiting.shift()?.let(true);
    expect((await said())[0]).toBeUndefined();
    expect((await said())[1]).toBeDefined();
  });

  it("is given up with the shard: who waits is told, and nothing is written or timed any more", async () => {
    const { archiver, waiting, clock, engine } = useArchiver();
    const room = newRoom();
    archiver.push(1, grown(room, 1, 1), TEN_BYTES);
    const settled = archiver.settled(room);
    archiver.push(2, grown(room, 2, 2), TEN_BYTES);
    archiver.clear();
    await expect(settled).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    await waiting.shift()?.let(true);
    expect(waiting).toHaveLength(0);
    expect(clock.pending).toBe(0);
    expect(await engine.archive.archived(SHARD)).toBe(1);
    archiver.push(2, grown(room, 1, 2), TEN_BYTES);
    await waiting.shift()?.let(true);
    expect(await engine.archive.archived(SHARD)).toBe(2);
    expect(archiver.pendingBytes).toBe(0);
  });
});

describe("whatever the archive does", () => {
  it("events read the same at every moment, and everything is archived in the end", async () => {
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({
          is: fc.constant("push" as const),
          room: fc.nat(1),
          events: fc.integer({ min: 1, max: 3 }),
          scrub: fc.boolean(),
        }),
      },
      { weight: 3, arbitrary: fc.record({ is: fc.constant("write" as const), succeeds: fc.boolean() }) },
      {
        weight: 3,
        arbitrary: fc.record({
          is: fc.constant("read" as const),
          room: fc.nat(1),
          from: fc.integer({ min: 1, max: 9 }),
          limit: fc.integer({ min: 1, max: 5 }),
        }),
      },
    );
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(0, 200), fc.array(step, { maxLength: 30 }), async (gatherMs, steps) => {
        const { archiver, waiting, clock, engine } = useArchiver(gatherMs);
        const rooms = [newRoom(), newRoom()].map((ref) => ({ ref, top: 0, scrubbed: new Set<number>() }));
        let end = 0;
        for (const each of steps) {
          if (each.is === "write") {
            await waiting.shift()?.let(each.succeeds);
            clock.advance(5_000);
            continue;
          }
          const room = rooms[each.room];
          if (room === undefined) throw new Error("there are two rooms");
          if (each.is === "push") {
            const from = room.top + 1;
            room.top += each.events;
            end += each.events;
            const scrubs = each.scrub && from > 1 ? [eventScrub(room.ref, from - 1)] : [];
            if (scrubs.length > 0) room.scrubbed.add(from - 1);
            const members = [{ room: room.ref, document: memberDocument("ada", room.top) }];
            archiver.push(end, { ...grown(room.ref, from, room.top), scrubs, members }, TEN_BYTES);
            continue;
          }
          const read = await archiver.events(room.ref, { ...ALL, from: each.from, limit: each.limit });
          const wanted = Array.from({ length: each.limit }, (_, index) => each.from + index).filter(
            (seq) => seq <= room.top,
          );
          expect(read.map(({ seq }) => seq)).toEqual(wanted);
          for (const { seq, event } of read) {
            expect(event.kind.case === "messageCreated" && event.kind.value.body === undefined).toBe(
              room.scrubbed.has(seq),
            );
          }
        }
        do {
          await waiting.shift()?.let(true);
          clock.advance(gatherMs);
        } while (waiting.length > 0);
        expect(archiver.pendingBytes).toBe(0);
        expect(archiver.drained()).toBeUndefined();
        expect(await engine.archive.archived(SHARD)).toBe(end);
        for (const { ref, top } of rooms) {
          expect((await engine.archive.events(ref, ALL)).map(({ seq }) => seq)).toEqual(
            Array.from({ length: top }, (_, at) => at + 1),
          );
          if (top > 0) expect(await engine.archive.room(ref)).toMatchObject({ appliedSeq: top });
        }
      }),
      { numRuns: 200 },
    );
  });
});
