// What becomes of documents that MongoDB refuses for good: too long ones, and ones that an index of somebody else's does not let in.

import { randomUUID } from "node:crypto";
import { expect, it, onTestFinished } from "vitest";
import { connectMongo } from "../../../src/adapters/cluster/mongo.js";
import { MongoArchive } from "../../../src/adapters/cluster/mongo-archive.js";
import type { Refusal } from "../../../src/adapters/cluster/mongo-set-aside.js";
import type { ArchiveChanges } from "../../../src/ports/archive.js";
import type { RoomRef } from "../../../src/ports/room-ref.js";
import { shardOf } from "../../../src/ports/shard.js";
import {
  ALL,
  CREATED_AT_MS,
  changesOf,
  eventChange,
  eventScrub,
  memberDocument,
  messageChange,
  newRoom,
  roomDocument,
} from "../../contract/samples.js";
import { describeWith } from "../../support/services/describe-with.js";

const SHARDS = 3;
/** More than a document of MongoDB may hold, in bytes. */
const TOO_LONG = 17 * 1024 * 1024;

describeWith("mongo", "documents that MongoDB refuses for good", (url) => {
  async function open() {
    const database = `t-${randomUUID()}`;
    const connection = await connectMongo({ url, database, shards: SHARDS });
    onTestFinished(() => connection.close());
    const refusals: Refusal[] = [];
    const { collections } = connection;
    const archive = new MongoArchive(collections, (refusal) => refusals.push(refusal));
    /** Another node, which takes the room's shard over. */
    const takeOver = async (room: RoomRef) => {
      const next = new MongoArchive(collections, (refusal) => refusals.push(refusal));
      await next.archived(shardOf(room.key, SHARDS));
      return next;
    };
    let end = 0;
    const apply = async (room: RoomRef, changes: Partial<ArchiveChanges>, by = archive): Promise<void> => {
      end += changes.events?.length ?? 0;
      await by.apply(shardOf(room.key, SHARDS), end, changesOf(changes));
    };
    return { archive, collections, refusals, takeOver, apply };
  }

  /** Two events of a collection with the same time: the second is refused. */
  const sameTime = { createdAtMs: CREATED_AT_MS };

  it("sets an event aside that an index does not let in, and shows it in its place", async () => {
    const { archive, collections, refusals, takeOver, apply } = await open();
    await collections.events.createIndex({ at: 1 }, { unique: true });
    const room = newRoom();
    const events = [1, 2, 3, 4].map((seq) => eventChange(room, seq, seq === 2 || seq === 4 ? sameTime : {}));
    await apply(room, { events, rooms: [{ room, document: roomDocument(room, 4) }] });
    expect(refusals.map(({ collection, seq, room: { key } }) => ({ collection, seq, key }))).toEqual([
      { collection: "events", seq: 4, key: room.key },
    ]);
    for (const reader of [archive, await takeOver(room)]) {
      const read = await reader.events(room, ALL);
      expect(read.map(({ seq, bytes }) => [seq, Buffer.from(bytes)])).toEqual(
        events.map(({ event: { seq, bytes } }) => [seq, Buffer.from(bytes)]),
      );
      expect((await reader.events(room, { ...ALL, from: 4 })).map(({ seq }) => seq)).toEqual([4]);
      expect((await reader.events(room, { ...ALL, limit: 3 })).map(({ seq }) => seq)).toEqual([1, 2, 3]);
      expect((await reader.events(room, { ...ALL, maxBytes: 1 })).map(({ seq }) => seq)).toEqual([1]);
      expect(await reader.seqOf(room, `${room.roomId}:4`)).toBe(4);
      expect((await reader.message(room, `${room.roomId}:4`))?.created?.seq).toBe(4);
      const messages = await reader.messages(room, { afterIndex: 0, limit: 10 });
      expect(messages.map(({ messageIndex, created }) => [messageIndex, created?.seq])).toEqual(
        [1, 2, 3, 4].map((seq) => [seq, seq]),
      );
    }
    expect(await archive.archived(shardOf(room.key, SHARDS))).toBe(4);
  });

  it("tells of a refusal once, whoever repeats the write", async () => {
    const { collections, refusals, takeOver, apply } = await open();
    await collections.events.createIndex({ at: 1 }, { unique: true });
    const room = newRoom();
    const events = [1, 2].map((seq) => eventChange(room, seq, sameTime));
    await apply(room, { events });
    await apply(room, { events }, await takeOver(room));
    expect(refusals).toHaveLength(1);
  });

  it("sets two events of one id aside instead of losing one", async () => {
    const { archive, refusals, apply } = await open();
    const room = newRoom();
    const twice = { ...eventChange(room, 2), eventId: `${room.roomId}:1` };
    await apply(room, { events: [eventChange(room, 1), twice, eventChange(room, 3)] });
    expect((await archive.events(room, ALL)).map(({ seq }) => seq)).toEqual([1, 2, 3]);
    expect(refusals.map(({ seq }) => seq)).toEqual([2]);
    expect(await archive.seqOf(room, `${room.roomId}:1`)).toBe(1);
  });

  it("keeps in parts what is too long for a document", async () => {
    const { archive, refusals, takeOver, apply } = await open();
    const room = newRoom();
    const long = eventChange(room, 2, { text: "x".repeat(TOO_LONG) });
    await apply(room, { events: [eventChange(room, 1), long, eventChange(room, 3)] });
    expect(refusals.map(({ seq }) => seq)).toEqual([2]);
    for (const reader of [archive, await takeOver(room)]) {
      const read = await reader.events(room, ALL);
      expect(read.map(({ seq }) => seq)).toEqual([1, 2, 3]);
      expect(Buffer.compare(read[1]?.bytes ?? Buffer.of(), long.event.bytes)).toBe(0);
    }
  });

  it("takes the content of an event away that was set aside", async () => {
    const { archive, collections, apply } = await open();
    const room = newRoom();
    const long = eventChange(room, 1, { text: `secret${"x".repeat(TOO_LONG)}` });
    await apply(room, { events: [long] });
    await apply(room, { scrubs: [eventScrub(room, 1)] });
    const [event] = await archive.events(room, ALL);
    expect(Buffer.from(event?.bytes ?? [])).toEqual(Buffer.from(eventScrub(room, 1).event.bytes));
    expect(await collections.setAside.countDocuments({})).toBe(1);
    // Repeated, as after a crash: what was taken away stays away.
    await apply(room, { events: [long] });
    expect((await archive.events(room, ALL))[0]?.bytes.length).toBe(event?.bytes.length);
  });

  it("removes what was set aside with what is purged", async () => {
    const { archive, collections, apply } = await open();
    await collections.events.createIndex({ at: 1 }, { unique: true });
    const room = newRoom();
    await apply(room, { events: [1, 2, 3].map((seq) => eventChange(room, seq, sameTime)) });
    await archive.purge(room, 2);
    expect((await archive.events(room, ALL)).map(({ seq }) => seq)).toEqual([3]);
    expect(await collections.setAside.countDocuments({})).toBe(1);
  });

  it("goes on with a message that has grown too long, and again once it is short", async () => {
    const { archive, takeOver, collections, apply } = await open();
    const room = newRoom();
    await apply(room, { events: [eventChange(room, 1), eventChange(room, 2)] });
    const change = messageChange(room, 1, 1, 3);
    const kind = change.document.message?.body?.kind;
    if (kind?.case === "text") kind.value = "x".repeat(TOO_LONG);
    await apply(room, { messages: [change] });
    for (const reader of [archive, await takeOver(room)]) {
      expect((await reader.message(room, `${room.roomId}:1`))?.document).toEqual(change.document);
      const read = await reader.messages(room, { afterIndex: 0, limit: 10 });
      expect(read.map(({ messageIndex, document }) => [messageIndex, document?.appliedSeq])).toEqual([
        [1, 3],
        [2, undefined],
      ]);
    }
    const short = messageChange(room, 1, 1, 4);
    await apply(room, { messages: [short] });
    expect((await archive.message(room, `${room.roomId}:1`))?.document).toEqual(short.document);
    expect(await collections.setAside.countDocuments({})).toBe(0);
  });

  it("keeps a room's and a member's document that are refused", async () => {
    const { archive, collections, takeOver, apply } = await open();
    await collections.rooms.createIndex({ seq: 1 }, { unique: true });
    await collections.members.createIndex({ seq: 1 }, { unique: true });
    const [room, other] = [newRoom(), newRoom()];
    await apply(other, {
      rooms: [{ room: other, document: roomDocument(other, 7) }],
      members: [{ room: other, document: memberDocument("ada", 7) }],
    });
    await apply(room, {
      events: [eventChange(room, 1)],
      rooms: [{ room, document: roomDocument(room, 7) }],
      members: [
        { room, document: memberDocument("ada", 7) },
        { room, document: memberDocument("bob", 8) },
      ],
    });
    for (const reader of [archive, await takeOver(room)]) {
      expect(await reader.room(room)).toEqual(roomDocument(room, 7));
      expect(await reader.member(room, "ada")).toEqual(memberDocument("ada", 7));
      const page = await reader.members(room, { after: "", limit: 10 });
      expect(page.map(({ member }) => member?.userId)).toEqual(["ada", "bob"]);
    }
    await apply(room, {
      rooms: [{ room, document: roomDocument(room, 9) }],
      members: [{ room, document: memberDocument("ada", 9, true) }],
    });
    expect((await archive.room(room))?.appliedSeq).toBe(9);
    const page = await archive.members(room, { after: "", limit: 10 });
    expect(page.map(({ member }) => member?.userId)).toEqual(["bob"]);
  });
});
