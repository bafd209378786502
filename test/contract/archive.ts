// What every archive must do: the guarantees of src/ports/archive.ts, as tests.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { MarkerDocumentSchema } from "../../src/gen/trunkline/store/v1/documents_pb.js";
import { RoomKind, type RoomSchema, RoomStatus } from "../../src/gen/trunkline/v1/message_pb.js";
import type { Archive, ArchiveChanges, IdleLook, MessageRange } from "../../src/ports/archive.js";
import { type RoomRef, roomRef } from "../../src/ports/room-ref.js";
import { shardOf } from "../../src/ports/shard.js";
import { TermOver } from "../../src/ports/term.js";
import {
  ALL,
  changesOf,
  eventChange,
  eventScrub,
  memberDocument,
  messageChange,
  newRoom,
  roomDocument,
  sampleBatch,
  tagOf,
} from "./samples.js";

export interface ArchiveSubject {
  readonly archive: Archive;
  /** How many the store has. */
  readonly shards: number;
  close(): Promise<void>;
}

/** The engine behind `factory` starts empty or not; it must have at least 2 shards. */
export function describeArchive(name: string, factory: () => Promise<ArchiveSubject>): void {
  describe(`the archive of ${name}`, () => {
    let subject: ArchiveSubject;
    let archive: Archive;
    let end = 0;
    beforeAll(async () => {
      subject = await factory();
      archive = subject.archive;
      end = await archive.archived(0);
    });
    afterAll(() => subject.close());

    /** All that there are, but for those. */
    function shards(...without: readonly number[]): readonly number[] {
      return Array.from({ length: subject.shards }, (_, shard) => shard).filter((shard) => !without.includes(shard));
    }

    /** Two rooms that are in two shards, and a room under the first. */
    function apart(): readonly [RoomRef, RoomRef, RoomRef] {
      const one = newRoom();
      for (;;) {
        const other = newRoom();
        if (shardOf(one.key, subject.shards) === shardOf(other.key, subject.shards)) continue;
        return [one, other, roomRef(one.tenantId, `${one.roomId}~under`)];
      }
    }

    /** Applies changes as the next ones of shard 0. */
    async function apply(changes: Partial<ArchiveChanges>): Promise<void> {
      end += changes.events?.length ?? 0;
      await archive.apply(0, end, changesOf(changes));
    }

    async function roomWith(events: number): Promise<RoomRef> {
      const room = newRoom();
      await apply(sampleBatch(room, 1, events).changes);
      return room;
    }

    async function seqs(room: RoomRef, range: Partial<typeof ALL> = {}): Promise<readonly number[]> {
      return (await archive.events(room, { ...ALL, ...range })).map(({ seq }) => seq);
    }

    async function indexes(room: RoomRef, range: MessageRange): Promise<readonly number[]> {
      return (await archive.messages(room, range)).map(({ messageIndex }) => messageIndex);
    }

    async function memberIds(room: RoomRef, after = "", limit = 100): Promise<readonly string[]> {
      return (await archive.members(room, { after, limit })).map(({ member }) => member?.userId ?? "");
    }

    it("knows nothing of a room that never was", async () => {
      const room = newRoom();
      expect(await archive.room(room)).toBeUndefined();
      expect(await archive.member(room, "ada")).toBeUndefined();
      expect(await memberIds(room)).toEqual([]);
      expect(await seqs(room)).toEqual([]);
      expect(await archive.seqOf(room, "e")).toBeUndefined();
      expect(await indexes(room, { afterIndex: 0, limit: 10 })).toEqual([]);
      expect(await indexes(room, { beforeIndex: 10, limit: 10 })).toEqual([]);
    });

    it("gives events by position, byte for byte", async () => {
      const room = newRoom();
      const { changes } = sampleBatch(room, 1, 5);
      await apply(changes);
      const events = await archive.events(room, { ...ALL, from: 2, to: 4 });
      expect(events.map(({ seq, tag }) => ({ seq, tag }))).toEqual([2, 3, 4].map((seq) => ({ seq, tag: tagOf(seq) })));
      expect(events.map(({ bytes }) => Buffer.from(bytes).toString("hex"))).toEqual(
        changes.events.slice(1, 4).map(({ event }) => Buffer.from(event.bytes).toString("hex")),
      );
      expect(events[0]?.event.eventId).toBe(`${room.roomId}:2`);
    });

    it("ends a page of events at its limit", async () => {
      const room = await roomWith(300);
      expect(await seqs(room, { limit: 2 })).toEqual([1, 2]);
      expect(await seqs(room, { from: 255, limit: 3 })).toEqual([255, 256, 257]);
      expect(await seqs(room, { from: 299 })).toEqual([299, 300]);
      expect(await seqs(room, { from: 301 })).toEqual([]);
      expect(await seqs(room, { limit: 0 })).toEqual([]);
      expect(await seqs(room, { from: 5, to: 4 })).toEqual([]);
    });

    it("ends a page of events with the one that brings it to its bytes", async () => {
      const room = await roomWith(10);
      const [first] = await archive.events(room, { ...ALL, limit: 1 });
      const size = first?.bytes.length ?? 0;
      expect(await seqs(room, { maxBytes: 1 })).toEqual([1]);
      expect(await seqs(room, { maxBytes: size })).toEqual([1]);
      expect(await seqs(room, { maxBytes: size + 1 })).toEqual([1, 2]);
    });

    it("finds an event's position by its id, within its room only", async () => {
      const room = await roomWith(3);
      expect(await archive.seqOf(room, `${room.roomId}:2`)).toBe(2);
      expect(await archive.seqOf(room, `${room.roomId}:4`)).toBeUndefined();
      expect(await archive.seqOf(newRoom(), `${room.roomId}:2`)).toBeUndefined();
    });

    it("keeps rooms apart whose names begin alike, and rooms of other tenants", async () => {
      const room = await roomWith(2);
      const longer = { ...room, roomId: `${room.roomId}-more`, key: `${room.key}-more` };
      const foreign = { ...room, tenantId: "acme-2", key: `acme-2/${room.roomId}` };
      await apply({ events: [eventChange(longer, 1), eventChange(foreign, 1), eventChange(foreign, 2)] });
      await apply({ rooms: [{ room: foreign, document: roomDocument(foreign, 2, "foreign") }] });
      expect(await seqs(room)).toEqual([1, 2]);
      expect(await seqs(longer)).toEqual([1]);
      expect((await archive.room(room))?.room?.name).toBe("as of 2");
      expect((await archive.room(foreign))?.room?.name).toBe("foreign");
      expect(await archive.room(longer)).toBeUndefined();
    });

    it("lists the rooms under one that were not deleted, in order and page by page", async () => {
      const root = newRoom();
      const under = (name: string) => roomRef(root.tenantId, `${root.roomId}~${name}`);
      const write = async (name: string, appliedSeq: number, status = RoomStatus.ACTIVE) => {
        const room = under(name);
        const document = roomDocument(room, appliedSeq);
        Object.assign(document.room ?? {}, { parentId: root.roomId, status });
        await apply({ rooms: [{ room, document }] });
      };
      expect(await archive.subRooms(root, { after: "", limit: 10 })).toEqual([]);
      for (const name of ["c", "a", "b"]) await write(name, 1);
      const ids = ["a", "b", "c"].map((name) => under(name).roomId);
      expect(await archive.subRooms(root, { after: "", limit: 10 })).toEqual(ids);
      expect(await archive.subRooms(root, { after: "", limit: 2 })).toEqual(ids.slice(0, 2));
      expect(await archive.subRooms(root, { after: under("a").roomId, limit: 10 })).toEqual(ids.slice(1));
      await write("b", 2, RoomStatus.DELETED);
      expect(await archive.subRooms(root, { after: "", limit: 10 })).toEqual([ids[0], ids[2]]);
      // What is older than the deletion brings nothing back.
      await write("b", 1);
      expect(await archive.subRooms(root, { after: "", limit: 10 })).toEqual([ids[0], ids[2]]);
      expect(await archive.subRooms(roomRef("another", root.roomId), { after: "", limit: 10 })).toEqual([]);
    });

    it("counts a tenant's rooms, but for inboxes and deleted ones", async () => {
      const { roomId: tenantId } = newRoom();
      const write = async (roomId: string, appliedSeq: number, differing: MessageInitShape<typeof RoomSchema> = {}) => {
        const room = roomRef(tenantId, roomId);
        const document = roomDocument(room, appliedSeq);
        Object.assign(document.room ?? {}, differing);
        await apply({ rooms: [{ room, document }] });
      };
      expect(await archive.countRooms(tenantId)).toBe(0);
      await write("group", 1, { kind: RoomKind.GROUP });
      await write("~d.direct", 1, { kind: RoomKind.DIRECT });
      await write("group~under", 1, { kind: RoomKind.GROUP, parentId: "group" });
      await write("~i.inbox", 1, { kind: RoomKind.INBOX });
      await write("archived", 1, { status: RoomStatus.ARCHIVED });
      expect(await archive.countRooms(tenantId)).toBe(4);
      await write("group~under", 2, { kind: RoomKind.GROUP, parentId: "group", status: RoomStatus.DELETED });
      await write("archived", 2, { status: RoomStatus.DELETED });
      expect(await archive.countRooms(tenantId)).toBe(2);
      // What is older than the deletion brings nothing back, and a change of a room makes no second one.
      await write("archived", 1);
      await write("group", 2, { kind: RoomKind.GROUP });
      expect(await archive.countRooms(tenantId)).toBe(2);
      expect(await archive.countRooms(tenantId.slice(0, -1))).toBe(0);
      expect(await archive.countRooms(`${tenantId}0`)).toBe(0);
    });

    it("counts rooms that are very many", async () => {
      const { roomId: tenantId } = newRoom();
      const rooms = Array.from({ length: 600 }, (_, index) => {
        const room = roomRef(tenantId, `r${index}`);
        return { room, document: roomDocument(room, 1) };
      });
      await apply({ rooms });
      expect(await archive.countRooms(tenantId)).toBe(600);
    });

    it("replaces a document only by one that knows more events", async () => {
      const room = newRoom();
      await apply({
        events: [eventChange(room, 1)],
        rooms: [{ room, document: roomDocument(room, 5, "five") }],
        members: [{ room, document: memberDocument("ada", 5) }],
        messages: [messageChange(room, 1, 1, 5)],
      });
      await apply({
        rooms: [{ room, document: roomDocument(room, 4, "four") }],
        members: [{ room, document: memberDocument("ada", 4, true) }],
        messages: [messageChange(room, 1, 1, 4)],
      });
      expect((await archive.room(room))?.room?.name).toBe("five");
      expect((await archive.member(room, "ada"))?.left).toBe(false);
      expect(await memberIds(room)).toEqual(["ada"]);
      const [message] = await archive.messages(room, { afterIndex: 0, limit: 1 });
      expect(message?.document?.appliedSeq).toBe(5);
      await apply({ rooms: [{ room, document: roomDocument(room, 6, "six") }] });
      expect((await archive.room(room))?.room?.name).toBe("six");
    });

    it("changes nothing when the same changes come again", async () => {
      const room = newRoom();
      const changes: Partial<ArchiveChanges> = {
        ...sampleBatch(room, 1, 3).changes,
        members: [{ room, document: memberDocument("ada", 2) }],
        messages: [messageChange(room, 1, 1, 3)],
      };
      await apply(changes);
      const before = await everything(archive, room);
      await archive.apply(0, end, changesOf(changes));
      await archive.apply(0, end, changesOf(changes));
      expect(await everything(archive, room)).toEqual(before);
    });

    it("pages the members who are present by user id, also past those who left", async () => {
      const room = newRoom();
      const ids = ["zoe", "ada", "Bob", "bob", "b.b", "b-b", "carl:1", "~x", "0"];
      await apply({ members: ids.map((id, index) => ({ room, document: memberDocument(id, index + 1) })) });
      await apply({ members: [{ room, document: memberDocument("bob", 20, true) }] });
      const present = ids.filter((id) => id !== "bob").sort((a, b) => (a < b ? -1 : 1));
      expect(await memberIds(room)).toEqual(present);
      const first = await memberIds(room, "", 3);
      const second = await memberIds(room, first.at(-1), 3);
      const third = await memberIds(room, second.at(-1), 3);
      expect([...first, ...second, ...third]).toEqual(present);
      expect(await memberIds(room, "", 0)).toEqual([]);
      expect((await archive.member(room, "bob"))?.left).toBe(true);
    });

    it("has back who left and joins again", async () => {
      const room = newRoom();
      await apply({ members: [{ room, document: memberDocument("ada", 1) }] });
      await apply({ members: [{ room, document: memberDocument("ada", 2, true) }] });
      expect(await memberIds(room)).toEqual([]);
      await apply({ members: [{ room, document: memberDocument("ada", 3) }] });
      expect(await memberIds(room)).toEqual(["ada"]);
      expect((await archive.member(room, "ada"))?.appliedSeq).toBe(3);
    });

    it("pages the rooms a user is in now", async () => {
      const userId = `user-${newRoom().roomId}`;
      const rooms = [newRoom(), newRoom(), newRoom()];
      for (const room of rooms) await apply({ members: [{ room, document: memberDocument(userId, 1) }] });
      await apply({ members: [{ room: newRoom(), document: memberDocument(`${userId}2`, 1) }] });
      await apply({ members: [{ room: newRoom("other"), document: memberDocument(userId, 1) }] });
      const ids = rooms.map(({ roomId }) => roomId).sort((a, b) => (a < b ? -1 : 1));
      const roomsOf = (after: string, limit: number) => archive.roomsOf("acme", userId, { after, limit });
      expect(await roomsOf("", 10)).toEqual(ids);
      expect(await roomsOf("", 2)).toEqual(ids.slice(0, 2));
      expect(await roomsOf(ids[1] ?? "", 2)).toEqual(ids.slice(2));
      const [leftRoom] = rooms;
      if (leftRoom) await apply({ members: [{ room: leftRoom, document: memberDocument(userId, 2, true) }] });
      expect(await roomsOf("", 10)).toEqual(ids.filter((id) => id !== leftRoom?.roomId));
    });

    it("pages messages in both directions, in rising order", async () => {
      const room = newRoom();
      // Every other event creates a message: index and seq differ.
      const events = Array.from({ length: 20 }, (_, index) => {
        return eventChange(room, index + 1, { messageIndex: index % 2 === 0 ? index / 2 + 1 : 0 });
      });
      await apply({ events });
      expect(await indexes(room, { afterIndex: 0, limit: 3 })).toEqual([1, 2, 3]);
      expect(await indexes(room, { afterIndex: 3, limit: 100 })).toEqual([4, 5, 6, 7, 8, 9, 10]);
      expect(await indexes(room, { afterIndex: 10, limit: 3 })).toEqual([]);
      expect(await indexes(room, { beforeIndex: 11, limit: 3 })).toEqual([8, 9, 10]);
      expect(await indexes(room, { beforeIndex: 0xffffffff, limit: 2 })).toEqual([9, 10]);
      expect(await indexes(room, { beforeIndex: 3, limit: 10 })).toEqual([1, 2]);
      expect(await indexes(room, { beforeIndex: 1, limit: 10 })).toEqual([]);
      expect(await indexes(room, { beforeIndex: 0, limit: 10 })).toEqual([]);
      expect(await indexes(room, { beforeIndex: 5, limit: 0 })).toEqual([]);
      const [message] = await archive.messages(room, { afterIndex: 1, limit: 1 });
      expect(message?.created?.seq).toBe(3);
      expect(message?.document).toBeUndefined();
    });

    it("gives a message that has changed with its document and its creating event", async () => {
      const room = await roomWith(3);
      await apply({ events: [eventChange(room, 4, { messageIndex: 0 })], messages: [messageChange(room, 2, 2, 4)] });
      const messages = await archive.messages(room, { afterIndex: 0, limit: 10 });
      expect(messages.map(({ messageIndex }) => messageIndex)).toEqual([1, 2, 3]);
      expect(messages.map(({ document }) => document?.appliedSeq)).toEqual([undefined, 4, undefined]);
      expect(messages.map(({ created }) => created?.seq)).toEqual([1, 2, 3]);
    });

    it("does not take a message back whose creating event is no longer kept", async () => {
      const room = await roomWith(5);
      await archive.purge(room, 3);
      await apply({ messages: [messageChange(room, 2, 2, 6), messageChange(room, 4, 4, 6)] });
      expect(await indexes(room, { afterIndex: 0, limit: 10 })).toEqual([4, 5]);
      expect((await archive.message(room, `${room.roomId}:4`))?.document?.appliedSeq).toBe(6);
    });

    it("takes a message that is created and changed by the same changes", async () => {
      const room = newRoom();
      await apply({ ...sampleBatch(room, 1, 2).changes, messages: [messageChange(room, 1, 1, 2)] });
      const [message] = await archive.messages(room, { afterIndex: 0, limit: 1 });
      expect(message?.created?.seq).toBe(1);
      expect(message?.document?.appliedSeq).toBe(2);
    });

    it("finds a message by its id, within its room only", async () => {
      const room = await roomWith(3);
      await apply({ events: [eventChange(room, 4, { messageIndex: 0 })], messages: [messageChange(room, 2, 2, 4)] });
      const found = await archive.message(room, `${room.roomId}:2`);
      expect(found).toMatchObject({ messageIndex: 2, created: { seq: 2 }, document: { appliedSeq: 4 } });
      expect((await archive.message(room, `${room.roomId}:1`))?.document).toBeUndefined();
      expect(await archive.message(room, `${room.roomId}:4`)).toBeUndefined();
      expect(await archive.message(room, `${room.roomId}:5`)).toBeUndefined();
      expect(await archive.message(newRoom(), `${room.roomId}:2`)).toBeUndefined();
    });

    it("scrubs an event wherever it is read, and keeps its place", async () => {
      const room = await roomWith(3);
      await apply({ events: [eventChange(room, 4)], scrubs: [eventScrub(room, 2), eventScrub(room, 4)] });
      const events = await archive.events(room, ALL);
      const texts = events.map(({ event }) => textLength(event.kind) !== undefined && JSON.stringify(event.kind));
      expect(texts.map((text) => String(text).includes("text "))).toEqual([true, false, true, false]);
      expect(events.map(({ seq, tag }) => ({ seq, tag }))).toEqual(
        [1, 2, 3, 4].map((seq) => ({ seq, tag: tagOf(seq) })),
      );
      expect(await archive.seqOf(room, `${room.roomId}:2`)).toBe(2);
      const message = await archive.message(room, `${room.roomId}:2`);
      expect(message?.created?.event.kind).toMatchObject({ case: "messageCreated", value: { messageIndex: 2 } });
      expect(JSON.stringify(message?.created?.event.kind)).not.toContain("text ");
    });

    it("tells which messages of a room the user of an inbox has hidden, in order", async () => {
      const [inbox, other] = [newRoom(), newRoom()];
      const hide = (inbox: RoomRef, roomId: string, ...indexes: readonly number[]) =>
        apply({ hidden: indexes.map((messageIndex) => ({ inbox, roomId, messageIndex })) });
      await hide(inbox, "r", 300, 7, 256);
      await hide(inbox, "r", 7, 9);
      await hide(inbox, "r2", 8);
      await hide(other, "r", 10);
      expect(await archive.hidden(inbox, "r", 1, 1_000)).toEqual([7, 9, 256, 300]);
      expect(await archive.hidden(inbox, "r", 9, 256)).toEqual([9, 256]);
      expect(await archive.hidden(inbox, "r", 10, 9)).toEqual([]);
      expect(await archive.hidden(other, "r2", 1, 1_000)).toEqual([]);
    });

    it("scrubs nothing that is no longer kept", async () => {
      const room = await roomWith(3);
      await archive.purge(room, 2);
      await apply({ scrubs: [eventScrub(room, 2)] });
      expect(await seqs(room)).toEqual([3]);
    });

    it("tells which messages have expired, the earliest first, until they are scrubbed or purged", async () => {
      const room = newRoom();
      // Before all that other tests may have left.
      const expiring = [3_000, 1_000, 2_000, undefined].map((expiresAtMs, index) =>
        eventChange(room, index + 1, expiresAtMs === undefined ? {} : { expiresAtMs }),
      );
      await apply({ events: expiring });
      const expired = async (beforeMs: number, limit = 10) =>
        (await archive.expired(shards(), beforeMs, limit)).map(({ room: { key }, messageId }) => {
          expect(key).toBe(room.key);
          return messageId.slice(room.roomId.length + 1);
        });
      expect(await expired(1_000)).toEqual([]);
      expect(await expired(2_001)).toEqual(["2", "3"]);
      expect(await expired(9_000)).toEqual(["2", "3", "1"]);
      expect(await expired(9_000, 1)).toEqual(["2"]);
      await apply({ scrubs: [eventScrub(room, 2)] });
      expect(await expired(9_000)).toEqual(["3", "1"]);
      await archive.purge(room, 3);
      expect(await expired(9_000)).toEqual([]);
    });

    it("keeps when to look at which room, the earliest first, until that is moved", async () => {
      const [one, other] = [newRoom(), newRoom()];
      const at = (room: RoomRef, atMs: number): IdleLook => ({ room, atMs });
      const looks = async (beforeMs: number, limit = 10) =>
        (await archive.idleLooks(shards(), beforeMs, limit)).map(({ room, atMs }) => {
          expect([one.key, other.key]).toContain(room.key);
          return `${room.key === one.key ? "one" : "other"} ${atMs}`;
        });
      await apply({ idleLooks: [at(one, 3_000), at(other, 2_000), at(one, 1_000)] });
      // Asked for again: there is one of each.
      await apply({ idleLooks: [at(one, 3_000)] });
      expect(await looks(1_000)).toEqual([]);
      expect(await looks(2_001)).toEqual(["one 1000", "other 2000"]);
      expect(await looks(9_000, 1)).toEqual(["one 1000"]);
      await archive.moveIdleLooks([at(one, 1_000), at(other, 2_000)], [at(one, 4_000), at(other, 2_000)]);
      expect(await looks(9_000)).toEqual(["other 2000", "one 3000", "one 4000"]);
      await archive.moveIdleLooks([at(one, 1_000), at(other, 2_000)], [at(one, 4_000)]);
      expect(await looks(9_000)).toEqual(["one 3000", "one 4000"]);
      await archive.moveIdleLooks([at(one, 3_000), at(one, 4_000)], []);
      expect(await looks(9_000)).toEqual([]);
    });

    it("tells of the shards it is asked for alone what has expired and which rooms are to be looked at, however much there is in others", async () => {
      const [one, other, under] = apart();
      const here = [shardOf(one.key, subject.shards)];
      const seqs = Array.from({ length: 30 }, (_, index) => index + 1);
      await apply({ events: seqs.map((seq) => eventChange(other, seq, { expiresAtMs: seq })) });
      await apply({ events: [one, under].map((room) => eventChange(room, 1, { expiresAtMs: 500 })) });
      await apply({ idleLooks: seqs.map((atMs) => ({ room: other, atMs })) });
      await archive.moveIdleLooks([], [{ room: one, atMs: 500 }]);
      await apply({ idleLooks: [{ room: under, atMs: 500 }] });
      const find = {
        expired: async (wanted: readonly number[], limit: number) => await archive.expired(wanted, 1_000, limit),
        looks: async (wanted: readonly number[], limit: number) => await archive.idleLooks(wanted, 1_000, limit),
      };
      for (const what of ["expired", "looks"] as const) {
        const rooms = async (wanted: readonly number[], limit: number) =>
          (await find[what](wanted, limit)).map(({ room }) => room.key);
        expect((await rooms(here, 2)).sort()).toEqual([one.key, under.key]);
        expect(await rooms(shards(...here), 2)).toEqual([other.key, other.key]);
        expect(await rooms([], 10)).toEqual([]);
        expect(await rooms(shards(), 100)).toHaveLength(32);
      }
      await apply({ scrubs: seqs.map((seq) => eventScrub(other, seq)) });
      await apply({ scrubs: [one, under].map((room) => eventScrub(room, 1)) });
      const looks = await archive.idleLooks(shards(), 1_000, 100);
      await archive.moveIdleLooks(looks, []);
      expect(await archive.expired(shards(), 1_000, 10)).toEqual([]);
      expect(await archive.idleLooks(shards(), 1_000, 10)).toEqual([]);
    });

    it("takes looks far in the future", async () => {
      const room = newRoom();
      const look = { room, atMs: 8_640_000_000_000 };
      await apply({ idleLooks: [look] });
      expect(await archive.idleLooks(shards(), look.atMs, 10)).toEqual([]);
      expect(await archive.idleLooks(shards(), look.atMs + 1, 10)).toMatchObject([
        { room: { key: room.key }, atMs: look.atMs },
      ]);
      await archive.moveIdleLooks([look], []);
      expect(await archive.idleLooks(shards(), look.atMs + 1, 10)).toEqual([]);
    });

    it("lists the rooms of all tenants by page", async () => {
      const made = [newRoom("last"), newRoom("last"), newRoom("last-but-one"), newRoom("last.one")];
      await apply({ rooms: made.map((room) => ({ room, document: roomDocument(room, 1) })) });
      const found: string[] = [];
      for (let after = "last"; ; ) {
        const page = await archive.rooms({ after, limit: 3 });
        found.push(...page.map(({ tenantId, room }) => `${tenantId}/${room?.roomId}`));
        if (page.length < 3) break;
        after = found.at(-1) ?? "";
      }
      expect(found).toEqual(found.toSorted());
      const keys = made.map(({ key }) => key);
      expect(found.filter((key) => keys.includes(key))).toEqual(keys.toSorted());
      expect(await archive.rooms({ after: "", limit: 0 })).toEqual([]);
      expect(await archive.rooms({ after: "", limit: 1 })).toHaveLength(1);
    });

    it("keeps a user's marker, and replaces it only by one that has moved more often", async () => {
      const room = newRoom();
      const marker = (userId: string, revision: number, readSeq: number) => ({
        room,
        document: create(MarkerDocumentSchema, {
          userId,
          revision,
          readSeq,
          stepReadSeqs: [readSeq],
          stepAtMs: [1.5e12],
        }),
      });
      expect(await archive.marker(room, "ada")).toBeUndefined();
      await archive.putMarkers([marker("ada", 2, 5), marker("bob", 1, 1)]);
      await archive.putMarkers([marker("ada", 1, 9), marker("ada", 2, 9)]);
      expect(await archive.marker(room, "ada")).toMatchObject({ revision: 2, readSeq: 5, stepAtMs: [1.5e12] });
      await Promise.all([archive.putMarkers([marker("ada", 4, 8)]), archive.putMarkers([marker("ada", 3, 7)])]);
      await archive.putMarkers([marker("bob", 3, 3), marker("bob", 2, 2)]);
      expect(await archive.marker(room, "ada")).toMatchObject({ revision: 4, readSeq: 8 });
      expect(await archive.marker(room, "bob")).toMatchObject({ revision: 3, readSeq: 3 });
      expect(await archive.marker(newRoom(), "ada")).toBeUndefined();
    });

    it("names those who have marked a room, page by page, once each and members or not", async () => {
      const room = newRoom();
      const marker = (userId: string, revision = 1) => ({
        room,
        document: create(MarkerDocumentSchema, { userId, revision, readSeq: 1 }),
      });
      expect(await archive.markedBy(room, { after: "", limit: 10 })).toEqual([]);
      await archive.putMarkers([marker("eve"), marker("ada"), marker("bob")]);
      await archive.putMarkers([marker("ada", 2)]);
      await archive.putMarkers([{ ...marker("zoe"), room: newRoom() }]);
      expect(await archive.markedBy(room, { after: "", limit: 10 })).toEqual(["ada", "bob", "eve"]);
      expect(await archive.markedBy(room, { after: "", limit: 2 })).toEqual(["ada", "bob"]);
      expect(await archive.markedBy(room, { after: "bo", limit: 2 })).toEqual(["bob", "eve"]);
      expect(await archive.markedBy(room, { after: "bob", limit: 2 })).toEqual(["eve"]);
      expect(await archive.markedBy(room, { after: "eve", limit: 2 })).toEqual([]);
      expect(await archive.markedBy(room, { after: "", limit: 0 })).toEqual([]);
    });

    it("counts what a user has sent between two places", async () => {
      const room = await roomWith(5);
      const other = newRoom();
      await apply(sampleBatch(other, 1, 3, { messageIndex: 0 }).changes);
      expect(await archive.sentBy(room, "ada", 0, 5)).toBe(5);
      expect(await archive.sentBy(room, "ada", 2, 4)).toBe(2);
      expect(await archive.sentBy(room, "ada", 4, 4)).toBe(0);
      expect(await archive.sentBy(room, "ada", 4, 100)).toBe(1);
      expect(await archive.sentBy(room, "ad", 0, 5)).toBe(0);
      expect(await archive.sentBy(other, "ada", 0, 5)).toBe(0);
      await apply({ scrubs: [eventScrub(room, 2)], messages: [messageChange(room, 3, 3, 6)] });
      expect(await archive.sentBy(room, "ada", 0, 5)).toBe(5);
      await archive.purge(room, 2);
      expect(await archive.sentBy(room, "ada", 0, 5)).toBe(3);
    });

    it("remembers whose reading is hidden, per tenant", async () => {
      const user = newRoom().roomId;
      expect(await archive.readingHidden("acme", user)).toBe(false);
      await archive.hideReading("acme", user, true);
      await archive.hideReading("acme", user, true);
      expect(await archive.readingHidden("acme", user)).toBe(true);
      expect(await archive.readingHidden("globex", user)).toBe(false);
      await archive.hideReading("acme", user, false);
      expect(await archive.readingHidden("acme", user)).toBe(false);
    });

    it("remembers how far each follower has come in each shard", async () => {
      const follower = `follower-${newRoom().roomId}`;
      expect(await archive.followed(follower, 0)).toBeUndefined();
      await archive.follow(follower, 0, 7);
      await archive.follow(follower, 1, 2 ** 40);
      await archive.follow(`${follower}2`, 0, 0);
      expect(await archive.followed(follower, 0)).toBe(7);
      expect(await archive.followed(follower, 1)).toBe(2 ** 40);
      expect(await archive.followed(`${follower}2`, 0)).toBe(0);
      await archive.follow(follower, 0, 9);
      expect(await archive.followed(follower, 0)).toBe(9);
      // Late, by who had the shard before.
      await archive.follow(follower, 0, 8);
      expect(await archive.followed(follower, 0)).toBe(9);
      await Promise.all([12, 10, 11].map((offset) => archive.follow(follower, 0, offset)));
      expect(await archive.followed(follower, 0)).toBe(12);
    });

    it("moves the place of a follower in its latest term alone, and begins each where the ones before had come", async () => {
      const follower = `follower-${newRoom().roomId}`;
      const first = await archive.beginTerm(follower, 0, 5);
      expect(first.at).toBe(5);
      expect(await archive.followed(follower, 0)).toBe(5);
      await archive.follow(follower, 0, 7, first.number);
      const second = await archive.beginTerm(follower, 0, 99);
      expect(second.at).toBe(7);
      expect(second.number).toBeGreaterThan(first.number);
      const late = archive.follow(follower, 0, 20, first.number);
      await Promise.all([
        expect(late).rejects.toBeInstanceOf(TermOver),
        archive.follow(follower, 0, 8, second.number),
        archive.follow(follower, 1, 3),
      ]);
      expect(await archive.followed(follower, 0)).toBe(8);
      expect(await archive.followed(follower, 1)).toBe(3);
      // One that has run without terms, and in no order.
      const terms = await Promise.all([1, 2, 3].map(() => archive.beginTerm(follower, 1, 0)));
      expect(terms.map(({ at }) => at)).toEqual([3, 3, 3]);
      const numbers = terms.map(({ number }) => number).sort((a, b) => a - b);
      expect(new Set(numbers).size).toBe(3);
      await expect(archive.follow(follower, 1, 9, numbers[1])).rejects.toBeInstanceOf(TermOver);
      await archive.follow(follower, 1, 4, numbers[2]);
      expect(await archive.followed(follower, 1)).toBe(4);
    });

    it("moves the watermark of one shard, and never back", async () => {
      const other = await archive.archived(1);
      await apply(sampleBatch(newRoom(), 1, 2).changes);
      expect(await archive.archived(0)).toBe(end);
      await archive.apply(0, 0, changesOf({}));
      expect(await archive.archived(0)).toBe(end);
      expect(await archive.archived(1)).toBe(other);
    });

    it("takes changes that are applied at once", async () => {
      const room = newRoom();
      await Promise.all([3, 1, 2].map((seq) => apply({ rooms: [{ room, document: roomDocument(room, seq) }] })));
      expect((await archive.room(room))?.appliedSeq).toBe(3);
    });

    it("purges events and messages up to a position and keeps the documents", async () => {
      const room = await roomWith(10);
      const neighbour = await roomWith(2);
      await apply({
        members: [{ room, document: memberDocument("ada", 1) }],
        messages: [messageChange(room, 2, 2, 10)],
      });
      await archive.purge(room, 4);
      expect(await seqs(room)).toEqual([5, 6, 7, 8, 9, 10]);
      expect(await seqs(room, { from: 3, limit: 2 })).toEqual([5, 6]);
      expect(await indexes(room, { afterIndex: 0, limit: 3 })).toEqual([5, 6, 7]);
      expect(await archive.seqOf(room, `${room.roomId}:4`)).toBeUndefined();
      expect(await archive.seqOf(room, `${room.roomId}:5`)).toBe(5);
      expect((await archive.room(room))?.appliedSeq).toBe(10);
      expect(await memberIds(room)).toEqual(["ada"]);
      expect(await seqs(neighbour)).toEqual([1, 2]);
      await archive.purge(room, 4);
      await archive.purge(newRoom(), 4);
      expect(await seqs(room)).toEqual([5, 6, 7, 8, 9, 10]);
    });

    it("dismisses whoever is or was a member of a room, and nobody of another", async () => {
      const room = await roomWith(1);
      const neighbour = newRoom();
      const many = Array.from({ length: 1_500 }, (_, index) => `m${index}`);
      await apply({
        members: [
          ...many.map((userId) => ({ room, document: memberDocument(userId, 1) })),
          { room, document: memberDocument("left", 1, true) },
          { room: neighbour, document: memberDocument("m0", 1) },
        ],
      });
      const userMarker = create(MarkerDocumentSchema, { userId: "m0", readSeq: 1, revision: 1 });
      await archive.putMarkers([room, neighbour].map((each) => ({ room: each, document: userMarker })));
      await archive.dismiss(room);
      expect(await memberIds(room)).toEqual([]);
      for (const userId of ["m0", "m1499", "left"]) expect(await archive.member(room, userId)).toBeUndefined();
      expect(await archive.roomsOf(room.tenantId, "m0", { after: "", limit: 2 })).toEqual([neighbour.roomId]);
      expect(await archive.roomsOf(room.tenantId, "m1499", { after: "", limit: 2 })).toEqual([]);
      expect(await archive.room(room)).toBeDefined();
      expect(await seqs(room)).toEqual([1]);
      expect(await memberIds(neighbour)).toEqual(["m0"]);
      expect(await archive.marker(room, "m0")).toBeUndefined();
      expect(await archive.marker(neighbour, "m0")).toBeDefined();
      await archive.dismiss(room);
      await archive.dismiss(newRoom());
    });

    it("brings nothing back that was purged, whatever is applied again", async () => {
      const room = newRoom();
      const members = [{ room, document: memberDocument("ada", 2) }];
      const changes = { ...sampleBatch(room, 1, 5).changes, members, messages: [messageChange(room, 2, 2, 5)] };
      await apply(changes);
      await archive.purge(room, 3);
      const before = await everything(archive, room);
      // As it was, and as who goes on after a crash may have bundled it.
      await archive.apply(0, end, changesOf(changes));
      await archive.apply(0, end, sampleBatch(room, 2, 3).changes);
      await archive.apply(0, end, changesOf({ messages: changes.messages }));
      expect(await everything(archive, room)).toEqual(before);
      expect(await seqs(room)).toEqual([4, 5]);
      expect(await archive.seqOf(room, `${room.roomId}:2`)).toBeUndefined();
      expect(await archive.expired(shards(), Number.MAX_SAFE_INTEGER / 2, 1_000)).toEqual([]);
    });

    it("stores nothing that was purged before it came", async () => {
      const room = await roomWith(2);
      await archive.purge(room, 4);
      await apply(sampleBatch(room, 3, 6).changes);
      expect(await seqs(room)).toEqual([5, 6]);
      expect(await indexes(room, { afterIndex: 0, limit: 10 })).toEqual([5, 6]);
      expect((await archive.room(room))?.appliedSeq).toBe(6);
    });

    it("does not say again what was scrubbed, when its event is applied again", async () => {
      const room = newRoom();
      const { changes } = sampleBatch(room, 1, 3);
      await apply(changes);
      await apply({ events: [eventChange(room, 4)], scrubs: [eventScrub(room, 2)] });
      await archive.apply(0, end, changes);
      const words = (await archive.events(room, ALL)).map(({ event }) => JSON.stringify(event.kind).includes("text "));
      expect(words).toEqual([true, false, true, true]);
    });

    it("forgets which messages were hidden when they are purged, and keeps no late hiding of them", async () => {
      const [room, neighbour, inbox, other] = [await roomWith(4), await roomWith(2), newRoom(), newRoom()];
      const hide = (inbox: RoomRef, { roomId }: RoomRef, messageIndex: number) =>
        apply({ hidden: [{ inbox, roomId, messageIndex }] });
      for (const index of [1, 2, 4]) await hide(inbox, room, index);
      await hide(other, room, 2);
      await hide(inbox, neighbour, 1);
      await archive.purge(room, 3);
      await hide(inbox, room, 2);
      await hide(other, room, 3);
      expect(await archive.hidden(inbox, room.roomId, 1, 9)).toEqual([4]);
      expect(await archive.hidden(other, room.roomId, 1, 9)).toEqual([]);
      expect(await archive.hidden(inbox, neighbour.roomId, 1, 9)).toEqual([1]);
      await archive.purge(room, 4);
      expect(await archive.hidden(inbox, room.roomId, 1, 9)).toEqual([]);
    });

    it("has nobody back who was dismissed, nor their marker, nor what they hide", async () => {
      const [room, inbox] = [newRoom(), newRoom()];
      const members = ["ada", "bob"].map((userId, index) => ({
        room,
        document: memberDocument(userId, 1, index === 1),
      }));
      const changes = { ...sampleBatch(room, 1, 2).changes, members };
      const document = create(MarkerDocumentSchema, { userId: "ada", readSeq: 1, revision: 1 });
      await apply(changes);
      await archive.putMarkers([{ room, document }]);
      // Put before the dismissal, and answered after it began.
      const late = archive.putMarkers([{ room, document: { ...document, revision: 2 } }]);
      await archive.dismiss(room);
      await late;
      await archive.apply(0, end, changesOf(changes));
      await archive.putMarkers([{ room, document: { ...document, revision: 3 } }]);
      await apply({ hidden: [{ inbox, roomId: room.roomId, messageIndex: 1 }] });
      expect(await memberIds(room)).toEqual([]);
      for (const userId of ["ada", "bob"]) expect(await archive.member(room, userId)).toBeUndefined();
      expect(await archive.roomsOf(room.tenantId, "ada", { after: "", limit: 1_000 })).not.toContain(room.roomId);
      expect(await archive.marker(room, "ada")).toBeUndefined();
      expect(await archive.hidden(inbox, room.roomId, 1, 9)).toEqual([]);
    });

    it("purges a long room", async () => {
      const room = await roomWith(2_500);
      await archive.purge(room, 2_400);
      expect(await seqs(room, { limit: 1 })).toEqual([2_401]);
    });

    it("keeps events of any size", async () => {
      const room = newRoom();
      const sizes = [1, 1_000, 5_000, 70_000, 500_000];
      await apply({ events: sizes.map((size, index) => eventChange(room, index + 1, { text: "x".repeat(size) })) });
      const events = await archive.events(room, ALL);
      expect(events.map(({ event }) => textLength(event.kind))).toEqual(sizes);
      expect(await seqs(room, { from: 4, maxBytes: 1 })).toEqual([4]);
    });

    it("gives copies", async () => {
      const room = await roomWith(1);
      const [event] = await archive.events(room, ALL);
      const bytes = Buffer.from(event?.bytes ?? []).toString("hex");
      event?.bytes.fill(0);
      const document = await archive.room(room);
      if (document?.room) document.room.name = "changed by the caller";
      const [again] = await archive.events(room, ALL);
      expect(Buffer.from(again?.bytes ?? []).toString("hex")).toBe(bytes);
      expect((await archive.room(room))?.room?.name).toBe("as of 1");
    });
  });
}

function textLength(kind: { readonly case?: string | undefined; readonly value?: unknown }): number | undefined {
  if (kind.case !== "messageCreated") return undefined;
  const text = JSON.stringify(kind.value).match(/x+/g) ?? [];
  return Math.max(...text.map((run) => run.length));
}

async function everything(archive: Archive, room: RoomRef): Promise<unknown> {
  return {
    room: await archive.room(room),
    members: await archive.members(room, { after: "", limit: 100 }),
    events: (await archive.events(room, ALL)).map(({ bytes }) => Buffer.from(bytes).toString("hex")),
    messages: (await archive.messages(room, { afterIndex: 0, limit: 100 })).map(
      ({ messageIndex, created, document }) => ({
        messageIndex,
        created: created?.seq,
        document,
      }),
    ),
  };
}
