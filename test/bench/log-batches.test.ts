// Bytes of the log as a benchmark counts them: compressed ones as they are, and nothing that is no event.

import { describe, expect, it } from "vitest";
import { sumBatches } from "../../bench/cluster/log-batches.js";
import { barrierRecord } from "../../src/adapters/cluster/event-record.js";
import { writeInt64 } from "../../src/adapters/cluster/kafka/bytes.js";
import type { Compression } from "../../src/adapters/cluster/kafka/compression.js";
import { encodeRecordBatch, type KafkaRecord } from "../../src/adapters/cluster/kafka/record-batch.js";

function stored(records: readonly KafkaRecord[], offset: number, compression: Compression = "none"): Buffer {
  const batch = encodeRecordBatch(records, 0, compression);
  writeInt64(batch, offset, 0);
  return batch;
}

/** Records built for `at`. */
function records(count: number, at: number): readonly KafkaRecord[] {
  return Array.from({ length: count }, (_, index) => ({
    key: "acme/room",
    value: Buffer.from("what somebody said ".repeat(10)),
    headers: [
      { name: "at", value: `${at}` },
      { name: "index", value: `${index}` },
    ],
  }));
}

describe("the batches of a log", () => {
  it("are added up as they are stored", () => {
    const plain = stored(records(10, 0), 0);
    const small = stored(records(10, 10), 10, "gzip");
    expect(small.length).toBeLessThan(plain.length / 2);
    const sums = sumBatches(Buffer.concat([plain, small]), 0, 20);
    expect(sums).toEqual({ batches: 2, events: 20, bytes: plain.length + small.length, next: 20 });
  });

  it("leave out barriers, void records and what lies beyond", () => {
    const barrier = stored([barrierRecord("node")], 0);
    const late = stored(records(3, 0), 1);
    const batch = stored(records(2, 4), 4);
    const beyond = stored(records(1, 6), 6);
    const sums = sumBatches(Buffer.concat([barrier, late, batch, beyond]), 0, 6);
    expect(sums).toMatchObject({ batches: 1, events: 2, bytes: batch.length });
  });

  it("leave a batch that was cut off to the next page", () => {
    const first = stored(records(2, 0), 0);
    const second = stored(records(2, 2), 2);
    const cut = second.subarray(0, second.length - 1);
    expect(sumBatches(Buffer.concat([first, cut]), 0, 4)).toMatchObject({ batches: 1, events: 2, next: 2 });
  });
});
