// The binary encoding: one WebSocket message is one frame in protobuf's wire format.
//
// protobuf-es does this too, with 20 KiB of its own and 10 KiB of descriptors, compressed: more than the whole client may weigh.

import type { ClientFrame, ServerFrame } from "../gen/types.js";
import { LENGTH, Reader, VARINT, Writer } from "./bytes.js";
import type { Codec } from "./codec.js";
import { type Field, TYPES, type Type } from "./schema.js";
import { fromStruct, toStruct } from "./struct.js";
import { fromTimestamp, toTimestamp } from "./time.js";

type Shape = Readonly<Record<string, unknown>>;

export const binaryCodec: Codec = {
  subprotocol: "trunkline.v1.binary",
  encode: (frame: ClientFrame) => encode("ClientFrame", { ...frame }),
  decode(data): ServerFrame {
    if (typeof data === "string") throw new Error("no frame");
    return decode("ServerFrame", new Uint8Array(data));
  },
};

/** Of a message of the contract, as proto3 JSON has it. Throws where a field is not of it, or not of its type. */
export function encode(type: string, message: Shape): Uint8Array<ArrayBuffer> {
  return write(TYPES.get(type), message);
}

function write(type: Type | undefined, message: Shape): Uint8Array<ArrayBuffer> {
  const writer = new Writer();
  for (const [name, value] of Object.entries(message)) {
    if (value === undefined || value === null) continue;
    const field = type?.byName.get(name);
    if (field === undefined) throw new Error(`${type?.name} has no field ${name}`);
    writeField(writer, field, value);
  }
  return writer.finish();
}

/** Of a message of the contract. Throws where it is none. Fields it does not know are passed over. */
export function decode(type: string, bytes: Uint8Array): Shape {
  return read(TYPES.get(type), new Reader(bytes));
}

function read(type: Type | undefined, reader: Reader): Shape {
  const message: Record<string, unknown> = {};
  while (!reader.done) {
    const tag = reader.varint();
    const wireType = tag & 7;
    const field = type?.byNumber.get(Math.floor(tag / 8));
    if (field === undefined) reader.skip(wireType);
    else readField(reader, field, wireType, message);
  }
  return message;
}

function writeField(writer: Writer, field: Field, value: unknown): void {
  if (field.repeated) {
    if (!Array.isArray(value)) throw new Error(`${field.name} is a list`);
    for (const each of value) writeOne(writer, field, each);
  } else if (field.type === "M") {
    for (const [key, text] of Object.entries(value as Shape)) writeOne(writer, field, { key, value: text });
  } else writeOne(writer, field, value);
}

function writeOne(writer: Writer, field: Field, value: unknown): void {
  const { number, type, of, wireType } = field;
  writer.tag(number, wireType);
  if (wireType === VARINT) writer.varint(numberOf(field, value));
  else if (type === "d") writer.double(Number(value));
  else if (type === "s") writer.text(String(value));
  else if (type === "y") writer.bytes(fromBase64(String(value)));
  else {
    const message = type === "T" ? toTimestamp(String(value)) : type === "J" ? toStruct(value as Shape) : value;
    writer.bytes(write(of, message as Shape));
  }
}

function numberOf({ name, type, of }: Field, value: unknown): number {
  if (typeof value === "boolean" && type === "b") return value ? 1 : 0;
  const number = type === "=" && typeof value === "string" ? of?.byName.get(value)?.number : value;
  if (typeof number !== "number" || !Number.isInteger(number)) throw new Error(`${name} cannot be ${String(value)}`);
  return number;
}

function readField(reader: Reader, field: Field, wireType: number, message: Record<string, unknown>): void {
  const { name, repeated, type } = field;
  if (!repeated) {
    const value = readOne(reader, field, wireType);
    message[name] = type === "M" ? { ...(message[name] as Shape | undefined), ...(value as Shape) } : value;
    return;
  }
  const list = (message[name] as unknown[] | undefined) ?? [];
  message[name] = list;
  // Numbers may come packed.
  if (wireType !== LENGTH || field.wireType === LENGTH) list.push(readOne(reader, field, wireType));
  else {
    const packed = reader.inner();
    while (!packed.done) list.push(readOne(packed, field, field.wireType));
  }
}

function readOne(reader: Reader, { name, type, of, wireType: wanted }: Field, wireType: number): unknown {
  if (wireType !== wanted) throw new Error(`${name} is of another type`);
  switch (type) {
    case "u":
      return reader.varint();
    case "b":
      return reader.varint() !== 0;
    case "=": {
      const number = reader.varint();
      return of?.byNumber.get(number)?.name ?? number;
    }
    case "s":
      return reader.text();
    case "y":
      return toBase64(reader.bytes());
    case "d":
      return reader.double();
  }
  const message = read(of, reader.inner());
  switch (type) {
    case "T":
      return fromTimestamp(message);
    case "J":
      return fromStruct(message);
    case "M":
      return fromEntry(message);
    default:
      return message;
  }
}

/** Of a map. */
function fromEntry({ key = "", value = "" }: { readonly key?: string; readonly value?: string }): Shape {
  return { [key]: value };
}

/** As proto3 JSON has bytes. */
function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
}
