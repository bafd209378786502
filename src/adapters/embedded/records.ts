// How values of the tables are laid out as bytes.

import { EncodedEvent } from "../../ports/encoded-event.js";
import { type RoomRef, roomRef } from "../../ports/room-ref.js";

/** Where the log points to an event from. */
export interface LogPlace {
  readonly shard: number;
  readonly offset: number;
}

/** A value of the events table: what is needed to find everything else that belongs to the event, then its bytes. */
export interface EventRecord {
  readonly tag: number;
  /** 0: it created no message. */
  readonly messageIndex: number;
  /** Undefined: it came through `Archive.apply`, not through the log. */
  readonly place: LogPlace | undefined;
  readonly eventId: string;
  readonly bytes: Uint8Array;
}

const EVENT_HEADER = 17;
const NO_SHARD = 0xffff;

export function writeEvent({ tag, messageIndex, place, eventId, bytes }: EventRecord): Uint8Array {
  const value = Buffer.allocUnsafe(EVENT_HEADER + eventId.length + bytes.length);
  value.writeUInt32BE(tag, 0);
  value.writeUInt32BE(messageIndex, 4);
  value.writeUInt16BE(place?.shard ?? NO_SHARD, 8);
  value.writeUIntBE(place?.offset ?? 0, 10, 6);
  value.writeUInt8(eventId.length, 16);
  value.write(eventId, EVENT_HEADER, "latin1");
  value.set(bytes, EVENT_HEADER + eventId.length);
  return value;
}

export function readEvent(stored: Uint8Array): EventRecord {
  const value = asBuffer(stored);
  const idEnd = EVENT_HEADER + value.readUInt8(16);
  const shard = value.readUInt16BE(8);
  return {
    tag: value.readUInt32BE(0),
    messageIndex: value.readUInt32BE(4),
    place: shard === NO_SHARD ? undefined : { shard, offset: value.readUIntBE(10, 6) },
    eventId: value.toString("latin1", EVENT_HEADER, idEnd),
    bytes: stored.subarray(idEnd),
  };
}

/** Reads only what a receiver needs. */
export function readEncodedEvent(seq: number, stored: Uint8Array): EncodedEvent {
  const value = asBuffer(stored);
  return new EncodedEvent(seq, value.readUInt32BE(0), stored.subarray(EVENT_HEADER + value.readUInt8(16)));
}

/** A value of the log table: it points into the events table, so that no event is stored twice. */
export interface LogPointer {
  readonly room: RoomRef;
  readonly seq: number;
  /** Milliseconds since 1970. */
  readonly createdAtMs: number;
}

const POINTER_HEADER = 12;

export function writePointer({ room, seq, createdAtMs }: LogPointer): Uint8Array {
  const value = Buffer.allocUnsafe(POINTER_HEADER + room.key.length);
  value.writeDoubleBE(createdAtMs, 0);
  value.writeUInt32BE(seq, 8);
  value.write(room.key, POINTER_HEADER, "latin1");
  return value;
}

export function readPointer(stored: Uint8Array): LogPointer {
  const value = asBuffer(stored);
  const key = value.toString("latin1", POINTER_HEADER);
  const slash = key.indexOf("/");
  return {
    room: roomRef(key.slice(0, slash), key.slice(slash + 1)),
    seq: value.readUInt32BE(8),
    createdAtMs: value.readDoubleBE(0),
  };
}

/** A document, preceded by its `appliedSeq`, so that two can be compared without decoding. */
export function writeDocument(appliedSeq: number, bytes: Uint8Array): Uint8Array {
  const value = Buffer.allocUnsafe(4 + bytes.length);
  value.writeUInt32BE(appliedSeq, 0);
  value.set(bytes, 4);
  return value;
}

export function appliedSeqOf(stored: Uint8Array): number {
  return asBuffer(stored).readUInt32BE(0);
}

export function documentOf(stored: Uint8Array): Uint8Array {
  return stored.subarray(4);
}

/** A value of the messages table: the seq of the creating event, and the document once the message has changed. */
export interface MessageRecord {
  readonly createdSeq: number;
  readonly appliedSeq: number;
  readonly document: Uint8Array | undefined;
}

const MESSAGE_HEADER = 8;

export function writeMessage({ createdSeq, appliedSeq, document }: MessageRecord): Uint8Array {
  const value = Buffer.allocUnsafe(document === undefined ? 4 : MESSAGE_HEADER + document.length);
  value.writeUInt32BE(createdSeq, 0);
  if (document === undefined) return value;
  value.writeUInt32BE(appliedSeq, 4);
  value.set(document, MESSAGE_HEADER);
  return value;
}

export function readMessage(stored: Uint8Array): MessageRecord {
  const value = asBuffer(stored);
  const createdSeq = value.readUInt32BE(0);
  if (value.length < MESSAGE_HEADER) return { createdSeq, appliedSeq: 0, document: undefined };
  return { createdSeq, appliedSeq: value.readUInt32BE(4), document: stored.subarray(MESSAGE_HEADER) };
}

export function writeUint32(number: number): Uint8Array {
  const value = Buffer.allocUnsafe(4);
  value.writeUInt32BE(number, 0);
  return value;
}

export function readUint32(stored: Uint8Array): number {
  return asBuffer(stored).readUInt32BE(0);
}

/** A value of the shards table: where the next append goes, and up to where the archive has everything. */
export interface ShardRecord {
  readonly end: number;
  readonly archived: number;
}

export function writeShard({ end, archived }: ShardRecord): Uint8Array {
  const value = Buffer.allocUnsafe(16);
  value.writeDoubleBE(end, 0);
  value.writeDoubleBE(archived, 8);
  return value;
}

export function readShard(stored: Uint8Array | undefined): ShardRecord {
  if (stored === undefined) return { end: 0, archived: 0 };
  const value = asBuffer(stored);
  return { end: value.readDoubleBE(0), archived: value.readDoubleBE(8) };
}

/** An offset of a log. */
export function writeOffset(offset: number): Uint8Array {
  const value = Buffer.allocUnsafe(8);
  value.writeDoubleBE(offset, 0);
  return value;
}

export function readOffset(stored: Uint8Array): number {
  return asBuffer(stored).readDoubleBE(0);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
