// Order within a session.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Lanes } from "../../../src/core/session/lanes.js";
import { gate, settle } from "../use-core.js";

describe("lanes", () => {
  it("begin at once where nothing is waited for", () => {
    const lanes = new Lanes();
    const begun: string[] = [];
    const step = (name: string) => (): undefined => {
      begun.push(name);
    };
    lanes.run("a", step("a1"));
    lanes.run("a", step("a2"));
    expect(begun).toEqual(["a1", "a2"]);
  });

  it("hold up their own followers and nobody else's", async () => {
    const lanes = new Lanes();
    const slow = gate<void>();
    const begun: string[] = [];
    const step = (name: string, wait?: Promise<void>) => () => {
      begun.push(name);
      return wait;
    };
    lanes.run("a", step("a1", slow.promise));
    lanes.run("a", step("a2"));
    lanes.run("b", step("b1"));
    expect(begun).toEqual(["a1", "b1"]);
    slow.resolve();
    await settle(1);
    expect(begun).toEqual(["a1", "b1", "a2"]);
    // Nothing is waited for any more: at once again.
    lanes.run("a", step("a3"));
    expect(begun).toEqual(["a1", "b1", "a2", "a3"]);
  });

  it("keep the order of each, one step at a time, in whatever order steps settle", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ lane: fc.constantFrom("a", "b", "c"), waits: fc.boolean() }), { maxLength: 40 }),
        fc.infiniteStream(fc.nat()),
        async (steps, choices) => {
          const lanes = new Lanes();
          const open: { readonly lane: string; readonly end: () => void }[] = [];
          const begun = new Map<string, number[]>();
          const sent = new Map<string, number[]>();
          const end = (): void => {
            const choice: number = choices.next().value ?? 0;
            for (const each of open.splice(choice % open.length, 1)) each.end();
          };
          for (const [index, { lane, waits }] of steps.entries()) {
            sent.set(lane, [...(sent.get(lane) ?? []), index]);
            lanes.run(lane, () => {
              expect(open.filter((each) => each.lane === lane)).toEqual([]);
              begun.set(lane, [...(begun.get(lane) ?? []), index]);
              if (!waits) return undefined;
              const { promise, resolve } = gate<void>();
              open.push({ lane, end: () => resolve() });
              return promise;
            });
            if (open.length > 0 && (choices.next().value ?? 0) % 3 === 0) end();
            if ((choices.next().value ?? 0) % 4 === 0) await settle(1);
          }
          await settle(1);
          while (open.length > 0) {
            end();
            await settle(1);
          }
          expect(begun).toEqual(sent);
        },
      ),
      { numRuns: 60 },
    );
  });
});
