// The text that says where a tail goes on.

import fc from "fast-check";
import { expect, it } from "vitest";
import { readCursor, writeCursor } from "../../../src/core/delivery/cursor.js";
import { ErrorCode } from "../../../src/ports/error.js";

const offsets = fc.array(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { minLength: 1, maxLength: 80 });
const era = fc.stringMatching(/^[A-Za-z0-9_-]{1,32}$/);

it("says what was written", () => {
  fc.assert(
    fc.property(era, offsets, (era, places) => {
      expect(readCursor(writeCursor({ era, offsets: places }))).toEqual({ era, offsets: places });
    }),
  );
});

it("is refused where it is anything else", () => {
  const known = fc.constantFrom(
    ...["2", "2.", "2.era", "1.0.0", "2.era.0.", "2..0", "2.era.-1", "2.era.0 ", "2.era.A", "2.a b.0"],
    `2.${"e".repeat(33)}.0`,
    "2.era.zzzzzzzzzzzz",
    `2.era${".0".repeat(100_000)}`,
  );
  fc.assert(
    fc.property(fc.oneof(known, fc.string()), (text) => {
      fc.pre(!/^2\.[\w-]{1,32}(\.[0-9a-z]{1,11})+$/.test(text) || text.length > 64 * 1024);
      expect(() => readCursor(text)).toThrow(expect.objectContaining({ code: ErrorCode.INVALID_ARGUMENT }));
    }),
  );
});
