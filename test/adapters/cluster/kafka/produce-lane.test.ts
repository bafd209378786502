// What is appended to one broker at the same time goes in one request.

import { expect, it } from "vitest";
import { ProduceLane } from "../../../../src/adapters/cluster/kafka/produce-lane.js";
import type { PartitionBatch, PartitionOutcome } from "../../../../src/adapters/cluster/kafka/requests.js";
import { StoppedClock } from "../../../support/stopped-clock.js";

interface Request {
  readonly batches: readonly PartitionBatch[];
  answer(code?: number): void;
  fail(): void;
}

/** A lane whose requests the test answers. */
function useLane() {
  const requests: Request[] = [];
  const clock = new StoppedClock();
  const lane = new ProduceLane(
    (batches) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly PartitionOutcome[]>();
      requests.push({
        batches,
        answer: (code = 0) =>
          resolve(batches.map(({ partition }) => ({ partition, code, baseOffset: 100 + partition }))),
        fail: () => reject(new Error("no answer")),
      });
      return promise;
    },
    clock,
    4,
  );
  const turns = async (): Promise<void> => {
    for (let turns = 0; turns < 3; turns++) await new Promise((resolve) => setImmediate(resolve));
  };
  /** Until whatever may be sent is. */
  const turn = async (): Promise<void> => {
    await turns();
    clock.advance(4);
    await turns();
  };
  return { lane, requests, clock, turns, turn };
}

function partitionsOf(request: Request | undefined): readonly number[] {
  return request?.batches.map(({ partition }) => partition) ?? [];
}

it("sends what comes in one turn together, and what comes meanwhile with the next", async () => {
  const { lane, requests, turn } = useLane();
  const first = [lane.append(1, Buffer.alloc(1)), lane.append(2, Buffer.alloc(1))];
  await turn();
  const second = [lane.append(3, Buffer.alloc(1)), lane.append(4, Buffer.alloc(1))];
  await turn();
  expect(requests.map(partitionsOf)).toEqual([[1, 2]]);
  requests[0]?.answer();
  expect(await Promise.all(first)).toEqual([101, 102]);
  await turn();
  expect(requests.map(partitionsOf)).toEqual([
    [1, 2],
    [3, 4],
  ]);
  requests[1]?.answer();
  expect(await Promise.all(second)).toEqual([103, 104]);
});

it("begins requests at least 4 ms apart, and one after a pause at once", async () => {
  const { lane, requests, clock, turns } = useLane();
  const appends = [lane.append(1, Buffer.alloc(1))];
  await turns();
  requests[0]?.answer();
  await turns();
  appends.push(lane.append(2, Buffer.alloc(1)));
  clock.advance(3);
  await turns();
  expect(requests).toHaveLength(1);
  appends.push(lane.append(3, Buffer.alloc(1)));
  clock.advance(1);
  await turns();
  expect(requests.map(partitionsOf)).toEqual([[1], [2, 3]]);
  requests[1]?.answer();
  clock.advance(4);
  appends.push(lane.append(4, Buffer.alloc(1)));
  await turns();
  expect(requests.map(partitionsOf)).toEqual([[1], [2, 3], [4]]);
  requests[2]?.answer();
  await Promise.all(appends);
  expect(clock.pending).toBe(0);
});

it("has each partition once in a request, and keeps its order", async () => {
  const { lane, requests, turn } = useLane();
  const [one, two, three] = [Buffer.from("one"), Buffer.from("two"), Buffer.from("three")];
  const appends = [lane.append(1, one), lane.append(1, two), lane.append(2, three)];
  await turn();
  expect(requests[0]?.batches.map(({ batch }) => batch)).toEqual([one, three]);
  requests[0]?.answer();
  await turn();
  expect(requests[1]?.batches.map(({ batch }) => batch)).toEqual([two]);
  requests[1]?.answer();
  await Promise.all(appends);
});

it("sends no more than 8 MiB at once, and a longer batch alone", async () => {
  const { lane, requests, turn } = useLane();
  const sizes = [5, 2, 4, 9, 1];
  const appends = sizes.map((size, partition) => lane.append(partition, Buffer.alloc(size * 1024 * 1024)));
  for (let request = 0; request < 3; request++) {
    await turn();
    requests[request]?.answer();
  }
  await Promise.all(appends);
  expect(requests.map(partitionsOf)).toEqual([[0, 1, 4], [2], [3]]);
});

it("tells each partition what became of it", async () => {
  const { lane, requests, turn } = useLane();
  const appends = [lane.append(1, Buffer.alloc(1)), lane.append(2, Buffer.alloc(1))];
  await turn();
  requests[0]?.answer(6);
  const settled = await Promise.allSettled(appends);
  expect(settled).toMatchObject([1, 2].map(() => ({ status: "rejected", reason: { name: "KafkaError", code: 6 } })));
});

it("fails what waits behind a request that fails, and goes on with what comes after", async () => {
  const { lane, requests, turn } = useLane();
  const underWay = lane.append(1, Buffer.alloc(1));
  await turn();
  const waiting = lane.append(2, Buffer.alloc(1));
  requests[0]?.fail();
  await expect(underWay).rejects.toThrow("no answer");
  await expect(waiting).rejects.toThrow("no answer");
  const after = lane.append(3, Buffer.alloc(1));
  await turn();
  requests[1]?.answer();
  expect(await after).toBe(103);
});
