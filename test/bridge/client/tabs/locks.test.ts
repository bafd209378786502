// What tabs share a connection by, on the locks of the platform itself: Node's are those of browsers.

import { expect, it, onTestFinished, vi } from "vitest";
import type { TabsPlatform } from "../../../../bridge/client/tabs/channel.js";

const NAME = "trunkline/test";

async function useTabsPlatform(): Promise<TabsPlatform> {
  vi.resetModules();
  vi.stubGlobal("document", {});
  vi.stubGlobal("localStorage", { getItem: () => null, setItem: () => {} });
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  const { browserTabs } = await import("../../../../bridge/client/tabs/browser.js");
  const tabs = browserTabs();
  if (tabs === undefined) throw new Error("tabs cannot share here");
  return tabs;
}

/** Resolves once nobody has the lock. */
async function untilFree(): Promise<void> {
  await vi.waitFor(async () => {
    const { held = [] } = await navigator.locks.query();
    expect(held.map(({ name }) => name)).not.toContain(NAME);
  });
}

it("lets go of a lock, and no longer waits for one, where it is not wanted any more", async () => {
  const { lock } = await useTabsPlatform();
  const had: string[] = [];
  const release = lock(NAME, "wait", () => had.push("first"));
  const leave = lock(NAME, "wait", () => had.push("second"));
  await vi.waitFor(() => expect(had).toEqual(["first"]));
  leave();
  release();
  await untilFree();
  expect(had).toEqual(["first"]);
});

it("lets go of a lock that is given up in the moment that it is had, as one that tells of a tab's end", async () => {
  const { lock } = await useTabsPlatform();
  const had = Promise.withResolvers<void>();
  const release = lock(NAME, "wait", () => {
    release();
    had.resolve();
  });
  await had.promise;
  await untilFree();
});
