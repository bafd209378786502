// What is shown of rooms under others, and of a tenant's announcements, can be found wrong.

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { beforeEach, describe, expect, test } from "vitest";
import { nextTag } from "../../src/core/room/position.js";
import {
  Permission,
  Role,
  type RoomEvent,
  RoomEventSchema,
  RoomKind,
  RoomStatus,
} from "../../src/gen/trunkline/v1/message_pb.js";
import { Checker, type Place } from "./checker.js";

type KindInit = NonNullable<MessageInitShape<typeof RoomEventSchema>["kind"]>;

const ACTIVE = { kind: RoomKind.GROUP, status: RoomStatus.ACTIVE, version: 1 };

function place({ position }: RoomEvent): Place {
  return { seq: position?.seq ?? 0, tag: position?.tag ?? 0 };
}

/** Rooms that go on by one event at a time. */
class Rooms {
  readonly checker = new Checker(new Set(["admin"]));

  log(roomKey: string, kind: KindInit, userId: string, rootSeq = this.checker.room(roomKey).root?.top ?? 0): RoomEvent {
    const room = this.checker.room(roomKey);
    const seq = room.top + 1;
    const eventId = `${roomKey} ${seq}`;
    const position = { seq, tag: nextTag(room.tag, eventId) };
    const event = create(RoomEventSchema, { eventId, position, actor: { userId }, kind, rootSeq });
    this.checker.logged(roomKey, event);
    return event;
  }

  say(roomKey: string, userId: string): RoomEvent {
    const messageIndex = this.checker.room(roomKey).lastMessageIndex + 1;
    return this.log(roomKey, { case: "messageCreated", value: { messageIndex } }, userId);
  }
}

function left(userId: string, banned = false): KindInit {
  return { case: "memberLeft", value: { userId, banned } };
}

function subscribe({ checker }: Rooms, roomKey: string, userId: string, at: RoomEvent): void {
  checker.subscribed("link", { roomKey, userId, after: undefined, top: place(at), outcome: { is: "caught-up" } });
}

describe("of a room under another is found out", () => {
  const ROOT = "acme/r";
  const UNDER = "acme/r~t";
  let rooms: Rooms;
  let first: RoomEvent;

  function made(by: string): () => void {
    const value = { room: { ...ACTIVE, parentId: "r" }, members: [] };
    return () => rooms.log(UNDER, { case: "roomCreated", value }, by);
  }

  beforeEach(() => {
    rooms = new Rooms();
    const members = [
      { userId: "anna", role: Role.OWNER },
      { userId: "bert", role: Role.MEMBER },
    ];
    rooms.log(ROOT, { case: "roomCreated", value: { room: ACTIVE, members } }, "anna");
  });

  test("one that is made without the right", () => {
    expect(made("bert")).toThrow("may not make");
    expect(made("anna")).not.toThrow();
  });

  describe("once it is there", () => {
    beforeEach(() => {
      made("anna")();
      first = rooms.say(UNDER, "bert");
    });

    test("what is said by who has left the room above, or judged on what that was before", () => {
      rooms.log(ROOT, left("bert"), "anna");
      expect(() => rooms.say(UNDER, "bert")).toThrow("may not publish");
      const value = { messageIndex: 2 };
      expect(() => rooms.log(UNDER, { case: "messageCreated", value }, "anna", 1)).toThrow("judged on 1");
    });

    test("members of its own", () => {
      expect(() => rooms.log(UNDER, left("bert"), "bert")).toThrow("no members of its own");
    });

    test("an event for who had lost the room above by then, and none that came before", () => {
      subscribe(rooms, UNDER, "bert", first);
      const before = rooms.say(UNDER, "anna");
      rooms.log(ROOT, left("bert"), "anna");
      expect(() => rooms.checker.sent("link", UNDER, [before])).not.toThrow();
      const after = rooms.say(UNDER, "anna");
      expect(() => rooms.checker.sent("link", UNDER, [after])).toThrow("took the right away");
    });

    test("that it is shown to who asks though it is known that they have lost the room above", () => {
      const loss = rooms.log(ROOT, left("bert"), "anna");
      rooms.checker.acknowledged({ ...place(loss), roomKey: ROOT, eventId: "", clientMessageId: "", text: "" });
      const asked = rooms.checker.asked(UNDER);
      expect(() => rooms.checker.shownTo(UNDER, "bert", place(first), asked)).toThrow("had lost the room above");
      expect(rooms.checker.shownTo(UNDER, "anna", place(first), asked)).toBe(false);
    });

    test("anything said after the room above was deleted", () => {
      rooms.log(ROOT, { case: "roomDeleted", value: {} }, "anna");
      expect(() => rooms.say(UNDER, "anna")).toThrow("above was deleted");
      expect(rooms.checker.room(UNDER).isGone).toBe(true);
    });
  });
});

describe("of a tenant's announcements is found out", () => {
  const ROOM = "acme/~announcements";
  let rooms: Rooms;
  let first: RoomEvent;

  beforeEach(() => {
    rooms = new Rooms();
    const room = { ...ACTIVE, kind: RoomKind.CHANNEL };
    const members = [{ userId: "admin", role: Role.OWNER }];
    rooms.log(ROOM, { case: "roomCreated", value: { room, members } }, "admin");
    first = rooms.say(ROOM, "admin");
  });

  test("who reads them and is banned, and nobody who is not", () => {
    expect(() => subscribe(rooms, ROOM, "bert", first)).not.toThrow();
    const ban = rooms.log(ROOM, left("bert", true), "admin");
    expect(() => rooms.checker.sent("link", ROOM, [ban])).not.toThrow();
    expect(() => rooms.checker.sent("link", ROOM, [rooms.say(ROOM, "admin")])).toThrow("took the right away");
    expect(() => subscribe(rooms, ROOM, "bert", ban)).toThrow("bert reads at");
    expect(() => subscribe(rooms, ROOM, "carl", ban)).not.toThrow();
  });

  test("who says something there without a role, and who leaves", () => {
    expect(() => rooms.say(ROOM, "bert")).toThrow("may not publish");
    const member = { userId: "bert", role: Role.READER, granted: [Permission.PUBLISH] };
    rooms.log(ROOM, { case: "memberChanged", value: { member } }, "admin");
    expect(() => rooms.say(ROOM, "bert")).not.toThrow();
    expect(() => rooms.log(ROOM, left("bert"), "bert")).toThrow("nobody leaves");
  });

  test("their end", () => {
    expect(() => rooms.log(ROOM, { case: "roomDeleted", value: {} }, "admin")).toThrow("stay");
  });
});
