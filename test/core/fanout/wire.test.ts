// The hand-written framing of stored events against the generated encoder.

import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { encodeRoomEventsFrame } from "../../../src/core/fanout/wire.js";
import { type RoomEvent, RoomEventSchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ServerFrameSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";

const uint32 = fc.nat({ max: 0xffff_ffff });

const anyEvent: fc.Arbitrary<RoomEvent> = fc
  .record({ seq: uint32, tag: uint32, text: fc.string({ unit: "grapheme", maxLength: 400 }) })
  .map(({ seq, tag, text }) =>
    create(RoomEventSchema, {
      eventId: `e-${seq}`,
      position: { seq, tag },
      kind: { case: "messageCreated", value: { body: { kind: { case: "text", value: text } } } },
    }),
  );

function stored(event: RoomEvent): EncodedEvent {
  return new EncodedEvent(event.position?.seq ?? 0, event.position?.tag ?? 0, toBinary(RoomEventSchema, event));
}

function encoded(roomId: string, events: readonly RoomEvent[]): Uint8Array {
  return toBinary(
    ServerFrameSchema,
    create(ServerFrameSchema, { frame: { case: "roomEvents", value: { roomId, events: [...events] } } }),
  );
}

describe("encodeRoomEventsFrame", () => {
  it("gives the bytes that the generated encoder gives", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "grapheme", maxLength: 200 }),
        fc.array(anyEvent, { maxLength: 30 }),
        (roomId, events) => {
          expect(encodeRoomEventsFrame(roomId, events.map(stored))).toEqual(encoded(roomId, events));
        },
      ),
    );
  });

  it("frames lengths of every varint size", () => {
    for (const size of [0, 1, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152]) {
      const event = create(RoomEventSchema, {
        eventId: "e-1",
        kind: { case: "messageCreated", value: { body: { kind: { case: "text", value: "x".repeat(size) } } } },
      });
      const frame = encodeRoomEventsFrame("lobby", [stored(event)]);
      expect(Buffer.compare(frame, encoded("lobby", [event]))).toBe(0);
    }
  });

  it("keeps fields that this version does not know", () => {
    const unknown = Uint8Array.of(0xfa, 0x3f, 0x01, 0x2a);
    const event = new EncodedEvent(
      1,
      2,
      Uint8Array.of(...toBinary(RoomEventSchema, create(RoomEventSchema)), ...unknown),
    );
    const { frame } = fromBinary(ServerFrameSchema, encodeRoomEventsFrame("lobby", [event]));
    if (frame.case !== "roomEvents") throw new Error("not a RoomEvents frame");
    expect(frame.value.events.map((each) => each.$unknown?.map((field) => field.no))).toEqual([[1023]]);
  });
});
