// google.protobuf.Struct: any JSON object.

import { FIXED64, LENGTH, type Reader, VARINT, Writer } from "./bytes.js";

/** Deeper than anybody means, and far from what the stack holds. */
const DEEPEST = 100;

export function writeStruct(object: Readonly<Record<string, unknown>>, depth = 0): Uint8Array {
  const writer = new Writer();
  for (const [key, value] of Object.entries(object)) {
    if (value === undefined) continue;
    const entry = new Writer();
    entry.tag(1, LENGTH);
    entry.text(key);
    entry.field(2, writeValue(value, depth + 1));
    writer.field(1, entry.finish());
  }
  return writer.finish();
}

function writeValue(value: unknown, depth: number): Uint8Array {
  if (depth > DEEPEST) throw new Error("too deep");
  const writer = new Writer();
  if (value === null || value === undefined) {
    writer.tag(1, VARINT);
    writer.varint(0);
  } else if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new Error("nothing of JSON");
    writer.tag(2, FIXED64);
    writer.double(value);
  } else if (typeof value === "string") {
    writer.tag(3, LENGTH);
    writer.text(value);
  } else if (typeof value === "boolean") {
    writer.tag(4, VARINT);
    writer.varint(value ? 1 : 0);
  } else if (Array.isArray(value)) {
    const list = new Writer();
    for (const each of value) {
      list.field(1, writeValue(each, depth + 1));
    }
    writer.field(6, list.finish());
  } else if (typeof value === "object") {
    writer.field(5, writeStruct(value as Readonly<Record<string, unknown>>, depth));
  } else throw new Error("nothing of JSON");
  return writer.finish();
}

export function readStruct(reader: Reader, depth = 0): Readonly<Record<string, unknown>> {
  const entries: [string, unknown][] = [];
  const readAt = (value: Reader): unknown => readValue(value.inner(), depth + 1);
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8 + LENGTH) entries.push(readEntry(reader.inner(), null, readAt));
    else reader.skip(tag & 7);
  }
  // A key may be called __proto__: it is one like any other.
  return Object.fromEntries(entries);
}

/** Of a map: its key, and its value as `read` has it. */
export function readEntry<T>(reader: Reader, none: T, read: (value: Reader) => T): [string, T] {
  const entry: [string, T] = ["", none];
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8 + LENGTH) entry[0] = reader.text();
    else if (tag === 16 + LENGTH) entry[1] = read(reader);
    else reader.skip(tag & 7);
  }
  return entry;
}

function readValue(reader: Reader, depth: number): unknown {
  if (depth > DEEPEST) throw new Error("too deep");
  let value: unknown = null;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8 + VARINT) {
      reader.varint();
      value = null;
    } else if (tag === 16 + FIXED64) value = reader.double();
    else if (tag === 24 + LENGTH) value = reader.text();
    else if (tag === 32 + VARINT) value = reader.varint() !== 0;
    else if (tag === 40 + LENGTH) value = readStruct(reader.inner(), depth);
    else if (tag === 48 + LENGTH) value = readList(reader.inner(), depth);
    else reader.skip(tag & 7);
  }
  return value;
}

function readList(reader: Reader, depth: number): readonly unknown[] {
  const list: unknown[] = [];
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8 + LENGTH) list.push(readValue(reader.inner(), depth + 1));
    else reader.skip(tag & 7);
  }
  return list;
}
