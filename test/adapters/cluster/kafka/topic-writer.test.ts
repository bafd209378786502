// What is written to a topic that others read, over partitions in memory.

import { describe, expect, it } from "vitest";
import type { KafkaRecord } from "../../../../src/adapters/cluster/kafka/record-batch.js";
import { TopicWriter, type TopicWriterOptions } from "../../../../src/adapters/cluster/kafka/topic-writer.js";
import { ErrorCode } from "../../../../src/ports/error.js";

class Appends {
  /** Values of each batch, in order. */
  readonly batches: string[][] = [];
  readonly answers: PromiseWithResolvers<number>[] = [];
  closed = false;

  append(_: number, records: readonly KafkaRecord[]): Promise<number> {
    this.batches.push(records.map(({ value = [] }) => Buffer.from(value).toString()));
    const answer = Promise.withResolvers<number>();
    this.answers.push(answer);
    return answer.promise;
  }

  close(): void {
    this.closed = true;
  }
}

function useWriter(differing: Partial<TopicWriterOptions> = {}) {
  const partitions = new Appends();
  const writer = new TopicWriter({ partitions, topic: "t", count: 1, maxBatchBytes: 1_000, ...differing });
  const write = (words: string) => writer.write({ key: "k", value: Buffer.from(words), headers: [] });
  return { partitions, writer, write };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe("a writer of a topic", () => {
  it("writes together what came while it wrote, as far as it fits", async () => {
    const { partitions, write } = useWriter();
    const long = "x".repeat(600);
    const written = Promise.all(["one", "two", "three", long, long].map(write));
    for (let answered = 0; answered < 3; answered++) {
      partitions.answers[answered]?.resolve(0);
      await settle();
    }
    await written;
    expect(partitions.batches).toEqual([["one"], ["two", "three", long], [long]]);
  });

  it("refuses what waits together with what failed, and goes on", async () => {
    const { partitions, write } = useWriter();
    const [one, two] = [write("one"), write("two")];
    partitions.answers[0]?.reject(new Error("away"));
    const unavailable = { name: "TrunklineError", code: ErrorCode.UNAVAILABLE, cause: { message: "away" } };
    await expect(one).rejects.toMatchObject(unavailable);
    await expect(two).rejects.toMatchObject(unavailable);
    const three = write("three");
    partitions.answers[1]?.resolve(0);
    await three;
  });

  it("refuses what no batch holds, what would wait beyond its bound, and everything once it is closed", async () => {
    const { partitions, writer, write } = useWriter({ maxWaitingBytes: 1_000 });
    await expect(write("x".repeat(1_000))).rejects.toMatchObject({ code: ErrorCode.TOO_LARGE });
    const first = write("x".repeat(500));
    const unavailable = { code: ErrorCode.UNAVAILABLE };
    await expect(write("x".repeat(500))).rejects.toMatchObject(unavailable);
    const waiting = write("waits");
    writer.close();
    await expect(waiting).rejects.toMatchObject(unavailable);
    await expect(write("late")).rejects.toMatchObject(unavailable);
    partitions.answers[0]?.resolve(0);
    await first;
    expect(partitions.closed).toBe(true);
  });

  it("chooses the partition as Kafka's clients do", async () => {
    const chosen = new Set<number>();
    const partitions = {
      append: async (partition: number) => {
        chosen.add(partition);
        return 0;
      },
      close: () => {},
    };
    const { writer } = useWriter({ partitions, count: 10 });
    await writer.write({ key: "acme/ada", value: undefined, headers: [] });
    await writer.write({ key: "acme/ada", value: undefined, headers: [] });
    // murmur2("acme/ada") & 0x7fffffff, modulo 10, as the Java client computes it.
    expect([...chosen]).toEqual([7]);
  });
});
