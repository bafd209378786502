// What others append is noticed: with one question for everybody, and none where nobody wants to know.

import { expect, it, onTestFinished } from "vitest";
import { Growth } from "../../../src/core/delivery/growth.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { sampleBatch } from "../../contract/samples.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { settle } from "../use-core.js";

it("tells of each shard that has grown until it can be read everywhere, and asks nothing while nobody wants to know", async () => {
  const engine = new MemoryEngine({ archivesOnAppend: false });
  const clock = new StoppedClock();
  const { log } = engine;
  let asked = 0;
  const counting: typeof log = Object.create(log, {
    shards: { value: log.shards },
    ends: {
      value: () => {
        asked++;
        return log.ends();
      },
    },
  });
  const told: number[] = [];
  const settled: string[] = [];
  let wanted = false;
  const deps = { log: counting, clock, telemetry: new Telemetry() };
  const growth = new Growth(deps, {
    wanted: () => wanted,
    grown: (shard) => told.push(shard),
    settled: (shard, end) => settled.push(`${shard} at ${end}`),
  });
  growth.start();
  onTestFinished(() => growth.stop());
  const pass = async (looks: number) => {
    for (let look = 0; look < looks; look++) {
      clock.advance(500);
      await settle();
    }
  };
  await pass(4);
  expect(asked).toBe(0);
  wanted = true;
  growth.begun();
  await pass(5);
  expect([asked, told.length]).toEqual([5, 3 * log.shards]);
  told.length = 0;
  const { end } = await log.open(2);
  await log.append(2, end, sampleBatch(roomRef("acme", "r"), 1));
  await pass(10);
  expect([asked, told, settled]).toEqual([15, [2, 2, 2], []]);
  await pass(6);
  expect(settled).toEqual(["0 at 0", "1 at 0", "3 at 0"]);
  await pass(20);
  expect(settled.slice(3)).toEqual([`2 at ${end + 1}`]);
  // Who begins now is told as well.
  growth.begun();
  await pass(4);
  expect(settled.slice(4)).toEqual(["0 at 0", "1 at 0", `2 at ${end + 1}`, "3 at 0"]);
});
