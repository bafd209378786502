// Record batches as Kafka writes and reads them.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { eventRecords } from "../../../../src/adapters/cluster/event-record.js";
import type { Compression } from "../../../../src/adapters/cluster/kafka/compression.js";
import { crc32c } from "../../../../src/adapters/cluster/kafka/crc32c.js";
import {
  BATCH_HEADER_BYTES,
  decodeRecordBatches,
  encodeRecordBatch,
  type KafkaRecord,
} from "../../../../src/adapters/cluster/kafka/record-batch.js";
import { EncodedEvent } from "../../../../src/ports/encoded-event.js";
import { recordBytes } from "../../../../src/ports/event-log.js";
import { roomRef } from "../../../../src/ports/room-ref.js";

const NOW_MS = 1_790_000_000_000;

const ascii = fc.string({ unit: "binary-ascii", maxLength: 200 });
const record: fc.Arbitrary<KafkaRecord> = fc.record({
  key: fc.option(ascii, { nil: undefined }),
  value: fc.option(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    { nil: undefined },
  ),
  headers: fc.array(fc.record({ name: ascii, value: ascii }), { maxLength: 3 }),
});
const batch = fc.array(record, { minLength: 1, maxLength: 150 });

/** As the leader stores it: it says where the batch begins. */
function stored(records: readonly KafkaRecord[], offset: number, compression?: Compression): Buffer {
  const bytes = encodeRecordBatch(records, NOW_MS, compression);
  bytes.writeBigInt64BE(BigInt(offset), 0);
  return bytes;
}

/** A batch of two offsets from 18 on, of a kind that is not ours. */
function withAttributes(attributes: number): Buffer {
  const batch = stored([{ key: "k", value: undefined, headers: [] }], 18);
  batch.writeInt32BE(1, 23);
  batch.writeInt16BE(attributes, 21);
  batch.writeUInt32BE(crc32c(batch, 21), 17);
  return batch;
}

describe("a record batch", () => {
  it("reads as it was written, at the offset it was stored at", () => {
    const base = fc.maxSafeNat().map((offset) => Math.floor(offset / 2));
    fc.assert(
      fc.property(batch, base, (records, offset) => {
        const read = decodeRecordBatches(stored(records, offset));
        expect(read.records).toEqual(records.map((one, index) => ({ ...one, offset: offset + index })));
        expect(read.next).toBe(offset + records.length);
      }),
    );
  });

  it("is read from the offset that is asked for", () => {
    fc.assert(
      fc.property(batch, fc.nat({ max: 200 }), (records, from) => {
        const read = decodeRecordBatches(stored(records, 50), from);
        expect(read.records).toEqual(
          decodeRecordBatches(stored(records, 50)).records.filter((one) => one.offset >= from),
        );
        expect(read.next).toBe(50 + records.length);
      }),
    );
  });

  it("is read up to where an answer is cut off", () => {
    fc.assert(
      fc.property(batch, batch, fc.nat(), (first, second, cut) => {
        const whole = Buffer.concat([stored(first, 10), stored(second, 10 + first.length)]);
        const kept = whole.subarray(0, whole.length - 1 - (cut % (whole.length - 1)));
        const { records, next } = decodeRecordBatches(kept);
        const complete = kept.length >= stored(first, 0).length ? first.length : 0;
        expect(records).toHaveLength(complete);
        expect(next).toBe(complete === 0 ? undefined : 10 + complete);
      }),
    );
  });

  it("is refused with any byte behind its checksum changed", () => {
    fc.assert(
      fc.property(batch, fc.nat(), fc.integer({ min: 1, max: 255 }), (records, place, flip) => {
        const bytes = stored(records, 0);
        const at = 21 + (place % (bytes.length - 21));
        bytes[at] = (bytes[at] ?? 0) ^ flip;
        expect(() => decodeRecordBatches(bytes)).toThrow("damaged");
      }),
    );
  });

  it.each(["gzip", "zstd"] as const)("reads the same where its records are compressed by %s", (compression) => {
    fc.assert(
      fc.property(batch, fc.nat(), (records, offset) => {
        expect(decodeRecordBatches(stored(records, offset, compression))).toEqual(
          decodeRecordBatches(stored(records, offset)),
        );
      }),
    );
  });

  it.each(["gzip", "zstd"] as const)("is smaller by %s where there is much to say, else as it was", (compression) => {
    const record = { key: "acme/lobby", value: Buffer.from("the same words again"), headers: [] };
    const many = Array.from({ length: 100 }, () => record);
    expect(stored(many, 0, compression).length).toBeLessThan(stored(many, 0).length / 2);
    expect(stored([record], 0, compression)).toEqual(stored([record], 0));
    // Of both kinds, one after the other: each node writes its own.
    const mixed = Buffer.concat([stored(many, 0, compression), stored(many, 100), stored(many, 200, "gzip")]);
    expect(decodeRecordBatches(mixed).records.map(({ offset }) => offset)).toEqual([...Array(300).keys()]);
  });

  it("is refused where it is said to be compressed, and is not", () => {
    for (const attributes of [1, 4]) {
      expect(() => decodeRecordBatches(withAttributes(attributes))).toThrow("offset 18 is damaged");
    }
  });

  it("is refused where it is compressed as no node does: it may be one of ours that the broker has compressed", () => {
    for (const attributes of [2, 3]) {
      expect(() => decodeRecordBatches(withAttributes(attributes))).toThrow(
        /offset 18 is compressed.*compression.type/,
      );
    }
  });

  it("is passed over where it is Kafka's mark of a transaction, or of an older format", () => {
    const ours = stored([{ key: "k", value: undefined, headers: [] }], 20);
    const mark = withAttributes(0x20);
    const { records, next } = decodeRecordBatches(Buffer.concat([mark, ours]));
    expect(records.map(({ offset }) => offset)).toEqual([20]);
    expect(next).toBe(21);
    expect(decodeRecordBatches(mark)).toEqual({ records: [], next: 20 });
    const old = Buffer.alloc(40);
    old.writeBigInt64BE(7n, 0);
    old.writeInt32BE(28, 8);
    old.writeInt8(1, 16);
    expect(decodeRecordBatches(old)).toEqual({ records: [], next: 8 });
  });

  it("never takes more than its events are counted as", () => {
    const room = roomRef("t".repeat(128), "r".repeat(128));
    const length = fc.nat({ max: 20_000 });
    fc.assert(
      fc.property(fc.array(length, { minLength: 1, maxLength: 20 }), (lengths) => {
        const events = lengths.map((bytes) => ({ room, event: new EncodedEvent(1, 1, new Uint8Array(bytes)) }));
        const counted = events.reduce((sum, one) => sum + recordBytes(one), 0);
        const records = eventRecords(events, Number.MAX_SAFE_INTEGER - 1_000_000);
        expect(encodeRecordBatch(records, NOW_MS).length).toBeLessThanOrEqual(BATCH_HEADER_BYTES + counted);
      }),
    );
    const many = Array.from({ length: 20_000 }, () => ({ room, event: new EncodedEvent(1, 1, new Uint8Array()) }));
    const counted = many.reduce((sum, one) => sum + recordBytes(one), 0);
    const bytes = encodeRecordBatch(eventRecords(many, Number.MAX_SAFE_INTEGER - 1_000_000), NOW_MS);
    expect(bytes.length).toBeLessThanOrEqual(BATCH_HEADER_BYTES + counted);
  });
});

it("computes CRC-32C as RFC 3720 gives it", () => {
  const ascending = Buffer.from(Array.from({ length: 32 }, (_, index) => index));
  expect(crc32c(Buffer.alloc(32), 0)).toBe(0x8a9136aa);
  expect(crc32c(Buffer.alloc(32, 0xff), 0)).toBe(0x62a8ab43);
  expect(crc32c(ascending, 0)).toBe(0x46dd794e);
  expect(crc32c(Buffer.from("xx123456789"), 2)).toBe(0xe3069283);
});
