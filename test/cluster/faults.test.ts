// A short run of what `npm run chaos` does at length: while a crowd talks, one thing after the other fails, and no promise is broken.

import { afterAll, beforeAll, expect, test } from "vitest";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { FaultyCluster } from "../support/faults/cluster.js";
import type { FaultTitle } from "../support/faults/faults.js";
import { account, isClean, summary } from "../support/faults/report.js";
import { runRound } from "../support/faults/round.js";
import { printedSeed, seeded } from "../support/story/random.js";

const START_MS = 180_000;
const ROUND_MS = 180_000;
const SIZE = { rooms: 12, publishersPerRoom: 3, receiversPerRoom: 2, everyMs: 300 };
/** Longer than leases hold and nodes are known. */
const MOST_MS = 7_000;

const ROUNDS: readonly (readonly FaultTitle[])[] = [
  ["a node is killed"],
  ["Redis dies and comes back empty"],
  ["a node's subscriptions fall silent", "the answer to a produce is lost"],
  ["a node stands still for longer than its leases"],
  ["a bridge is killed", "a node leaves and comes back"],
];

// What fails here would fail for other suites too: only whether there are services at all is asked of those that are shared.
describeCluster("nothing is lost, doubled, reordered or made up when", () => {
  const random = seeded(printedSeed("faults"));
  let cluster: FaultyCluster | undefined;
  beforeAll(async () => {
    cluster = await FaultyCluster.start();
  }, START_MS);
  afterAll(() => cluster?.stop(), START_MS);

  test.each(ROUNDS.map((faults, index) => ({ title: faults.join(" and "), faults, name: `round-${index}` })))(
    "$title",
    async ({ faults, name }) => {
      if (cluster === undefined) throw new Error("redis-server, Java and Maven are needed");
      const result = await runRound({ cluster, name, random, size: SIZE, faults, mostMs: MOST_MS });
      console.log(`${faults.join(" + ")}: ${summary(result)}`);
      if (!isClean(result)) expect.fail(account(result, cluster).join("\n"));
      expect(result.verdict.events).toBeGreaterThan(SIZE.rooms);
    },
    ROUND_MS,
  );
});
