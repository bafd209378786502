// Services that a node waits for at its start, and looks after while it runs.

import { expect, onTestFinished, test } from "vitest";
import { Dependencies } from "../../src/backbone/dependencies.js";
import { awaitDependency, reasonOf } from "../../src/backbone/dependency.js";
import { Telemetry, type TelemetryEvents } from "../../src/core/telemetry.js";
import { createLog } from "../../src/ops/log.js";
import { StoppedClock } from "../support/stopped-clock.js";

function useWait(deadlineMs = 5_000) {
  const clock = new StoppedClock();
  const lines: string[] = [];
  const { logger } = createLog({ level: "info", format: "json", to: { write: (line) => void lines.push(line) } });
  return { clock, lines, wait: { clock, logger, deadlineMs } };
}

test("a service that comes late is waited for, and the log says so", async () => {
  const { clock, lines, wait } = useWait();
  let tries = 0;
  const connected = awaitDependency("Redis", wait, async () => {
    if (++tries < 4) throw new Error("not yet");
    return "there";
  });
  await elapse(clock, 3_000);
  expect(await connected).toBe("there");
  expect(lines.map((line) => JSON.parse(line))).toContainEqual(
    expect.objectContaining({ msg: "waiting for a service", dependency: "Redis", reason: "not yet" }),
  );
  expect(lines.join("")).toContain("the service is there");
});

test("one that does not come is named with the reason at the bottom", async () => {
  const { clock, wait } = useWait(2_000);
  const failed = awaitDependency("Kafka", wait, async () => {
    throw new Error("not reachable", { cause: new Error("connect ECONNREFUSED 10.0.0.1:9092") });
  }).catch((error: unknown) => error);
  await elapse(clock, 3_000);
  expect(await failed).toEqual(new Error("Kafka was not there within 2 s: connect ECONNREFUSED 10.0.0.1:9092"));
});

test("what does not mend itself is not waited for", async () => {
  const { wait } = useWait();
  const failed = awaitDependency("Kafka", { ...wait, isFinal: () => true }, async () => {
    throw new Error("one replica", { cause: new Error("Topic creation errors") });
  });
  await expect(failed).rejects.toThrow("Kafka: one replica");
});

test("one that is no longer waited for is not tried again", async () => {
  const { clock, wait } = useWait();
  const aborting = new AbortController();
  let tries = 0;
  const failed = awaitDependency("Redis", { ...wait, aborted: aborting.signal }, async () => {
    tries += 1;
    throw new Error("not yet");
  }).catch((error: unknown) => error);
  await elapse(clock, 1_000);
  const before = tries;
  aborting.abort();
  expect(await failed).toEqual(new Error("Redis is no longer waited for"));
  await elapse(clock, 1_000);
  expect(tries).toBe(before);
});

test("the reason of an error is what lies below all others", () => {
  expect(reasonOf(new Error("a", { cause: new AggregateError([new Error("b\nc")]) }))).toBe("b");
  expect(reasonOf("text")).toBe("text");
});

function useDependencies() {
  const clock = new StoppedClock();
  const telemetry = new Telemetry();
  const turns: TelemetryEvents["dependency.turned"][] = [];
  telemetry.on("dependency.turned", (turn) => void turns.push(turn));
  const dependencies = new Dependencies(clock, telemetry);
  onTestFinished(() => dependencies.stop());
  return { clock, turns, dependencies };
}

test("a service is away after two looks that failed, and there after one that did not", async () => {
  const { clock, turns, dependencies } = useDependencies();
  let fails = false;
  dependencies.watch("redis", async () => {
    if (fails) throw new Error("gone");
  });
  await elapse(clock, 3_000);
  fails = true;
  await elapse(clock, 1_000);
  expect(dependencies.states).toMatchObject([{ name: "redis", away: false }]);
  await elapse(clock, 1_000);
  expect(dependencies.states).toMatchObject([{ away: true, reason: "gone" }]);
  fails = false;
  await elapse(clock, 1_000);
  expect(dependencies.states).toMatchObject([{ away: false, reason: "" }]);
  expect(turns.map(({ away }) => away)).toEqual([true, false]);
});

test("one that does not answer is away, too: what fails slowly is looked at again at once", async () => {
  const { clock, dependencies } = useDependencies();
  dependencies.watch("kafka", () => new Promise(() => {}));
  await elapse(clock, 6_500);
  expect(dependencies.states).toMatchObject([{ away: true, reason: "no answer within 2500 ms" }]);
});

test("one that stands still for two seconds is not away", async () => {
  const { clock, turns, dependencies } = useDependencies();
  let still = false;
  let goOn = Promise.withResolvers<void>();
  dependencies.watch("kafka", async () => {
    if (still) await goOn.promise;
  });
  for (let times = 0; times < 8; times++) {
    still = true;
    goOn = Promise.withResolvers<void>();
    await elapse(clock, 2_000);
    still = false;
    goOn.resolve();
    await elapse(clock, 1_250);
  }
  expect(turns).toEqual([]);
});

/** Time passes in small steps, and what each brings about happens. */
async function elapse(clock: StoppedClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(250);
    await new Promise((resolve) => setImmediate(resolve));
  }
}
