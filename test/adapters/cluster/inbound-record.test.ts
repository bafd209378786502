// Records of the inbound topic as any producer may write them: none of them stops a partition.

import { describe, expect, it } from "vitest";
import { deadLetter, MAX_ADDED_BYTES } from "../../../src/adapters/cluster/inbound/dead-letter.js";
import { commandOf, type InboundRecord, inboundRecord } from "../../../src/adapters/cluster/inbound/record.js";
import { recordBytes } from "../../../src/adapters/cluster/kafka/record-batch.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";

const MESSAGE = { key: null, value: null, timestamp: "0", attributes: 0, offset: "5" };

function letterOf(record: InboundRecord, error = new TrunklineError(ErrorCode.NOT_FOUND, "no")) {
  return deadLetter({ record, topic: "inbound", key: "k", error, nowMs: 0 });
}

describe("a record", () => {
  it("keeps headers that repeat, in their order, and those without a value", () => {
    // Its types know of no header without a value; its decoder gives null.
    const headers = JSON.parse('{"once": null, "twice": ["a", null]}');
    const record = inboundRecord(1, { ...MESSAGE, headers });
    expect(record.headers.map(({ name, value }) => `${name}=${value}`)).toEqual(["once=", "twice=a", "twice="]);
  });

  it("that is nested too deep is refused, in either encoding", () => {
    const deep = Buffer.from("[".repeat(500_000));
    for (const type of ["application/json", "Application/X-Protobuf; v=1"]) {
      const record = inboundRecord(1, { ...MESSAGE, value: deep, headers: { "content-type": type } });
      expect(() => commandOf(record, 1_000_000)).toThrow(TrunklineError);
    }
  });
});

describe("a dead letter", () => {
  it("is never much longer than its record", () => {
    const name = Buffer.alloc(300_000, 0xff).toString("utf8");
    const record = inboundRecord(1, { ...MESSAGE, headers: { [name]: "x", "content-type": "text/plain" } });
    const long = "€".repeat(100_000);
    const error = new TrunklineError(ErrorCode.INVALID_ARGUMENT, long, { field: long });
    const letter = letterOf(record, error);
    expect(recordBytes(letter)).toBeLessThan(MAX_ADDED_BYTES);
    expect(letter.headers.map((header) => header.name)).toContain("content-type");
  });

  it("has no key and no value where its record has none", () => {
    expect(letterOf(inboundRecord(1, { ...MESSAGE, headers: {} }))).toMatchObject({ key: undefined, value: undefined });
  });
});
