// The 200-byte text of a benchmark's messages: a marker, the message's number, padding. All characters are the same bytes in
// JSON, in protobuf and in Socket.IO's framing, so that the number can be found without decoding.

const MARKER = Buffer.from("##");
const DIGITS = 8;
const TEXT_BYTES = 200;
const ZERO = 0x30;

/** The text of message `n`. */
export function messageText(n: number): string {
  return `##${String(n).padStart(DIGITS, "0")}`.padEnd(TEXT_BYTES, "x");
}

/** Where the next marker stands at or after `from` and before `end`; −1: nowhere. */
export function findMarker(buffer: Buffer, from: number, end: number): number {
  // Nor is there room for one: the search would run on into what earlier reads left in the buffer.
  if (end - from < TEXT_BYTES) return -1;
  const at = buffer.indexOf(MARKER, from);
  return at < 0 || at >= end ? -1 : at;
}

/** The number of the message whose marker stands at `at`. */
export function numberAt(buffer: Buffer, at: number): number {
  return readDigits(buffer, at + MARKER.length, DIGITS);
}

/** Where to go on looking after the marker at `at`. */
export function afterText(at: number): number {
  return at + TEXT_BYTES;
}

/** Puts the number `n` into encoded bytes that hold a message's text whose marker stands at `at`. */
export function setNumber(buffer: Buffer, at: number, n: number): void {
  writeDigits(buffer, at + MARKER.length, DIGITS, n);
}

/** Writes `value` as `digits` decimal digits. */
export function writeDigits(buffer: Buffer, at: number, digits: number, value: number): void {
  let left = value;
  for (let digit = digits - 1; digit >= 0; digit--) {
    buffer[at + digit] = ZERO + (left % 10);
    left = Math.floor(left / 10);
  }
}

function readDigits(buffer: Buffer, at: number, digits: number): number {
  let value = 0;
  for (let digit = 0; digit < digits; digit++) value = value * 10 + (buffer[at + digit] ?? ZERO) - ZERO;
  return value;
}
