// However rooms are made and deleted, and whatever becomes of the log: never one too many is stored, and every free place can be taken.

import fc from "fast-check";
import { expect, it } from "vitest";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { type AppendFault, MemoryEngine } from "../../support/memory-engine.js";
import { settle } from "../use-core.js";
import { TENANT, type TestRooms, useRooms, user } from "./use-rooms.js";

const LIMIT = 3;
const ADA = user("ada");

const NAME = fc.nat(7);
const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(fc.constantFrom("make", "make", "make under", "again"), NAME) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("delete"), NAME) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom("refuse", "lose-answer", "restart"), NAME) },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom(100, 1_000, 61_000), NAME) },
  { weight: 4, arbitrary: fc.tuple(fc.constant("settle"), NAME) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

async function take(rooms: TestRooms, [what, name]: Step, key: string): Promise<void> {
  // Whoever waits for a dead process is never answered.
  const nobodyWaits = (asked: Promise<unknown>): void => void asked.catch(() => {});
  switch (what) {
    case "make":
      return nobodyWaits(rooms.room(`r${name}`, { key }));
    case "again":
      return nobodyWaits(rooms.room(`r${name}`, { key: `again-${name}`, attempt: 2 }));
    case "make under":
      return nobodyWaits(rooms.room(`r${name}~a`, { key, parentId: `r${name}` }));
    case "delete":
      return nobodyWaits(rooms.ask(ADA, "deleteRoom", { roomId: `r${name}`, key }));
    case "restart":
      return rooms.restart();
    case "settle":
      return settle(3);
    default:
      // Or what takes long is taken for slow.
      if (what !== 100) await settle(3);
      rooms.clock.advance(Number(what));
  }
}

/** Whether a room could be made; fails with any other refusal than of the quota. */
async function makes(rooms: TestRooms, roomId: string): Promise<boolean> {
  try {
    await rooms.room(roomId);
    return true;
  } catch (error) {
    expect(TrunklineError.from(error).code).toBe(ErrorCode.LIMIT_EXCEEDED);
    return false;
  }
}

it("a tenant's rooms are never too many, and never fewer than they may be", async () => {
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 60, size: "max" }), async (answersLater, steps) => {
      const engine = new MemoryEngine({ answersLater, shards: 2 });
      const rooms = await useRooms({ engine, limits: { maxRoomsPerTenant: LIMIT } });
      const stored = () => engine.archive.countRooms(TENANT);
      let fault: AppendFault | undefined;
      engine.faultOf = () => {
        const met = fault;
        fault = undefined;
        return met;
      };
      for (const [index, each] of steps.entries()) {
        if (each[0] === "refuse" || each[0] === "lose-answer") fault = { kind: each[0] };
        else await take(rooms, each, `k${index}`);
        expect(await stored()).toBeLessThanOrEqual(LIMIT);
      }
      fault = undefined;
      await settle();
      // Shards that could not write are open again, and a count that was in doubt may be read anew.
      rooms.clock.advance(6_000);
      await settle();
      rooms.clock.advance(1_000);
      for (let name = 0; (await stored()) < LIMIT; name++) expect(await makes(rooms, `free-${name}`)).toBe(true);
      expect(await makes(rooms, "too-many")).toBe(false);
    }),
    { numRuns: 200 },
  );
});
