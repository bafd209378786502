// What is held against markers finds what it is there to find.

import { create } from "@bufbuild/protobuf";
import { beforeEach, expect, it } from "vitest";
import { nextTag } from "../../src/core/room/position.js";
import { MarkerSchema, RoomEventSchema, RoomStatus } from "../../src/gen/trunkline/v1/message_pb.js";
import { Checker } from "./checker.js";
import { MarkerRecords } from "./marker-records.js";
import { Violation } from "./violation.js";

const ROOM = "acme/r";

let checker: Checker;
let records: MarkerRecords;

/** A room with messages of ada, bob, ada, bob at 2 to 5. */
beforeEach(() => {
  checker = new Checker(new Set(["ada", "bob"]));
  records = new MarkerRecords(checker);
  let tag = 0;
  for (const [at, userId] of ["ada", "ada", "bob", "ada", "bob"].entries()) {
    const eventId = `e${at + 1}`;
    tag = nextTag(tag, eventId);
    const kind =
      at === 0
        ? ({ case: "roomCreated", value: { room: { status: RoomStatus.ACTIVE, version: 1 } } } as const)
        : ({ case: "messageCreated", value: { messageIndex: at, clientMessageId: eventId } } as const);
    const event = { eventId, position: { seq: at + 1, tag }, actor: { userId }, kind };
    checker.logged(ROOM, create(RoomEventSchema, event));
  }
});

function marker(deliveredSeq: number, readSeq: number, readMessageIndex = Math.max(readSeq - 1, 0)) {
  return create(MarkerSchema, { userId: "ada", deliveredSeq, readSeq, readMessageIndex });
}

function kindOf(action: () => void): string {
  try {
    action();
  } catch (error) {
    if (error instanceof Violation) return error.kind;
    throw error;
  }
  return "nothing";
}

function stands(at: ReturnType<typeof marker> | undefined, unreadCount: number): string {
  return kindOf(() => records.stands(ROOM, "ada", { marker: at, unreadCount }));
}

it("takes what was said, and what has not counted yet", () => {
  expect(stands(undefined, 2)).toBe("nothing");
  records.asked(ROOM, "ada", { delivered: 4, read: 3 });
  expect(stands(undefined, 2)).toBe("nothing");
  expect(stands(marker(4, 3), 1)).toBe("nothing");
});

it("finds a marker that is beyond what was said, or has read more than it received", () => {
  records.asked(ROOM, "ada", { delivered: 4, read: 3 });
  expect(kindOf(() => records.shown(ROOM, [marker(5, 3)]))).toBe("phantom");
  expect(kindOf(() => records.shown(ROOM, [marker(4, 4)]))).toBe("phantom");
  expect(kindOf(() => records.shown(ROOM, [marker(2, 3)]))).toBe("different");
});

it("finds a marker that has gone back, but for what a crash may take", () => {
  records.asked(ROOM, "ada", { delivered: 5, read: 3 });
  records.counted(ROOM, "ada", { delivered: 4, read: 0 });
  records.settled();
  records.counted(ROOM, "ada", { delivered: 0, read: 3 });
  expect(stands(marker(4, 0), 2)).toBe("lost");
  records.lost();
  expect(stands(marker(4, 0), 2)).toBe("nothing");
  expect(stands(marker(3, 3), 1)).toBe("lost");
  records.restored();
  expect(stands(undefined, 2)).toBe("nothing");
});

it("finds a wrong message at the marker, and a wrong count", () => {
  records.asked(ROOM, "ada", { delivered: 5, read: 5 });
  expect(stands(marker(5, 3, 1), 2)).toBe("different");
  expect(stands(marker(5, 3), 2)).toBe("different");
  expect(stands(marker(5, 3), 1)).toBe("nothing");
  expect(stands(marker(5, 5), 0)).toBe("nothing");
});

it("counts a user's own messages as unread once they are no longer kept", () => {
  checker.purged(ROOM, 2);
  expect(stands(undefined, 2)).toBe("different");
  expect(stands(undefined, 3)).toBe("nothing");
});
