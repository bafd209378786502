// A `ServerFrame` of stored events as protobuf, put together from the bytes they were stored as: nothing is encoded again.

import type { EncodedEvent } from "../../ports/encoded-event.js";

// A protobuf tag is field number × 8 + 2 for a length-delimited field. These three are below 128, so one byte each.
const SERVER_FRAME_ROOM_EVENTS = (12 << 3) | 2;
const ROOM_EVENTS_ROOM_ID = (1 << 3) | 2;
const ROOM_EVENTS_EVENTS = (2 << 3) | 2;

const utf8 = new TextEncoder();

/**
 * `ServerFrame{room_events: RoomEvents{room_id, events}}`, byte for byte what encoding the message would give for events
 * whose bytes are in field order. The result belongs to the caller; the events' bytes are copied, not kept.
 */
export function encodeRoomEventsFrame(roomId: string, events: readonly EncodedEvent[]): Uint8Array {
  const id = utf8.encode(roomId);
  let inner = id.length === 0 ? 0 : fieldLength(id.length);
  for (const { bytes } of events) inner += fieldLength(bytes.length);

  const frame = new Uint8Array(fieldLength(inner));
  let at = writeHead(frame, 0, SERVER_FRAME_ROOM_EVENTS, inner);
  // proto3 leaves out a string that is empty.
  if (id.length > 0) at = writeField(frame, at, ROOM_EVENTS_ROOM_ID, id);
  for (const { bytes } of events) at = writeField(frame, at, ROOM_EVENTS_EVENTS, bytes);
  return frame;
}

/** Bytes of a length-delimited field with a one-byte tag. */
function fieldLength(content: number): number {
  return 1 + varintLength(content) + content;
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest > 0x7f; rest >>>= 7) length++;
  return length;
}

/** Writes a tag and a length; returns where the content goes. */
function writeHead(target: Uint8Array, offset: number, tag: number, length: number): number {
  let at = offset;
  target[at++] = tag;
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) target[at++] = (rest & 0x7f) | 0x80;
  target[at++] = rest;
  return at;
}

function writeField(target: Uint8Array, offset: number, tag: number, content: Uint8Array): number {
  const at = writeHead(target, offset, tag, content.length);
  target.set(content, at);
  return at + content.length;
}
