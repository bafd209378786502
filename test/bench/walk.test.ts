// Counting events in encoded frames: a miscount would make every figure wrong.

import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { EventWalker } from "../../bench/wire/walk.js";
import { ServerFrameSchema } from "../../src/gen/trunkline/v1/session_pb.js";

function roomEvents(...seqs: readonly number[]): Buffer {
  const events = seqs.map(
    (seq) =>
      ({
        eventId: `e-${seq}`,
        position: { seq, tag: 0xffffffff },
        actor: { userId: "u1" },
        kind: { case: "messageCreated", value: { body: { kind: { case: "text", value: "x".repeat(300) } } } },
      }) as const,
  );
  const frame = create(ServerFrameSchema, { frame: { case: "roomEvents", value: { roomId: "r", events } } });
  return Buffer.from(toBinary(ServerFrameSchema, frame));
}

describe("EventWalker", () => {
  it("finds the first seq and the number of events of a frame", () => {
    const frame = roomEvents(127, 128, 129, 130);
    const walker = new EventWalker();
    expect(walker.walk(frame, 0, frame.length)).toBe(true);
    expect(walker).toMatchObject({ first: 127, count: 4, dense: true });
  });

  it("finds the room's id", () => {
    const frame = roomEvents(5);
    const walker = new EventWalker();
    walker.walk(frame, 0, frame.length);
    expect(frame.toString("utf8", walker.roomAt, walker.roomAt + 1)).toBe("r");
  });

  it("counts the events of concatenated frames together", () => {
    const frame = Buffer.concat([roomEvents(300, 301), roomEvents(302)]);
    const walker = new EventWalker();
    walker.walk(frame, 0, frame.length);
    expect(walker).toMatchObject({ first: 300, count: 3, dense: true });
  });

  it("notices a hole and a double", () => {
    const walker = new EventWalker();
    for (const frame of [roomEvents(1, 3), roomEvents(5, 5)]) {
      walker.walk(frame, 0, frame.length);
      expect(walker.dense).toBe(false);
    }
  });

  it("leaves other frames alone", () => {
    const other = Buffer.from(
      toBinary(ServerFrameSchema, create(ServerFrameSchema, { replyTo: 7, frame: { case: "done", value: {} } })),
    );
    expect(new EventWalker().walk(other, 0, other.length)).toBe(false);
  });

  it("fails on a frame that ends inside a field", () => {
    const frame = roomEvents(1, 2);
    expect(() => new EventWalker().walk(frame, 0, frame.length - 1)).toThrow();
  });
});
