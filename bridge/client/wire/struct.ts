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
    entry.tag(2, LENGTH);
    entry.bytes(writeValue(value, depth + 1));
    writer.tag(1, LENGTH);
    writer.bytes(entry.finish());
  }
  return writer.finish();
}

function writeValue(value: unknown, depth: number): Uint8Array {
  if (depth > DEEPEST) throw new Error("nested too deeply");
  const writer = new Writer();
  if (value === null || value === undefined) {
    writer.tag(1, VARINT);
    writer.varint(0);
  } else if (typeof value === "number") {
    if (!Number.isFinite(value)) throw new Error(`${value} is no number of JSON`);
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
      list.tag(1, LENGTH);
      list.bytes(writeValue(each, depth + 1));
    }
    writer.tag(6, LENGTH);
    writer.bytes(list.finish());
  } else if (typeof value === "object") {
    writer.tag(5, LENGTH);
    writer.bytes(writeStruct(value as Readonly<Record<string, unknown>>, depth));
  } else throw new Error(`${typeof value} is nothing of JSON`);
  return writer.finish();
}

export function readStruct(reader: Reader, depth = 0): Readonly<Record<string, unknown>> {
  const entries: [string, unknown][] = [];
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8 + LENGTH) entries.push(readEntry(reader.inner(), depth));
    else reader.skip(tag & 7);
  }
  // A key may be called __proto__: it is one like any other.
  return Object.fromEntries(entries);
}

function readEntry(reader: Reader, depth: number): [string, unknown] {
  const entry: [string, unknown] = ["", null];
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8 + LENGTH) entry[0] = reader.text();
    else if (tag === 16 + LENGTH) entry[1] = readValue(reader.inner(), depth + 1);
    else reader.skip(tag & 7);
  }
  return entry;
}

function readValue(reader: Reader, depth: number): unknown {
  if (depth > DEEPEST) throw new Error("nested too deeply");
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
