// The client's binary encoding is protobuf's: whatever the contract can say, it reads and writes as protobuf-es does.

import {
  type DescEnum,
  type DescField,
  type DescMessage,
  fromBinary,
  fromJson,
  type JsonValue,
  ScalarType,
  toBinary,
  toJson,
} from "@bufbuild/protobuf";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { binaryCodec, decode, encode } from "../../../../bridge/client/wire/binary.js";
import { ClientFrameSchema, ServerFrameSchema } from "../../../../src/gen/trunkline/v1/session_pb.js";

const DEEPEST = 5;

/** Anything that proto3 JSON can say of a message, as protobuf-es writes it. */
function arbitrary(schema: DescMessage): fc.Arbitrary<JsonValue> {
  return message(schema, 0).map((json) => toJson(schema, fromJson(schema, json)));
}

function message(schema: DescMessage, depth: number): fc.Arbitrary<JsonValue> {
  if (schema.typeName === "google.protobuf.Timestamp") {
    const nanos = fc.oneof(
      fc.constant(0),
      fc.nat(999).map((ms) => ms * 1_000_000),
      fc.nat(999_999).map((us) => us * 1_000),
      fc.nat(999_999_999),
    );
    const date = fc.date({ min: new Date("0001-01-02"), max: new Date("9999-12-30"), noInvalidDate: true });
    return fc
      .tuple(date, nanos)
      .map(([date, nanos]) => `${date.toISOString().slice(0, 19)}.${String(nanos).padStart(9, "0")}Z`);
  }
  if (schema.typeName === "google.protobuf.Struct") {
    return fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })).map((value) => JSON.parse(JSON.stringify(value)));
  }
  if (depth > DEEPEST) return fc.constant({});
  const single = schema.fields.filter(({ oneof }) => oneof === undefined || oneof.fields.length === 1);
  const parts = single.map((each) => fc.option(part(each, depth), { nil: {}, freq: 3 }));
  const choices = schema.oneofs.filter(({ fields }) => fields.length > 1);
  const chosen = choices.map(({ fields }) =>
    fc.option(fc.oneof(...fields.map((each) => part(each, depth))), { nil: {}, freq: 9 }),
  );
  return fc.tuple(...parts, ...chosen).map((all) => Object.assign({}, ...all));
}

/** An object with the field alone. */
function part(field: DescField, depth: number): fc.Arbitrary<Record<string, JsonValue>> {
  return value(field, depth).map((each) => ({ [field.jsonName]: each }));
}

function value(field: DescField, depth: number): fc.Arbitrary<JsonValue> {
  const few = { maxLength: 3 };
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "enum":
      return enumOf(field.enum);
    case "message":
      return message(field.message, depth + 1);
    case "map":
      return fc.dictionary(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), { maxKeys: 3 });
    case "list":
      if (field.listKind === "scalar") return fc.array(scalar(field.scalar), few);
      if (field.listKind === "enum") return fc.array(enumOf(field.enum), few);
      return fc.array(message(field.message, depth + 1), few);
  }
}

function scalar(type: ScalarType): fc.Arbitrary<JsonValue> {
  switch (type) {
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.UINT32:
      return fc.oneof(fc.constant(0), fc.nat(200), fc.integer({ min: 0, max: 0xffff_ffff }));
    case ScalarType.INT32:
      return fc.integer();
    case ScalarType.STRING:
      return fc.string({ unit: "grapheme" });
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes).toString("base64"));
    default:
      throw new Error(`no values for ${ScalarType[type]}`);
  }
}

/** Values that it has, and that a newer one may have. */
function enumOf({ values }: DescEnum): fc.Arbitrary<JsonValue> {
  return fc.oneof(fc.constantFrom(...values.map(({ name }) => name)), fc.integer({ min: 100, max: 300 }));
}

describe.each([ClientFrameSchema, ServerFrameSchema])("$name", (schema) => {
  it("is read as protobuf-es reads it", () => {
    fc.assert(
      fc.property(arbitrary(schema), (json) => {
        expect(decode(schema.name, toBinary(schema, fromJson(schema, json)))).toEqual(json);
      }),
    );
  });

  it("is written so that protobuf-es reads it", () => {
    fc.assert(
      fc.property(arbitrary(schema), (json) => {
        const bytes = encode(schema.name, json as Record<string, unknown>);
        expect(toJson(schema, fromBinary(schema, bytes))).toEqual(json);
      }),
    );
  });

  it("is refused or read, whatever the bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          expect(decode(schema.name, bytes)).toBeTypeOf("object");
        } catch (error) {
          expect(error).toBeInstanceOf(Error);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a frame", () => {
  it("of a kind that the client does not know is an empty one", () => {
    // Field 3000, length-delimited.
    expect(binaryCodec.decode(new Uint8Array([0xc2, 0xbb, 0x01, 0x01, 0x00]).buffer)).toEqual({});
  });

  it("with a length below zero is refused, and not read again and again", () => {
    const back = [...Array(9).fill(0xff), 0x01];
    expect(() => decode("ServerFrame", new Uint8Array([0x62, ...back, ...Array(8).fill(0)]))).toThrow("in the middle");
  });

  it.each([0, 1, 16, 32, 63, 64, 65, 200])("keeps a text of %i letters, plain or not", (length) => {
    for (const letter of ["a", "\u007f", "\u0080", "é", "€", "😀"]) {
      const frame = { hello: { token: letter.repeat(length) } };
      expect(decode("ClientFrame", encode("ClientFrame", frame))).toEqual(frame);
    }
  });

  it.each([1, 64, 65])("with %i bytes for a text that are none is refused", (length) => {
    const bytes = encode("ClientFrame", { hello: { token: "a".repeat(length) } });
    bytes[bytes.length - 1] = 0xff;
    expect(() => decode("ClientFrame", bytes)).toThrow();
  });

  it("that is text is refused", () => {
    expect(() => binaryCodec.decode("{}")).toThrow("no frame");
  });

  it("with a field that the contract does not have is not written", () => {
    expect(() => encode("ClientFrame", { helo: {} })).toThrow("ClientFrame has no field helo");
    expect(() => encode("ClientFrame", { ping: { id: 1.5 } })).toThrow("id cannot be 1.5");
  });
});
