// Any message of a type, drawn as proto3 JSON from its descriptor.

import {
  type DescField,
  type DescMessage,
  fromJson,
  type JsonValue,
  type MessageShape,
  ScalarType,
} from "@bufbuild/protobuf";
import fc from "fast-check";

/** Messages of the type, nested at most `depth` deep. */
export function messages<Desc extends DescMessage>(desc: Desc, depth = 4): fc.Arbitrary<MessageShape<Desc>> {
  return jsonOf(desc, depth).map((json) => fromJson(desc, json));
}

function jsonOf(desc: DescMessage, depth: number): fc.Arbitrary<JsonValue> {
  const parts: fc.Arbitrary<Readonly<Record<string, JsonValue>>>[] = [];
  for (const field of desc.fields) {
    if (field.oneof === undefined && fits(field, depth)) parts.push(fc.option(member(field, depth), { nil: {} }));
  }
  for (const oneof of desc.oneofs) {
    const members = oneof.fields.filter((field) => fits(field, depth)).map((field) => member(field, depth));
    if (members.length > 0) parts.push(fc.option(fc.oneof(...members), { nil: {} }));
  }
  return fc.tuple(...parts).map((drawn) => Object.assign({}, ...drawn));
}

function member(field: DescField, depth: number): fc.Arbitrary<Readonly<Record<string, JsonValue>>> {
  return anyValueOf(field, depth).map((value) => ({ [field.jsonName]: value }));
}

function fits(field: DescField, depth: number): boolean {
  return depth > 0 || field.message === undefined;
}

function anyValueOf(field: DescField, depth: number): fc.Arbitrary<JsonValue> {
  switch (field.fieldKind) {
    case "scalar":
      return scalarOf(field.scalar);
    case "enum":
      return fc.constantFrom(...field.enum.values.map(({ name }) => name));
    case "message":
      return messageOf(field.message, depth - 1);
    case "list":
      return fc.array(itemOf(field, depth), { maxLength: 3 });
    case "map":
      return fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), fc.string(), { maxKeys: 3, noNullPrototype: true });
  }
}

function itemOf(field: DescField & { fieldKind: "list" }, depth: number): fc.Arbitrary<JsonValue> {
  if (field.listKind === "message") return messageOf(field.message, depth - 1);
  if (field.listKind === "enum") return fc.constantFrom(...field.enum.values.map(({ name }) => name));
  return scalarOf(field.scalar);
}

function messageOf(desc: DescMessage, depth: number): fc.Arbitrary<JsonValue> {
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return fc.date({ min: new Date(0), max: new Date(4e12), noInvalidDate: true }).map((date) => date.toISOString());
    case "google.protobuf.Struct": {
      const values = fc.oneof(fc.string(), fc.boolean(), fc.constant(null), fc.array(fc.integer(), { maxLength: 3 }));
      return fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), values, { maxKeys: 3, noNullPrototype: true });
    }
    default:
      return jsonOf(desc, depth);
  }
}

function scalarOf(scalar: ScalarType): fc.Arbitrary<JsonValue> {
  switch (scalar) {
    case ScalarType.STRING:
      return fc.string({ unit: "grapheme" });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString("base64"));
    default:
      return fc.integer({ min: 0, max: 0xffff_ffff });
  }
}
