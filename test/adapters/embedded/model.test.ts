// Whatever is done to it, the embedded engine answers as the memory engine does.

import { rm } from "node:fs/promises";
import fc from "fast-check";
import { expect, it } from "vitest";
import { EmbeddedStore } from "../../../src/adapters/embedded/lmdb.js";
import type { Archive, ArchiveChanges } from "../../../src/ports/archive.js";
import type { EventLog } from "../../../src/ports/event-log.js";
import { type RoomRef, roomRef } from "../../../src/ports/room-ref.js";
import { ALL, batchOf, eventChange, memberDocument, messageChange, roomDocument } from "../../contract/samples.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { makeDirectory, StoppedClock } from "./use-store.js";

interface Engine {
  readonly log: EventLog;
  readonly archive: Archive;
}

type Step =
  | { readonly kind: "append"; readonly room: number; readonly events: readonly Event[]; readonly offBy: number }
  | { readonly kind: "purge"; readonly room: number; readonly through: number }
  | { readonly kind: "again"; readonly which: number }
  | { readonly kind: "reopen" };

interface Event {
  readonly kind: "message" | "edit" | "join" | "leave";
  /** Which user, or which message. */
  readonly which: number;
}

const users = ["ada", "bob", "a.b", "zoe"];
// Of one shard, names that begin alike, and one name in two tenants.
const rooms = [roomRef("t", "a"), roomRef("t", "a-b"), roomRef("t2", "a"), roomRef("t", "b")];

const event = fc.record<Event>({
  kind: fc.constantFrom("message", "message", "edit", "join", "leave"),
  which: fc.integer({ min: 0, max: 3 }),
});
const step = fc.oneof<fc.Arbitrary<Step>[]>(
  fc.record({
    kind: fc.constant("append" as const),
    room: fc.integer({ min: 0, max: rooms.length - 1 }),
    events: fc.array(event, { maxLength: 5 }),
    offBy: fc.constantFrom(0, 0, 0, 0, 1, -1),
  }),
  fc.record({
    kind: fc.constant("purge" as const),
    room: fc.integer({ min: 0, max: rooms.length - 1 }),
    through: fc.integer({ min: 0, max: 8 }),
  }),
  fc.record({ kind: fc.constant("again" as const), which: fc.nat({ max: 30 }) }),
  fc.record({ kind: fc.constant("reopen" as const) }),
);

/** Makes batches as a room's owner would: each event has the next seq, each message the next index. */
class Owner {
  end = 0;
  readonly #tops = rooms.map(() => ({ seq: 0, messages: [] as number[] }));

  top(room: number): number {
    return this.#tops[room]?.seq ?? 0;
  }

  batch(step: Step & { kind: "append" }) {
    const room = rooms[step.room] ?? roomRef("t", "a");
    const top = structuredClone(this.#tops[step.room] ?? { seq: 0, messages: [] });
    const changes: { [K in keyof ArchiveChanges]: ArchiveChanges[K][number][] } = {
      events: [],
      rooms: [],
      members: [],
      messages: [],
      scrubs: [],
      hidden: [],
      idleLooks: [],
    };
    for (const { kind, which } of step.events) {
      top.seq += 1;
      if (kind === "message") top.messages.push(top.seq);
      changes.events.push(eventChange(room, top.seq, { messageIndex: kind === "message" ? top.messages.length : 0 }));
      const createdSeq = top.messages[which];
      if (kind === "edit" && createdSeq !== undefined) {
        changes.messages.push(messageChange(room, which + 1, createdSeq, top.seq));
      }
      if (kind === "join" || kind === "leave") {
        changes.members.push({ room, document: memberDocument(users[which] ?? "", top.seq, kind === "leave") });
      }
    }
    if (step.events.length > 0) changes.rooms.push({ room, document: roomDocument(room, top.seq) });
    const accept = () => {
      this.end += step.events.length;
      this.#tops[step.room] = top;
    };
    return { batch: batchOf(changes), accept };
  }
}

async function look({ log, archive }: Engine): Promise<unknown> {
  return {
    end: (await log.open(0)).end,
    archived: await archive.archived(0),
    rooms: await Promise.all(rooms.map((room) => lookAtRoom(archive, room))),
    roomsOf: await Promise.all(users.map((user) => archive.roomsOf("t", user, { after: "", limit: 10 }))),
    second: await archive.roomsOf("t", "ada", { after: "a", limit: 1 }),
  };
}

async function lookAtRoom(archive: Archive, room: RoomRef): Promise<unknown> {
  const ranges = [
    { afterIndex: 0, limit: 100 },
    { afterIndex: 2, limit: 2 },
    { beforeIndex: 4, limit: 2 },
  ];
  const messages = await Promise.all(ranges.map((range) => archive.messages(room, range)));
  return {
    room: await archive.room(room),
    members: await archive.members(room, { after: "", limit: 10 }),
    some: await archive.members(room, { after: "ada", limit: 1 }),
    standings: await Promise.all(users.map((user) => archive.member(room, user))),
    events: (await archive.events(room, ALL)).map(({ seq, tag, bytes }) => [
      seq,
      tag,
      Buffer.from(bytes).toString("hex"),
    ]),
    seqs: await Promise.all([1, 2, 5].map((seq) => archive.seqOf(room, `${room.roomId}:${seq}`))),
    messages: messages.map((page) => page.map((each) => [each.messageIndex, each.created?.seq, each.document])),
  };
}

it("answers as the memory engine does", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 25 }), async (steps) => {
      const directory = await makeDirectory();
      const open = () => EmbeddedStore.open({ directory, shards: 1, clock: new StoppedClock() });
      const memory = new MemoryEngine({ shards: 1 });
      const owner = new Owner();
      const stored: ArchiveChanges[] = [];
      let store = await open();
      try {
        for (const step of steps) {
          if (step.kind === "reopen") {
            await store.close();
            store = await open();
          } else if (step.kind === "purge") {
            const room = rooms[step.room] ?? roomRef("t", "a");
            const through = Math.min(step.through, owner.top(step.room));
            await Promise.all([memory, store].map(({ archive }) => archive.purge(room, through)));
          } else if (step.kind === "again") {
            const changes = stored[step.which % Math.max(stored.length, 1)];
            if (changes === undefined) continue;
            const before = await look(store);
            await Promise.all([memory, store].map(({ archive }) => archive.apply(0, owner.end, changes)));
            expect(await look(store)).toEqual(before);
          } else {
            const { batch, accept } = owner.batch(step);
            const at = owner.end + step.offBy;
            const [expected, outcome] = await Promise.all([memory, store].map(({ log }) => log.append(0, at, batch)));
            expect(outcome).toEqual(expected);
            if (outcome?.status === "durable") {
              accept();
              stored.push(batch.changes);
            }
          }
        }
        expect(await look(store)).toEqual(await look(memory));
      } finally {
        await store.close();
        await rm(directory, { recursive: true });
      }
    }),
    { numRuns: 60 },
  );
});
