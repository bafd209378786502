// Whoever writes, whatever arrives late and whatever answer is lost: a shard has one history, and everybody was told the truth of it.

import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { expect, it } from "vitest";
import { KafkaEventLog } from "../../../src/adapters/cluster/event-log.js";
import { KafkaPartitions } from "../../../src/adapters/cluster/kafka/partitions.js";
import { ensureTopic } from "../../../src/adapters/cluster/kafka/topic.js";
import type { PartitionLog } from "../../../src/adapters/cluster/partition-log.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import type { Clock } from "../../../src/ports/clock.js";
import { describeWith } from "../../support/services/describe-with.js";
import { HastyClock } from "./hasty-clock.js";
import { countedIn, expectOneHistory, historyOf, Writer } from "./histories.js";
import { type Fate, FatefulPartitions, MemoryPartitions } from "./memory-partitions.js";

type Step =
  | { readonly do: "open" }
  | { readonly do: "append"; readonly events: number; readonly fate: Fate }
  | { readonly do: "arrive" };

const fate = fc.constantFrom<Fate>("answered", "answered", "answered", "unanswered", "lost", "late");
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.constant<Step>({ do: "open" }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("append"), events: fc.integer({ min: 1, max: 4 }), fate }) },
  { weight: 1, arbitrary: fc.constant<Step>({ do: "arrive" }) },
);
/** What each of the writers does, one thing after the other. */
const programs = fc.array(fc.array(step, { minLength: 1, maxLength: 8 }), { minLength: 2, maxLength: 3 });

function logOn(partitions: PartitionLog, clock: Clock, node: string): KafkaEventLog {
  const archived = () => 0;
  return new KafkaEventLog({ partitions, shards: 1, era: "era", maxBatchBytes: 1_000_000, node, archived, clock });
}

async function run(writer: Writer, partitions: FatefulPartitions, program: readonly Step[]): Promise<void> {
  for (const one of program) {
    switch (one.do) {
      case "open":
        await writer.open();
        break;
      case "append":
        partitions.next(one.fate);
        await writer.append(one.events);
        break;
      case "arrive":
        await partitions.arrive();
    }
  }
}

it("has one history in every order of things", async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), programs, async (scheduler, steps) => {
      const shared = new MemoryPartitions(1);
      const clock = new HastyClock();
      const nodes = steps.map((program, index) => {
        const partitions = new FatefulPartitions(shared);
        partitions.pause = (what) => scheduler.schedule(Promise.resolve(), `${what} of node ${index}`);
        const log = logOn(partitions, clock, `node-${index}`);
        return { partitions, program, log, writer: new Writer(`w${index}`, log, 0) };
      });
      await scheduler.waitFor(
        Promise.all(nodes.map(({ writer, partitions, program }) => run(writer, partitions, program))),
      );
      for (const { partitions } of nodes) await partitions.arrive();

      const history = await historyOf(logOn(shared, clock, "reader"), 0);
      expectOneHistory(
        history,
        nodes.map(({ writer }) => writer),
      );
      expect(countedIn(shared.stored[0] ?? [])).toHaveLength(history.length);
      // A node may trust for a moment that nobody has written after it.
      for (const { log } of nodes) {
        const trusted = await historyOf(log, 0);
        expect(trusted).toEqual(history.slice(0, trusted.length));
      }
      clock.pass(1_001);
      for (const { log } of nodes) expect(await historyOf(log, 0)).toEqual(history);
    }),
    { numRuns: 300 },
  );
});

describeWith("kafka", "a partition of Kafka", (url) => {
  it("has one history, whoever writes to it", { timeout: 60_000 }, async () => {
    const connection = { brokers: url.split(",") };
    const clock = createSystemClock();
    await fc.assert(
      fc.asyncProperty(programs, async (steps) => {
        const name = `test-${randomUUID()}.events`;
        const topic = await ensureTopic(connection, name, { partitions: 1, replication: 1, allowUnsafe: true });
        const nodes = steps.map((program, index) => {
          const partitions = new FatefulPartitions(new KafkaPartitions({ ...connection, clock, topic: topic.name }));
          const log = logOn(partitions, clock, `node-${index}`);
          return { partitions, program, log, writer: new Writer(`w${index}`, log, 0) };
        });
        await Promise.all(nodes.map(({ writer, partitions, program }) => run(writer, partitions, program)));
        for (const { partitions } of nodes) await partitions.arrive();

        const reader = logOn(new KafkaPartitions({ ...connection, clock, topic: topic.name }), clock, "reader");
        expectOneHistory(
          await historyOf(reader, 0),
          nodes.map(({ writer }) => writer),
        );
        for (const { log } of [...nodes, { log: reader }]) log.close();
      }),
      { numRuns: 12 },
    );
  });
});
