// The records of a partition in stopped time: which refusals are waited out, and for how long.

import { create, toBinary } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { InboundEvent } from "../../../src/adapters/cluster/inbound/inbound-event.js";
import { PartitionTurns, type Turn } from "../../../src/adapters/cluster/inbound/partition-turns.js";
import { INTERNAL_TRIES, LONGEST_LIMIT_MS } from "../../../src/adapters/cluster/inbound/patience.js";
import type { InboundRecord } from "../../../src/adapters/cluster/inbound/record.js";
import type { KafkaRecord } from "../../../src/adapters/cluster/kafka/record-batch.js";
import { InboundCommandSchema } from "../../../src/gen/trunkline/v1/inbound_pb.js";
import { ErrorCode, type ErrorOptions, TrunklineError } from "../../../src/ports/error.js";
import { StoppedClock } from "../../support/stopped-clock.js";

const VALUE = Buffer.from(toBinary(InboundCommandSchema, create(InboundCommandSchema, { tenantId: "acme" })));

function record(offset: number, key: string, headers: Readonly<Record<string, string>> = {}): InboundRecord {
  const list = Object.entries({ "content-type": "application/x-protobuf", ...headers });
  return {
    partition: 7,
    offset,
    key: Buffer.from(key),
    value: VALUE,
    headers: list.map(([name, value]) => ({ name, value: Buffer.from(value) })),
  };
}

class Partition {
  readonly clock = new StoppedClock();
  readonly letters: KafkaRecord[] = [];
  readonly events: InboundEvent[] = [];
  /** Keys in the order they were tried. */
  readonly tried: string[] = [];
  /** What the door says to a key; nothing: it takes it. */
  readonly answers = new Map<string, TrunklineError | Promise<void>>();
  buries = true;
  readonly turns = new PartitionTurns({
    door: {
      take: async (_, key) => {
        this.tried.push(key);
        const answer = this.answers.get(key);
        if (answer instanceof TrunklineError) throw answer;
        await answer;
      },
    },
    bury: async (letter) => {
      if (!this.buries) throw new Error("away");
      this.letters.push(letter);
    },
    topic: "inbound",
    topicId: "id",
    maxValueBytes: 1_000,
    clock: this.clock,
    observe: (event) => this.events.push(event),
  });

  run(...records: readonly InboundRecord[]): Promise<Turn> {
    return this.turns.run(records, () => true);
  }

  refuse(offset: number, code: ErrorCode, options: ErrorOptions = {}): void {
    this.answers.set(`kafka:id:7:${offset}`, new TrunklineError(code, "no", options));
  }
}

const offsetOf = ({ last }: Turn) => last?.offset;

describe("a partition", () => {
  it("is dealt with up to what is held, and what was done behind it is not done again", async () => {
    const partition = new Partition();
    const records = [record(3, "a"), record(4, "b"), record(5, "a"), record(7, "b")];
    partition.refuse(4, ErrorCode.UNAVAILABLE);
    const turn = await partition.run(...records);
    expect(offsetOf(turn)).toBe(3);
    expect(turn.waitMs).toBe(100);
    expect(partition.tried).toEqual(["kafka:id:7:3", "kafka:id:7:4", "kafka:id:7:5"]);
    partition.answers.clear();
    partition.tried.length = 0;
    partition.clock.advance(100);
    expect(await partition.run(...records.slice(1))).toEqual({ last: records[3], waitMs: undefined });
    expect(partition.tried).toEqual(["kafka:id:7:4", "kafka:id:7:7"]);
  });

  it("is tried again no sooner than it was told, and ever less often", async () => {
    const partition = new Partition();
    partition.refuse(0, ErrorCode.UNAVAILABLE, { retryAfterMs: 300 });
    const waits: (number | undefined)[] = [];
    for (let round = 0; round < 9; round++) {
      const { waitMs = 0 } = await partition.run(record(0, "a"));
      waits.push(waitMs);
      expect(await partition.run(record(0, "a"))).toMatchObject({ waitMs });
      partition.clock.advance(waitMs);
    }
    expect(waits).toEqual([300, 300, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
    expect(partition.tried).toHaveLength(9);
    expect(partition.letters).toEqual([]);
  });

  it("waits for a limit, but not for one that is too long", async () => {
    const partition = new Partition();
    partition.refuse(0, ErrorCode.RATE_LIMITED, { retryAfterMs: LONGEST_LIMIT_MS });
    partition.refuse(1, ErrorCode.RATE_LIMITED, { retryAfterMs: LONGEST_LIMIT_MS + 1 });
    expect((await partition.run(record(0, "a"), record(1, "b"))).waitMs).toBe(LONGEST_LIMIT_MS);
    expect(partition.events.map(({ is }) => is)).toEqual(["held", "buried"]);
  });

  it("gives up what fails inside again and again", async () => {
    const partition = new Partition();
    partition.refuse(0, ErrorCode.INTERNAL);
    for (let tries = 1; tries < INTERNAL_TRIES; tries++) {
      const { last, waitMs = 0 } = await partition.run(record(0, "a"));
      expect(last).toBeUndefined();
      partition.clock.advance(waitMs);
    }
    expect(offsetOf(await partition.run(record(0, "a")))).toBe(0);
    expect(partition.letters).toHaveLength(1);
  });

  it("is held by a dead letter that cannot be kept", async () => {
    const partition = new Partition();
    partition.refuse(0, ErrorCode.NOT_FOUND);
    partition.buries = false;
    const held = await partition.run(record(0, "a"), record(1, "a"));
    expect(held).toEqual({ last: undefined, waitMs: 100 });
    partition.buries = true;
    partition.clock.advance(100);
    expect(offsetOf(await partition.run(record(0, "a"), record(1, "a")))).toBe(1);
    expect(partition.letters).toHaveLength(1);
  });

  it("tries a command again that has no outcome in time", async () => {
    const partition = new Partition();
    const never = Promise.withResolvers<void>();
    partition.answers.set("kafka:id:7:0", never.promise);
    const running = partition.run(record(0, "a"));
    while (partition.clock.pending === 0) await new Promise((resolve) => setImmediate(resolve));
    partition.clock.advance(15_000);
    expect(await running).toEqual({ last: undefined, waitMs: 100 });
  });

  it("looks at no more once it is to end", async () => {
    const partition = new Partition();
    let left = 1;
    const turn = await partition.turns.run([record(0, "a"), record(1, "a"), record(2, "a")], () => left-- > 0);
    expect(offsetOf(turn)).toBe(0);
    expect(turn.waitMs).toBeUndefined();
  });

  it("refuses a value that is longer than any command", async () => {
    const partition = new Partition();
    await partition.run({ ...record(0, "a"), value: Buffer.alloc(1_001) });
    expect(partition.events).toMatchObject([{ is: "buried", error: { code: ErrorCode.TOO_LARGE, field: "value" } }]);
  });

  it("takes the key of a dead letter that is sent again", async () => {
    const partition = new Partition();
    await partition.run(record(9, "a", { "trunkline-key": "kafka:id:3:1" }));
    expect(partition.tried).toEqual(["kafka:id:3:1"]);
  });
});
