// Whatever happens to a client: the application is told of each event once, in order, and of all of them while it wants the room; there is one
// connection at most, requests settle, and what servers ask for is obeyed.

import fc from "fast-check";
import { expect, it } from "vitest";
import { Application } from "./application.js";
import { schedule } from "./schedule.js";
import { seen } from "./watch.js";

const RUNS = Number(process.env.TRUNKLINE_CLIENT_RUNS ?? 150);

it("all is well in the end, and nothing was wrong on the way", async () => {
  await fc.assert(
    fc.asyncProperty(schedule, async (schedule) => {
      const application = new Application(schedule);
      await application.live(schedule);
      expect(application.breaches).toEqual([]);
    }),
    { numRuns: RUNS },
  );
  if (process.env.TRUNKLINE_CLIENT_RUNS !== undefined) console.log(new Map([...seen].toSorted()));
}, 580_000);
