// The text that says where a tail goes on.

import fc from "fast-check";
import { expect, it } from "vitest";
import { readCursor, writeCursor } from "../../../src/core/delivery/cursor.js";
import { ErrorCode } from "../../../src/ports/error.js";

const offsets = fc.array(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { minLength: 1, maxLength: 80 });

it("says what was written", () => {
  fc.assert(
    fc.property(offsets, (places) => {
      expect(readCursor(writeCursor(places), places)).toEqual(places);
    }),
  );
});

it("is refused by a store of other shards, and by one whose log does not reach so far", () => {
  const refusal = expect.objectContaining({ code: ErrorCode.INVALID_ARGUMENT, field: "cursor" });
  expect(() => readCursor(writeCursor([1, 2]), [1, 2, 3])).toThrow(refusal);
  expect(() => readCursor(writeCursor([1, 2, 3]), [1, 2])).toThrow(refusal);
  expect(() => readCursor(writeCursor([1, 3]), [9, 2])).toThrow(refusal);
});

it("is refused where it is anything else", () => {
  const known = fc.constantFrom("1", "1.", "2.0.0", "1.0.0.", "1..0", "1.-1.0", "1.0.0 ", "1.A.0", "x".repeat(100_000));
  fc.assert(
    fc.property(fc.oneof(known, fc.string()), (text) => {
      fc.pre(!/^1\.0\.0$/.test(text));
      expect(() => readCursor(text, [0, 0])).toThrow(expect.objectContaining({ code: ErrorCode.INVALID_ARGUMENT }));
    }),
  );
});
