// What a page of a benchmark finds wrong with the messages that it receives.

import { describe, expect, it } from "vitest";
import { Ordered } from "../../bench/browser/page/ordered.js";
import { messageText } from "../../bench/wire/message-text.js";

function take(ordered: Ordered, ...numbers: readonly number[]): Pick<Ordered, "received" | "doubled"> {
  for (const n of numbers) ordered.take(messageText(n));
  return { received: ordered.received, doubled: ordered.doubled };
}

describe("messages of two rooms", () => {
  it("may overtake those of the other room", () => {
    expect(take(new Ordered(2), 0, 2, 4, 1, 3, 6, 5)).toEqual({ received: 7, doubled: 0 });
  });

  it("that come again count as doubled", () => {
    expect(take(new Ordered(2), 0, 1, 0, 2, 2)).toEqual({ received: 5, doubled: 2 });
  });

  it("that come after one that follows them count as doubled, so that they are missing", () => {
    const { received, doubled } = take(new Ordered(2), 0, 4, 2);
    expect([received, doubled]).toEqual([3, 1]);
  });
});

it("looks at how late messages are once it is told when they are due", () => {
  const ordered = new Ordered(1);
  take(ordered, 0);
  expect(ordered.latencies).toEqual([]);
  ordered.begin({ startAt: 0, intervalMs: 1 });
  take(ordered, 97);
  expect(ordered.latencies).toHaveLength(1);
  expect(ordered.latencies[0]).toBeGreaterThan(Date.UTC(2020));
});
