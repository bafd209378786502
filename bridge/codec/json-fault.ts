// Which field of a JSON message is wrong, and why: sought only after decoding has failed.
//
// The library's own messages name types rather than paths, and quote the value, which may be a token.

import { type DescField, type DescMessage, fromJson, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import { MAX_DEPTH } from "./codec.js";

export interface Fault {
  /** The path in the contract's names, e.g. `publish.body.text`; an unknown key as it was given. */
  readonly field: string;
  readonly reason: string;
}

/** The longest piece of a peer's own text that is told back, in UTF-16 units. */
const MAX_QUOTED = 64;

/** The first fault of a value that could not be decoded as `desc`. */
export function findFault(desc: DescMessage, json: JsonValue): Fault {
  return faultOfMessage(desc, json, "") ?? { field: "frame", reason: `not valid, or nested deeper than ${MAX_DEPTH}` };
}

function faultOfMessage(desc: DescMessage, json: JsonValue, path: string): Fault | undefined {
  if (typeof json !== "object" || json === null || Array.isArray(json)) return fault(path, "an object is expected");
  const seen = new Map<string, string>();
  for (const [key, value] of Object.entries(json)) {
    const field = desc.fields.find((each) => each.jsonName === key || each.name === key);
    if (field === undefined) return fault(join(path, key.slice(0, MAX_QUOTED)), "unknown field");
    const here = join(path, field.name);
    const slot = field.oneof?.name ?? field.name;
    const earlier = seen.get(slot);
    if (earlier === field.name) return fault(here, "set twice");
    if (earlier !== undefined) return fault(here, `may not be set together with ${earlier}`);
    seen.set(slot, field.name);
    const found = faultOfField(desc, field, key, value, here);
    if (found !== undefined) return found;
  }
  return undefined;
}

function faultOfField(
  desc: DescMessage,
  field: DescField,
  key: string,
  value: JsonValue,
  path: string,
): Fault | undefined {
  const message = messageOf(field);
  if (message !== undefined && value !== null) {
    if (field.fieldKind === "message") return faultOfMessage(message, value, path);
    if (!Array.isArray(value)) return fault(path, "a list is expected");
    for (const [index, item] of value.entries()) {
      const found = faultOfMessage(message, item, `${path}[${index}]`);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  try {
    fromJson(desc, { [key]: value }, { recursionLimit: MAX_DEPTH });
    return undefined;
  } catch {
    return fault(path, expectation(field));
  }
}

/** The message to look into: not one that has a JSON form of its own. */
function messageOf(field: DescField): DescMessage | undefined {
  if (field.fieldKind !== "message" && field.fieldKind !== "list") return undefined;
  const { message } = field;
  return message === undefined || message.typeName.startsWith("google.protobuf.") ? undefined : message;
}

function expectation(field: DescField): string {
  switch (field.fieldKind) {
    case "scalar":
      return scalarExpectation(field.scalar);
    case "enum":
      return `one of ${field.enum.values.map((value) => value.name).join(", ")} is expected`;
    case "list":
      return field.listKind === "scalar" ? `a list: of each, ${scalarExpectation(field.scalar)}` : "a list is expected";
    case "map":
      return "an object is expected";
    case "message":
      if (field.message.typeName === "google.protobuf.Timestamp") return "a time like 2026-01-31T12:00:00Z is expected";
      return `an object, nested at most ${MAX_DEPTH} deep, is expected`;
  }
}

function scalarExpectation(scalar: ScalarType): string {
  switch (scalar) {
    case ScalarType.STRING:
      return "a string is expected";
    case ScalarType.BOOL:
      return "true or false is expected";
    case ScalarType.BYTES:
      return "bytes as base64 are expected";
    case ScalarType.UINT32:
      return "a whole number from 0 to 4294967295 is expected";
    default:
      return "a number is expected";
  }
}

function fault(path: string, reason: string): Fault {
  return { field: path === "" ? "frame" : path, reason };
}

function join(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}
