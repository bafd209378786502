// Both codecs against the protobuf library, and against bytes that nobody should send.

import { create, equals, fromBinary, fromJsonString, toBinary, toJsonString } from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { binaryCodec } from "../../../bridge/codec/binary.js";
import { type Codec, type Decoded, MAX_DEPTH } from "../../../bridge/codec/codec.js";
import { createJsonCodec } from "../../../bridge/codec/json.js";
import { type RoomEvent, RoomEventSchema } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ClientFrameSchema, ServerFrameSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { EncodedEvent } from "../../../src/ports/encoded-event.js";
import { messages } from "./arbitrary.js";

const jsonCodec = createJsonCodec();

const clientFrames = messages(ClientFrameSchema);
const serverFrames = messages(ServerFrameSchema);

function decodeBytes(codec: Codec, bytes: Uint8Array): Decoded {
  return codec.wire === "binary" ? codec.decode(bytes) : codec.decode(new TextDecoder().decode(bytes));
}

describe.each<[string, Codec]>([
  ["binary", binaryCodec],
  ["JSON", jsonCodec],
])("%s", (_name, codec) => {
  it("decodes every valid client frame to what was encoded", () => {
    fc.assert(
      fc.property(clientFrames, (frame) => {
        const decoded =
          codec.wire === "binary"
            ? codec.decode(toBinary(ClientFrameSchema, frame))
            : codec.decode(toJsonString(ClientFrameSchema, frame));
        expect(decoded.ok).toBe(true);
        if (decoded.ok) expect(equals(ClientFrameSchema, decoded.frame, frame)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("encodes every server frame to what decodes to it", () => {
    fc.assert(
      fc.property(serverFrames, (frame) => {
        const decoded =
          codec.wire === "binary"
            ? fromBinary(ServerFrameSchema, codec.frame(frame))
            : fromJsonString(ServerFrameSchema, codec.frame(frame));
        expect(equals(ServerFrameSchema, decoded, frame)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  it("encodes batches of events like the frame they stand for, whichever way they overlap", () => {
    const events = fc.array(messages(RoomEventSchema, 3), { minLength: 1, maxLength: 6 });
    fc.assert(
      fc.property(events, fc.nat({ max: 5 }), fc.string(), (drawn, from, roomId) => {
        const encoded = drawn.map((message, index) => {
          const bytes = toBinary(RoomEventSchema, message);
          return new EncodedEvent(index + 1, 0, bytes);
        });
        for (const part of [encoded, encoded.slice(from % encoded.length)]) {
          const list: RoomEvent[] = part.map(({ event }) => event);
          const expected = create(ServerFrameSchema, {
            frame: { case: "roomEvents", value: { roomId, events: list } },
          });
          const decoded =
            codec.wire === "binary"
              ? fromBinary(ServerFrameSchema, codec.roomEvents(roomId, part))
              : fromJsonString(ServerFrameSchema, codec.roomEvents(roomId, part));
          expect(equals(ServerFrameSchema, decoded, expected)).toBe(true);
        }
      }),
      { numRuns: 100 },
    );
  });

  it("never throws on random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        decodeBytes(codec, bytes);
      }),
      { numRuns: 2_000 },
    );
  });

  it("never throws on a valid frame with bytes changed, removed or added", () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 4 });
    fc.assert(
      fc.property(clientFrames, flips, fc.nat(), (frame, changes, cut) => {
        const bytes =
          codec.wire === "binary"
            ? toBinary(ClientFrameSchema, frame)
            : new TextEncoder().encode(toJsonString(ClientFrameSchema, frame));
        for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
        const decoded = decodeBytes(codec, bytes.subarray(0, bytes.length - (cut % (bytes.length + 1))));
        if (!decoded.ok) expect(decoded.error.field).not.toBe("");
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("JSON", () => {
  const faultOf = (text: string) => {
    const decoded = jsonCodec.decode(text);
    if (decoded.ok) throw new Error("decoded");
    return decoded;
  };

  it.each([
    ['{"publish":{"body":{"text":5}}}', "publish.body.text", "publish.body.text: a string is expected"],
    ['{"publish":{"roomId":"r","x":1}}', "publish.x", "publish.x: unknown field"],
    ['{"ref":-1,"ping":{}}', "ref", "ref: a whole number from 0 to 4294967295 is expected"],
    ['{"ping":{},"pong":{}}', "pong", "pong: may not be set together with ping"],
    ['{"publish":{"roomId":"r","room_id":"r"}}', "publish.room_id", "publish.room_id: set twice"],
    ['{"publish":{"mentions":[{"userId":"a"},{"userId":7}]}}', "publish.mentions[1].user_id", undefined],
    ['{"publish":{"mentions":{}}}', "publish.mentions", "publish.mentions: a list is expected"],
    ['{"hello":"eyJhbGciOi"}', "hello", "hello: an object is expected"],
    ['{"setPresence":{"status":"BUSY"}}', "set_presence.status", undefined],
    ['{"setPresence":{"until":"soon"}}', "set_presence.until", undefined],
    ['{"sendSignal":{"data":"%"}}', "send_signal.data", "send_signal.data: bytes as base64 are expected"],
  ])("names the wrong field of %s", (text, field, message) => {
    const { error, undecodable } = faultOf(text);
    expect(error.field).toBe(field);
    if (message !== undefined) expect(error.message).toBe(message);
    expect(undecodable).toBe(false);
  });

  it.each(["", "{", "[]", "null", '"text"', "5"])("cannot read an envelope from %j", (text) => {
    expect(faultOf(text).undecodable).toBe(true);
  });

  it("never repeats a value of the client's", () => {
    const secret = "eyJhbGciOiJIUzI1NiJ9.secret";
    for (const text of [
      `{"hello":{"token":["${secret}"]}}`,
      `{"hello":{"attempt":"${secret}"}}`,
      `{"hello":"${secret}"}`,
    ]) {
      expect(faultOf(text).error.message).not.toContain("secret");
    }
  });

  it("takes 64-bit-safe spellings of numbers, original and JSON names, and null as absent", () => {
    const decoded = jsonCodec.decode('{"ref":"5","publish":{"room_id":"r","clientMessageId":"c","metadata":null}}');
    expect(decoded.ok && decoded.frame.ref).toBe(5);
  });

  it("makes an event's text once", () => {
    const codec = createJsonCodec();
    let reads = 0;
    const event = new EncodedEvent(1, 1, toBinary(RoomEventSchema, create(RoomEventSchema, { eventId: "e" })));
    const decoded = event.event;
    Object.defineProperty(event, "event", {
      get: () => {
        reads++;
        return decoded;
      },
    });
    codec.roomEvents("r", [event]);
    codec.roomEvents("r", [event]);
    expect(reads).toBe(1);
  });
});

describe("nesting", () => {
  it(`is refused beyond ${MAX_DEPTH} levels, however deep`, () => {
    for (const depth of [MAX_DEPTH + 1, 20_000]) {
      const nested = `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
      const decoded = jsonCodec.decode(`{"publish":{"metadata":${nested}}}`);
      expect(decoded.ok).toBe(false);
      if (!decoded.ok) expect(decoded.error.field).toBe("publish.metadata");
    }
  });

  it("is refused in protobuf too", () => {
    // Struct{fields{"": Value{struct_value: …}}}, from the inside out.
    let bytes: Uint8Array = new Uint8Array();
    const wrap = (tag: number, content: Uint8Array) => {
      const length: number[] = [];
      for (let rest = content.length; ; rest >>>= 7) {
        length.push(rest > 0x7f ? (rest & 0x7f) | 0x80 : rest);
        if (rest <= 0x7f) break;
      }
      return Uint8Array.from([tag, ...length, ...content]);
    };
    for (let depth = 0; depth < 2_000; depth++) bytes = wrap(0x0a, wrap(0x12, wrap(0x2a, bytes)));
    const frame = wrap(0x32, wrap(0x42, bytes));
    expect(binaryCodec.decode(frame).ok).toBe(false);
  });
});
