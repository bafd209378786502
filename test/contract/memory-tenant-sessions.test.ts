// The counts in memory that tests of several nodes use are held to the contract too.

import { MemoryTenantSessions } from "../support/memory-tenant-sessions.js";
import { StoppedClock } from "../support/stopped-clock.js";
import { describeTenantSessions } from "./tenant-sessions.js";

describeTenantSessions("memory", async () => {
  const clock = new StoppedClock();
  const counts = new MemoryTenantSessions(clock);
  return { node: () => counts.node(), pass: (ms) => clock.advance(ms), close: async () => {} };
});
