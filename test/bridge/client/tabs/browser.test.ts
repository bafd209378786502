// Tabs of a real browser on a real backbone: they share one connection, whatever becomes of it and of them.

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { launchBrowser, missingBrowser } from "../../demo/use-page.js";
import { bundleClient } from "../use-page-server.js";
import { useContext, useTabs } from "./use-tabs.js";

const PATIENCE = { timeout: 40_000, interval: 50 };

describe.skipIf(missingBrowser !== undefined)(`tabs${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`, () => {
  vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });
  let browser: Browser;
  let code: string;
  beforeAll(async () => {
    [browser, code] = await Promise.all([launchBrowser(), bundleClient()]);
  });
  afterAll(() => browser?.close());

  it("go on over a cut, over tokens that expire, and without the one that stands still", async () => {
    const context = await useContext(browser);
    const { open, say, sayIn, heard, counter } = await useTabs(context, code, { tokenMs: 5_000 });
    const first = await open();
    await say("one");
    await heard([first]);
    const second = await open();
    await sayIn(second, "two");
    await heard([first, second]);
    expect(counter).toMatchObject({ open: 1, opened: 1 });
    counter.cut();
    await say("three");
    await sayIn(first, "four");
    await heard([first, second]);
    expect(counter).toMatchObject({ open: 1, opened: 2 });

    const devtools = await context.newCDPSession(first);
    await devtools.send("Debugger.enable");
    const paused = new Promise<void>((resolve) => devtools.once("Debugger.paused", () => resolve()));
    await devtools.send("Debugger.pause");
    // Whatever it does next, it does not get far.
    devtools.send("Runtime.evaluate", { expression: "1" }).catch(() => {});
    await paused;
    await say("five");
    await sayIn(second, "six");
    await heard([second]);
    await devtools.send("Debugger.disable");
    await heard([first, second]);
    await say("seven");
    await heard([first, second]);
    await expect.poll(() => counter.open, PATIENCE).toBe(1);
  });

  it("are twenty, and one for the server, over cuts, a restart and the end of those that hold the connection", async () => {
    const { open, say, sayIn, heard, counter, server } = await useTabs(await useContext(browser), code);
    await say("one");
    const pages = await Promise.all(Array.from({ length: 20 }, open));
    await heard(pages);
    expect(counter).toMatchObject({ open: 1, opened: 1 });
    counter.cut();
    await say("two", "three");
    await heard(pages);
    await server.restart();
    const last = pages.at(-1);
    if (last !== undefined) await sayIn(last, "four");
    await say("five");
    await heard(pages);
    for (const page of pages.splice(0, 5)) {
      await page.close();
      await say("on");
    }
    await heard(pages);
    await expect.poll(() => counter.open, PATIENCE).toBe(1);
  });
});
