// Kafka's record batch, format 2: what a produce stores as a whole or not at all.
// https://kafka.apache.org/documentation/#recordbatch

import { ByteReader, readInt64, varintLength, writeInt64, writeVarint } from "./bytes.js";
import { type Compression, compressed, decompressed } from "./compression.js";
import { crc32c } from "./crc32c.js";

export interface RecordHeader {
  readonly name: string;
  /** A character a byte, as Latin-1 has them. */
  readonly value: string;
}

export interface KafkaRecord {
  /** A character a byte; undefined: no key. */
  readonly key: string | undefined;
  /** Undefined: no value. Read ones alias the answer they came in. */
  readonly value: Uint8Array | undefined;
  readonly headers: readonly RecordHeader[];
}

export interface StoredRecord extends KafkaRecord {
  readonly offset: number;
}

/** Bytes before a batch's first record. */
export const BATCH_HEADER_BYTES = 61;
/** Bytes before what a batch's length counts: its base offset and the length. */
const PREFIX_BYTES = 12;
const MAGIC_AT = 16;
const CRC_AT = 17;
/** What the checksum covers begins here. */
const ATTRIBUTES_AT = 21;
const LAST_OFFSET_DELTA_AT = 23;
const COUNT_AT = 57;
const MAGIC = 2;
/** More than fit into any batch. */
const MOST_RECORDS = 2 ** 24;
/** Attributes: that a batch is Kafka's own mark of a transaction. */
const CONTROL = 0x20;

/** A batch of at least one record, compressed where that makes it smaller. `nowMs` is what its records give as their time. */
export function encodeRecordBatch(
  records: readonly KafkaRecord[],
  nowMs: number,
  compression: Compression = "none",
): Buffer {
  const sizes = records.map(sizeOf);
  const total = sizes.reduce((sum, size) => sum + varintLength(size) + size, BATCH_HEADER_BYTES);
  const plain = Buffer.allocUnsafe(total);
  let at = BATCH_HEADER_BYTES;
  for (const [index, record] of records.entries()) {
    at = writeVarint(plain, sizes[index] ?? 0, at);
    at = writeRecord(plain, record, index, at);
  }
  const { bytes: batch, codec } = compressed(plain, BATCH_HEADER_BYTES, compression);
  writeInt64(batch, 0, 0);
  batch.writeInt32BE(batch.length - PREFIX_BYTES, 8);
  // The leader's epoch: the leader fills it in.
  batch.writeInt32BE(-1, 12);
  batch.writeInt8(MAGIC, MAGIC_AT);
  batch.writeInt16BE(codec, ATTRIBUTES_AT);
  batch.writeInt32BE(records.length - 1, LAST_OFFSET_DELTA_AT);
  writeInt64(batch, nowMs, 27);
  writeInt64(batch, nowMs, 35);
  // No producer id, no epoch, no sequence: neither idempotence nor transactions of Kafka.
  writeInt64(batch, -1, 43);
  batch.writeInt16BE(-1, 51);
  batch.writeInt32BE(-1, 53);
  batch.writeInt32BE(records.length, COUNT_AT);
  batch.writeUInt32BE(crc32c(batch, ATTRIBUTES_AT), CRC_AT);
  return batch;
}

/** What a record takes in a batch at most, in bytes. */
export function recordBytes(record: KafkaRecord): number {
  const size = sizeOf(record, MOST_RECORDS);
  return varintLength(size) + size;
}

function sizeOf({ key, value, headers }: KafkaRecord, index: number): number {
  // Attributes and the time's difference take a byte each.
  let size = 2 + varintLength(index) + sizeOfText(key) + varintLength(headers.length);
  size += value === undefined ? 1 : varintLength(value.length) + value.length;
  for (const { name, value } of headers) size += sizeOfText(name) + sizeOfText(value);
  return size;
}

function sizeOfText(text: string | undefined): number {
  return text === undefined ? 1 : varintLength(text.length) + text.length;
}

function writeRecord(batch: Buffer, { key, value, headers }: KafkaRecord, index: number, start: number): number {
  let at = start;
  batch[at++] = 0;
  batch[at++] = 0;
  at = writeVarint(batch, index, at);
  at = writeText(batch, key, at);
  at = writeVarint(batch, value === undefined ? -1 : value.length, at);
  if (value !== undefined) {
    batch.set(value, at);
    at += value.length;
  }
  at = writeVarint(batch, headers.length, at);
  for (const { name, value } of headers) at = writeText(batch, value, writeText(batch, name, at));
  return at;
}

function writeText(batch: Buffer, text: string | undefined, start: number): number {
  const at = writeVarint(batch, text === undefined ? -1 : text.length, start);
  return text === undefined ? at : at + batch.write(text, at, "latin1");
}

export interface DecodedRecords {
  /** In order, from the offset that was asked for. Batches that only Kafka or somebody else can have written, its marks and those of older formats, are left out. */
  readonly records: readonly StoredRecord[];
  /** The offset after the last whole batch, those left out included; undefined: there is no whole batch. */
  readonly next: number | undefined;
}

/**
 * The batches of a fetch's answer: the first may begin before what was asked for, the last may be cut off. Throws where one is damaged, and
 * where one is compressed as no node does: the broker may have done that to one of ours, so it is not left out.
 */
export function decodeRecordBatches(bytes: Buffer, from = 0): DecodedRecords {
  const records: StoredRecord[] = [];
  let next: number | undefined;
  let at = 0;
  while (at + PREFIX_BYTES <= bytes.length) {
    const base = readInt64(bytes, at);
    const end = at + PREFIX_BYTES + bytes.readInt32BE(at + 8);
    if (end > bytes.length) break;
    const batch = bytes.subarray(at, end);
    at = end;
    if (batch.readInt8(MAGIC_AT) !== MAGIC) {
      next = base + 1;
      continue;
    }
    if (crc32c(batch, ATTRIBUTES_AT) !== batch.readUInt32BE(CRC_AT)) {
      throw new Error(`the record batch at offset ${base} is damaged`);
    }
    next = base + batch.readInt32BE(LAST_OFFSET_DELTA_AT) + 1;
    const attributes = batch.readInt16BE(ATTRIBUTES_AT);
    if ((attributes & CONTROL) !== 0) continue;
    const reader = new ByteReader(decompressed(batch.subarray(BATCH_HEADER_BYTES), attributes, base));
    const count = batch.readInt32BE(COUNT_AT);
    for (let index = 0; index < count; index++) {
      const record = readRecord(reader, base, from);
      if (record !== undefined) records.push(record);
    }
  }
  return { records, next };
}

/** Undefined: it stands before `from`, and what it holds was not looked at. */
function readRecord(reader: ByteReader, base: number, from: number): StoredRecord | undefined {
  const length = reader.varint();
  const end = reader.at + length;
  reader.int8();
  reader.varint();
  const offset = base + reader.varint();
  if (offset < from) {
    reader.take(end - reader.at);
    return undefined;
  }
  const key = readBytes(reader)?.toString("latin1");
  const value = readBytes(reader);
  const headers: RecordHeader[] = [];
  for (let left = reader.varint(); left > 0; left--) {
    const name = readBytes(reader)?.toString("latin1") ?? "";
    headers.push({ name, value: readBytes(reader)?.toString("latin1") ?? "" });
  }
  if (reader.at !== end) throw new Error(`the record at offset ${offset} is damaged`);
  return { offset, key, value, headers };
}

function readBytes(reader: ByteReader): Buffer | undefined {
  const length = reader.varint();
  return length < 0 ? undefined : reader.take(length);
}
