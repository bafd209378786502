// The shares in memory that tests of several nodes use are held to the contract too.

import { MemoryRateShares } from "../support/memory-rate-shares.js";
import { StoppedClock } from "../support/stopped-clock.js";
import { describeRateShares } from "./rate-shares.js";

describeRateShares("memory", async () => {
  const clock = new StoppedClock();
  const shares = new MemoryRateShares(clock);
  return { node: () => shares.node(), pass: (ms) => clock.advance(ms), close: async () => {} };
});
