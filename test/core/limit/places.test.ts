// So many at once.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Places } from "../../../src/core/limit/places.js";
import { gate, settle } from "../use-core.js";

describe("places", () => {
  it("runs at once what finds a place, and the rest in the order it came", async () => {
    const places = new Places(2);
    const gates = [gate<void>(), gate<void>(), gate<void>(), gate<void>()];
    const begun: number[] = [];
    const works = gates.map(({ promise }, index) =>
      places.run(() => {
        begun.push(index);
        return promise;
      }),
    );
    expect(begun).toEqual([0, 1]);
    gates[1]?.resolve();
    await settle(1);
    expect(begun).toEqual([0, 1, 2]);
    for (const each of gates) each.resolve();
    await Promise.all(works);
    expect(begun).toEqual([0, 1, 2, 3]);
  });

  it("answers without a promise what is worked without one", () => {
    const places = new Places(1);
    expect([places.run(() => "a"), places.run(() => "b")]).toEqual(["a", "b"]);
  });

  it("gives the place back when the work throws or rejects", async () => {
    const places = new Places(1);
    expect(() =>
      places.run(() => {
        throw new Error("thrown");
      }),
    ).toThrow("thrown");
    await expect(places.run(() => Promise.reject(new Error("rejected")))).rejects.toThrow("rejected");
    expect(places.run(() => "next")).toBe("next");
  });

  it("never works on more than its number at once, whoever comes when", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.record({ ends: fc.boolean(), later: fc.boolean(), pause: fc.boolean() }), { maxLength: 60 }),
        async (number, steps) => {
          const places = new Places(number);
          const open: (() => void)[] = [];
          const works: unknown[] = [];
          let working = 0;
          let most = 0;
          for (const { ends, later, pause } of steps) {
            if (ends) open.shift()?.();
            // Where a promise has just been settled, what it wakes runs only after this.
            if (later) await Promise.resolve();
            if (pause) await settle(1);
            works.push(
              places.run(async () => {
                most = Math.max(most, ++working);
                await new Promise<void>((resolve) => open.push(resolve));
                working--;
              }),
            );
          }
          await settle(1);
          while (open.length > 0) {
            open.shift()?.();
            await settle(1);
          }
          await Promise.all(works);
          expect(most).toBeLessThanOrEqual(number);
        },
      ),
      { numRuns: 60 },
    );
  });
});
