// Waiting for a turn and for the next try: never without an end.

import { expect, it } from "vitest";
import { AtMost } from "../../../src/adapters/cluster/at-most.js";
import { Retry } from "../../../src/adapters/cluster/retry.js";
import { StoppedClock } from "../../support/stopped-clock.js";

/** Lets everything happen that needs no time to pass. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
}

it("does so many things at once, and the others in their order, whatever becomes of them", async () => {
  const atMost = new AtMost({ places: 2, deadlineMs: 1_000, clock: new StoppedClock() });
  const begun: number[] = [];
  const gates = [0, 1, 2, 3].map(() => Promise.withResolvers<number>());
  const outcomes = gates.map(({ promise }, index) =>
    atMost.run(() => {
      begun.push(index);
      return promise;
    }),
  );
  await settle();
  expect(begun).toEqual([0, 1]);
  gates[1]?.reject(new Error("failed"));
  await expect(outcomes[1]).rejects.toThrow("failed");
  await settle();
  expect(begun).toEqual([0, 1, 2]);
  for (const [index, { resolve }] of gates.entries()) resolve(index);
  expect(await Promise.all([outcomes[0], outcomes[2], outcomes[3]])).toEqual([0, 2, 3]);
});

it("waits for a turn until its deadline, and leaves the turn to the next", async () => {
  const clock = new StoppedClock();
  const atMost = new AtMost({ places: 1, deadlineMs: 1_000, clock });
  const gate = Promise.withResolvers<void>();
  const first = atMost.run(() => gate.promise);
  const late = atMost.run(async () => "late");
  late.catch(() => {});
  clock.advance(1_000);
  await expect(late).rejects.toThrow("within 1000 ms");
  const next = atMost.run(async () => "next");
  gate.resolve();
  await first;
  expect(await next).toBe("next");
  expect(clock.pending).toBe(0);
});

it("tries again after a pause until it is done", async () => {
  const clock = new StoppedClock();
  let tries = 0;
  const done = new Retry(clock).run(1_000, async () => {
    tries += 1;
    if (tries < 4) throw new Error(`try ${tries}`);
    return tries;
  });
  for (const pauseMs of [25, 50, 100]) {
    await settle();
    const before = tries;
    clock.advance(pauseMs - 1);
    await settle();
    expect(tries).toBe(before);
    clock.advance(1);
  }
  expect(await done).toBe(4);
});

it("gives the last reason where another try would begin after the deadline, or after the end", async () => {
  const clock = new StoppedClock();
  const retry = new Retry(clock);
  let tries = 0;
  const failing = async (): Promise<never> => {
    throw new Error(`try ${++tries}`);
  };
  const inTime = retry.run(60, failing);
  inTime.catch(() => {});
  for (let turn = 0; turn < 10; turn++) {
    await settle();
    clock.advance(25);
  }
  await expect(inTime).rejects.toThrow("try 2");
  const ended = retry.run(60_000, failing);
  ended.catch(() => {});
  await settle();
  retry.close();
  await expect(ended).rejects.toThrow("try 4");
  expect(clock.pending).toBe(0);
});
