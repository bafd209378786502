// Positions: the tag is a fingerprint of a whole history, the shard of a room is spread evenly.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nextTag, shardOf } from "../../../src/core/room/position.js";

function tagAfter(ids: readonly string[]): number {
  return ids.reduce(nextTag, 0);
}

const anyIds = fc.array(fc.string({ minLength: 1, maxLength: 30 }), { minLength: 1, maxLength: 20 });

describe("nextTag", () => {
  it("is a uint32 above 0, the same for the same history", () => {
    fc.assert(
      fc.property(anyIds, (ids) => {
        const tag = tagAfter(ids);
        expect(Number.isInteger(tag) && tag > 0 && tag <= 0xffff_ffff).toBe(true);
        expect(tagAfter(ids)).toBe(tag);
      }),
    );
  });

  it("tells two histories apart that end in the same events", () => {
    // With 32 bits a double among so few is a one in a million affair; the ids are fixed, so this never flickers.
    const tags = Array.from({ length: 100 }, (_, index) => tagAfter([`first-${index}`, "same", "same again"]));
    expect(new Set(tags).size).toBe(100);
  });

  it("depends on the order of events", () => {
    expect(tagAfter(["a", "b"])).not.toBe(tagAfter(["b", "a"]));
  });

  it("spreads over all 32 bits", () => {
    const tags = Array.from({ length: 20_000 }, (_, index) => nextTag(0, `event-${index}`));
    expect(new Set(tags).size).toBeGreaterThan(19_990);
    for (let bit = 0; bit < 32; bit++) {
      const share = tags.filter((tag) => (tag >>> bit) & 1).length / tags.length;
      expect(share).toBeGreaterThan(0.45);
      expect(share).toBeLessThan(0.55);
    }
  });
});

describe("shardOf", () => {
  it("never leaves the shards there are", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 60 }), fc.integer({ min: 1, max: 1_024 }), (key, shards) => {
        const shard = shardOf(key, shards);
        expect(Number.isInteger(shard) && shard >= 0 && shard < shards).toBe(true);
        expect(shardOf(key, shards)).toBe(shard);
      }),
    );
  });

  it.each([4, 16, 63, 64])("gives each of %i shards its share of rooms", (shards) => {
    const rooms = shards * 500;
    const counts = new Array<number>(shards).fill(0);
    for (let room = 0; room < rooms; room++) {
      const shard = shardOf(`acme/room-${room}`, shards);
      counts[shard] = (counts[shard] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(350);
    expect(Math.max(...counts)).toBeLessThan(650);
  });

  it("stays what it was: the store was filled by it", () => {
    expect(["acme/lobby", "acme/general", "globex/lobby"].map((key) => shardOf(key, 64))).toEqual([56, 40, 9]);
  });
});
