// Signals and fatal errors, without a process of its own for each.

import { expect, onTestFinished, test, vi } from "vitest";
import type { StopOptions } from "../../src/backbone/options.js";
import { runUntilStopped } from "../../src/cli/lifetime.js";
import { createLog } from "../../src/ops/log.js";

const OPTIONS = { spreadMs: 3_000, deadlineMs: 15_000 };

function useProcess() {
  // The test runner listens too, and would take what a test emits for a failure.
  for (const name of ["uncaughtException", "unhandledRejection"] as const) {
    const listeners = process.listeners(name as "uncaughtException");
    process.removeAllListeners(name);
    onTestFinished(() => {
      for (const listener of listeners) process.on(name, listener);
    });
  }
  const lines: string[] = [];
  const log = createLog({ level: "debug", format: "json", to: { write: (line: string) => void lines.push(line) } });
  return { log, text: () => lines.join("") };
}

/** A service that ends when the test says so. */
function useService() {
  const stops: StopOptions[] = [];
  const { promise, resolve } = Promise.withResolvers<"drained" | "cut off">();
  const stop = (options: StopOptions) => {
    stops.push(options);
    return promise;
  };
  return { service: { stop }, stops, end: resolve };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

test.each(["SIGTERM", "SIGINT"] as const)(
  "%s lets the service leave in order: 0, and the listeners are gone",
  async (signal) => {
    const { log } = useProcess();
    const before = process.listenerCount(signal);
    const { service, stops, end } = useService();
    const running = runUntilStopped(async () => service, log, OPTIONS);
    await turn();
    process.emit(signal, signal);
    end("drained");
    expect(await running).toBe(0);
    expect(stops).toEqual([OPTIONS]);
    expect(process.listenerCount(signal)).toBe(before);
  },
);

test("a signal during the start is heeded once it is done", async () => {
  const { log } = useProcess();
  const { service, end } = useService();
  const started = Promise.withResolvers<typeof service>();
  const running = runUntilStopped(() => started.promise, log, OPTIONS);
  process.emit("SIGTERM", "SIGTERM");
  started.resolve(service);
  end("drained");
  expect(await running).toBe(0);
});

test("a signal during the start ends the wait for what is missing", async () => {
  const { log, text } = useProcess();
  const running = runUntilStopped(
    (aborted) => new Promise((_, reject) => aborted.addEventListener("abort", () => reject(new Error("not there")))),
    log,
    OPTIONS,
  );
  process.emit("SIGTERM", "SIGTERM");
  expect(await running).toBe(0);
  expect(text()).toContain("stopped while it was starting");
});

test("a start that does not end by itself is not waited for", async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { log } = useProcess();
  const running = runUntilStopped(() => new Promise(() => {}), log, OPTIONS);
  process.emit("SIGTERM", "SIGTERM");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(await running).toBe(0);
});

test("a service that had to be cut off: 4", async () => {
  const { log } = useProcess();
  const { service, end } = useService();
  const running = runUntilStopped(async () => service, log, OPTIONS);
  process.emit("SIGTERM", "SIGTERM");
  end("cut off");
  expect(await running).toBe(4);
});

test("a second signal ends the process at once", async () => {
  const { log } = useProcess();
  const { service, end } = useService();
  const exit = vi.spyOn(process, "exit").mockImplementation(() => {
    throw new Error("exited");
  });
  onTestFinished(() => exit.mockRestore());
  const running = runUntilStopped(async () => service, log, OPTIONS);
  process.emit("SIGINT", "SIGINT");
  expect(() => process.emit("SIGINT", "SIGINT")).toThrow("exited");
  expect(exit).toHaveBeenCalledWith(130);
  end("drained");
  await running;
});

test.each(["uncaughtException", "unhandledRejection"] as const)(
  "an %s is logged with its cause, what can be finished is, and the code is 1",
  async (name) => {
    const { log, text } = useProcess();
    const { service, stops, end } = useService();
    const running = runUntilStopped(async () => service, log, OPTIONS);
    await turn();
    const error = new Error("outer", { cause: new Error("inner") });
    if (name === "uncaughtException") process.emit(name, error);
    else process.emit(name, error, Promise.resolve());
    end("drained");
    expect(await running).toBe(1);
    expect(text()).toContain("caused by: Error: inner");
    expect(stops).toEqual([{ spreadMs: 0, deadlineMs: 3_000 }]);
  },
);

test("what cannot start is told to the caller, and the listeners are gone", async () => {
  const { log } = useProcess();
  const before = process.listenerCount("SIGTERM");
  await expect(runUntilStopped(() => Promise.reject(new Error("no")), log, OPTIONS)).rejects.toThrow("no");
  expect(process.listenerCount("SIGTERM")).toBe(before);
});
