// The system's clock, as far as that can be told without waiting.

import { describe, expect, test, vi } from "vitest";
import { createSystemClock } from "../../src/ops/clock.js";

const turn = () => new Promise((resolve) => setImmediate(resolve));

describe("soon", () => {
  test("runs after this turn, in order, once", async () => {
    const clock = createSystemClock();
    const ran: string[] = [];
    clock.soon(() => ran.push("a"));
    clock.soon(() => ran.push("b"));
    expect(ran).toEqual([]);
    await turn();
    await turn();
    expect(ran).toEqual(["a", "b"]);
  });

  test("what an action asks for runs in a later turn", async () => {
    const clock = createSystemClock();
    const ran: string[] = [];
    clock.soon(() => clock.soon(() => ran.push("later")));
    await turn();
    expect(ran).toEqual([]);
    await turn();
    expect(ran).toEqual(["later"]);
  });

  test("an action that throws is reported and takes no other with it", async () => {
    const clock = createSystemClock();
    const ran: string[] = [];
    const listeners = process.listeners("uncaughtException");
    process.removeAllListeners("uncaughtException");
    const reported = new Promise((resolve) => process.once("uncaughtException", resolve));
    clock.soon(() => ran.push("before"));
    clock.soon(() => {
      throw new Error("boom");
    });
    clock.soon(() => ran.push("after"));
    expect(await reported).toEqual(new Error("boom"));
    for (const listener of listeners) process.on("uncaughtException", listener);
    await turn();
    expect(ran).toEqual(["before", "after"]);
  });
});

describe("after", () => {
  test("calls once, and not at all when cancelled", () => {
    vi.useFakeTimers();
    try {
      const clock = createSystemClock();
      const called = vi.fn();
      const cancelled = vi.fn();
      clock.after(100, called);
      clock.after(100, cancelled).cancel();
      vi.advanceTimersByTime(1_000);
      expect(called).toHaveBeenCalledTimes(1);
      expect(cancelled).not.toHaveBeenCalled();
    } finally {
      vi.useRealTimers();
    }
  });

  test("keeps to delays that are longer than the system's timers", () => {
    vi.useFakeTimers();
    try {
      const called = vi.fn();
      const FORTY_DAYS_MS = 40 * 86_400_000;
      createSystemClock().after(FORTY_DAYS_MS, called);
      vi.advanceTimersByTime(FORTY_DAYS_MS - 1);
      expect(called).not.toHaveBeenCalled();
      vi.advanceTimersByTime(1);
      expect(called).toHaveBeenCalledTimes(1);
    } finally {
      vi.useRealTimers();
    }
  });

  test("does not keep the process alive", () => {
    const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
    const before = timers();
    const timer = createSystemClock().after(60_000, () => {});
    expect(timers()).toBe(before);
    timer.cancel();
  });
});

test("what is overdue is called soon, and Node has nothing to warn of", async () => {
  const warnings: string[] = [];
  const warned = (warning: Error): void => void warnings.push(warning.name);
  process.on("warning", warned);
  await new Promise<void>((resolve) => createSystemClock().after(-5, resolve));
  await turn();
  process.off("warning", warned);
  expect(warnings).toEqual([]);
});
