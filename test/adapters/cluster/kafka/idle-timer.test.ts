// Why connections of kafkajs are repaired at the start, and that they are.

import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { restIdleConnections } from "../../../../src/adapters/cluster/kafka/idle-timer.js";
import { KafkajsRequestQueue, SILENT } from "../../../../src/adapters/cluster/kafka/internals.js";

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

function idleQueue(): KafkajsRequestQueue {
  return new KafkajsRequestQueue({
    maxInFlightRequests: null,
    requestTimeout: 1_000,
    enforceRequestTimeout: false,
    clientId: "test",
    broker: "127.0.0.1:9092",
    logger: SILENT,
  });
}

// The order of these two matters: what is repaired stays repaired in its process.
it("is still needed: kafkajs wakes an idle connection again and again", () => {
  const queue = idleQueue();
  queue.scheduleCheckPendingRequests();
  for (let turn = 0; turn < 100; turn++) {
    expect(vi.getTimerCount()).toBe(1);
    vi.advanceTimersByTime(1);
  }
});

it("lets an idle connection rest, and looks at what waits when it may be sent", () => {
  restIdleConnections();
  restIdleConnections();
  const queue = idleQueue();
  queue.scheduleCheckPendingRequests();
  expect(vi.getTimerCount()).toBe(0);
  Object.assign(queue, { throttledUntil: Date.now() + 500 });
  queue.scheduleCheckPendingRequests();
  expect(vi.getTimerCount()).toBe(1);
  vi.advanceTimersByTime(500);
  expect(vi.getTimerCount()).toBe(0);
});
