// google.protobuf.Timestamp, which proto3 JSON writes as text.

import { type Reader, VARINT, Writer } from "./bytes.js";

/** Of 2000-01-01T00:00:00. */
const SECONDS_LENGTH = 19;
const NANOS = 1_000_000_000;

/** The last that was written out. */
let lately: number | undefined;
let text = "";

export function writeTime(text: string): Uint8Array {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new Error(`${text} is no time`);
  const seconds = Math.floor(ms / 1_000);
  // Date knows milliseconds; the text may know more.
  const fraction = /\.(\d{1,9})/.exec(text)?.[1] ?? "";
  const writer = new Writer();
  for (const [number, value] of [seconds, Number(fraction.padEnd(9, "0"))].entries()) {
    if (value === 0) continue;
    writer.tag(number + 1, VARINT);
    writer.varint(value);
  }
  return writer.finish();
}

export function readTime(reader: Reader): string {
  let seconds = 0;
  let nanos = 0;
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 8) seconds = reader.varint();
    else if (tag === 16) nanos = reader.varint();
    else reader.skip(tag & 7);
  }
  // What comes together happened together.
  if (seconds !== lately) text = new Date(seconds * 1_000).toISOString().slice(0, SECONDS_LENGTH);
  lately = seconds;
  let digits = String(NANOS + nanos).slice(1);
  // None, three, six or nine of them.
  while (digits.endsWith("000")) digits = digits.slice(0, -3);
  return `${text}${digits && `.${digits}`}Z`;
}
