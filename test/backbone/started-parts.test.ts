// Stopping what was started, in the opposite order, whatever happens.

import { expect, test } from "vitest";
import { StartedParts } from "../../src/backbone/started-parts.js";

const NEVER = new Promise<void>(() => {});

function useParts() {
  const stopped: string[] = [];
  const faults: unknown[] = [];
  const parts = new StartedParts((name, cause) => faults.push([name, cause]));
  return { parts, stopped, faults, add: (name: string) => parts.add(name, () => void stopped.push(name)) };
}

test("the last started is stopped first, after what is to be done before", async () => {
  const { parts, stopped, add } = useParts();
  for (const name of ["store", "core", "server"]) add(name);
  expect(await parts.stop(1_000, () => void stopped.push("drain"))).toBe("drained");
  expect(stopped).toEqual(["drain", "server", "core", "store"]);
});

test("a part that cannot be stopped is told of and does not hold up the others", async () => {
  const { parts, stopped, faults, add } = useParts();
  add("store");
  parts.add("core", () => Promise.reject(new Error("no")));
  parts.add("server", () => {
    throw new Error("neither");
  });
  expect(await parts.stop(1_000)).toBe("drained");
  expect(stopped).toEqual(["store"]);
  expect(faults).toEqual([
    ["server", new Error("neither")],
    ["core", new Error("no")],
  ]);
});

test("one that never ends is cut off at the deadline, and the others are stopped all the same", async () => {
  const { parts, stopped, add } = useParts();
  add("store");
  parts.add("server", () => NEVER);
  expect(await parts.stop(0)).toBe("cut off");
  expect(stopped).toEqual(["store"]);
});

test("a second stop finds nothing to do", async () => {
  const { parts, stopped, add } = useParts();
  add("store");
  await parts.stop(1_000);
  await parts.stop(1_000);
  expect(stopped).toEqual(["store"]);
});
