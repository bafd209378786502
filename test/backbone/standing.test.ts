// What a node of a cluster says of itself.

import { describe, expect, test } from "vitest";
import { type ClusterFacts, standingOf } from "../../src/backbone/standing.js";
import { NO_LAG, type ShardStatus } from "../../src/core/room/shard-status.js";

const SHARD: ShardStatus = { shard: 0, is: "open", lag: NO_LAG };
const WELL: ClusterFacts = {
  unowned: 0,
  unreached: [],
  settled: true,
  dependencies: [],
  hears: true,
  known: true,
  shards: [SHARD],
  tooNew: 0,
  notOpenMs: 0,
};
const away = (name: "redis" | "kafka" | "mongodb") => ({
  dependencies: [{ name, away: true, since: 0, reason: "no answer" }],
});

describe("a node", () => {
  test("that has all it needs is ready", () => {
    expect(standingOf(WELL)).toEqual({ reasons: [], limits: [] });
  });

  test.each([
    ["Redis is away: no answer", away("redis")],
    ["Kafka is away: no answer", away("kafka")],
    ["what is published in Redis does not arrive here", { hears: false }],
    ["3 shards have no owner yet", { unowned: 3, settled: false }],
    ["this node's lease in Redis is over", { known: false }],
    [
      "1 of 2 shards of this node are not open",
      { shards: [SHARD, { ...SHARD, is: "away" as const }, { ...SHARD, is: "closed" as const }], notOpenMs: 6_000 },
    ],
  ])("is not ready: %s", (reason, facts) => {
    expect(standingOf({ ...WELL, ...facts })).toEqual({ reasons: [reason], limits: [] });
  });

  test.each([
    ["MongoDB is away: no answer", away("mongodb")],
    ["3 shards have no owner at the moment", { unowned: 3 }],
    ["3 shards hold events of a newer version than this node's, which cannot own them", { tooNew: 3 }],
    ["the archive is 31 s behind", { shards: [{ ...SHARD, lag: { events: 1, bytes: 9, ageMs: 31_000 } }] }],
  ])("is ready within limits: %s", (limit, facts) => {
    expect(standingOf({ ...WELL, ...facts })).toEqual({ reasons: [], limits: [limit] });
  });

  test("that has just got a shard is ready", () => {
    expect(standingOf({ ...WELL, shards: [{ ...SHARD, is: "opening" }], notOpenMs: 1_000 }).reasons).toEqual([]);
  });
});
