// What is held against readers of tails finds what it is there to find.

import { create } from "@bufbuild/protobuf";
import { beforeEach, expect, it } from "vitest";
import { nextTag } from "../../src/core/room/position.js";
import { type RoomEvent, RoomEventSchema, RoomStatus } from "../../src/gen/trunkline/v1/message_pb.js";
import { Checker } from "./checker.js";
import { TailRecords } from "./tail-records.js";
import { Violation } from "./violation.js";

const ROOM = "acme/r";

let checker: Checker;
let records: TailRecords;
let history: RoomEvent[];

/** The room's next event is logged. */
function log(count: number): void {
  for (let added = 0; added < count; added++) {
    const seq = history.length + 1;
    const eventId = `e${seq}`;
    const position = { seq, tag: nextTag(history.at(-1)?.position?.tag ?? 0, eventId) };
    const room = { status: RoomStatus.ACTIVE, version: seq };
    const kind =
      seq === 1
        ? ({ case: "roomCreated", value: { room } } as const)
        : ({ case: "roomUpdated", value: { room } } as const);
    const event = create(RoomEventSchema, { eventId, position, actor: { userId: "ada" }, kind });
    history.push(event);
    checker.logged(ROOM, event);
  }
}

function tell(...seqs: readonly number[]): readonly number[] {
  const events = seqs.flatMap((seq) => history[seq - 1] ?? []);
  return records.told("tail", ROOM, events).map(({ position }) => position?.seq ?? 0);
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

/** A reader that began when the room had two events, of six now. */
beforeEach(() => {
  checker = new Checker(new Set(["ada"]));
  records = new TailRecords(checker);
  history = [];
  log(2);
  records.begins("tail", "acme");
  log(4);
});

it("takes what comes in order, also what came before it began, and asks for no more", () => {
  expect(tell(3, 4)).toEqual([3, 4]);
  expect(records.missing("tail")).toContain("stands at 4 of acme/r, the log at 6");
  expect(tell(5, 6)).toEqual([5, 6]);
  expect(records.missing("tail")).toBeUndefined();
});

it("takes again, after a cut, what was dealt with, and hands on what is new", () => {
  tell(3, 4);
  records.goesOn("tail");
  expect(tell(3, 4, 5)).toEqual([5]);
});

it("finds what was doubled, and what comes in another order", () => {
  expect(kindOf(() => tell(3, 4, 4))).toBe("doubled");
  records.goesOn("tail");
  expect(kindOf(() => tell(5, 3))).toBe("reordered");
});

it("finds a hole, in a stream and after a cut, and at the beginning", () => {
  expect(kindOf(() => tell(4))).toBe("hole");
  tell(3);
  expect(kindOf(() => tell(5))).toBe("hole");
  records.goesOn("tail");
  expect(kindOf(() => tell(6))).toBe("hole");
});

it("passes over what is no longer kept, and over nothing beside it", () => {
  checker.purged(ROOM, 4);
  expect(kindOf(() => tell(6))).toBe("hole");
  expect(tell(5)).toEqual([5]);
  checker.purged(ROOM, 6);
  expect(records.missing("tail")).toBeUndefined();
});

it("finds what is of another tenant, and what is not in the log", () => {
  records.begins("foreign", "globex");
  expect(kindOf(() => records.told("foreign", ROOM, history.slice(2, 3)))).toBe("not permitted");
  const invented = create(RoomEventSchema, { eventId: "x", position: { seq: 7, tag: 1 } });
  expect(kindOf(() => records.told("tail", ROOM, [invented]))).toBe("phantom");
  expect(kindOf(() => records.told("nobody", ROOM, history))).toBe("phantom");
  expect(records.missing("nobody")).toContain("has not begun");
});
