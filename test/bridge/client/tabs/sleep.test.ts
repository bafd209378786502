// Tabs of a real browser that sleep, so long that the server gives up whoever does not answer, and wake up.

import { beforeAll, describe, expect, it, vi } from "vitest";
import { missingBrowser } from "../../demo/use-page.js";
import { bundleClient } from "../use-page-server.js";
import { freeze, thaw, useOrdinaryBrowser, useTabs } from "./use-tabs.js";

const PATIENCE = { timeout: 40_000, interval: 50 };
/** The server gives a session up within 1.5 s. */
const limits = { pingIntervalMs: 1_000, pongDeadlineMs: 500 };

describe.skipIf(missingBrowser !== undefined)(
  `a tab that sleeps${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
  () => {
    vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });
    let code: string;
    beforeAll(async () => {
      code = await bundleClient();
    });

    it("alone misses nothing, and what it was sending is stored", async () => {
      const { open, say, beginToSayIn, heard, counter } = await useTabs(await useOrdinaryBrowser(), code, { limits });
      const page = await open();
      await say("one");
      await heard([page]);
      await beginToSayIn(page, "two");
      const asleep = await freeze(page);
      await expect.poll(() => counter.open, PATIENCE).toBe(0);
      await say("three", "four");
      await thaw(asleep);
      await beginToSayIn(page, "five");
      await heard([page]);
    });

    it("and does not hold the connection keeps nobody from anything", async () => {
      const { open, say, sayIn, beginToSayIn, heard, counter } = await useTabs(await useOrdinaryBrowser(), code, {
        limits,
      });
      const first = await open();
      await say("one");
      await heard([first]);
      const [second, third] = [await open(), await open()];
      await heard([second, third]);
      await beginToSayIn(second, "two");
      const asleep = await freeze(second);
      await say("three");
      await sayIn(third, "four");
      await sayIn(first, "five");
      await heard([first, third]);
      expect(counter).toMatchObject({ open: 1, opened: 1 });
      await thaw(asleep);
      await heard([first, second, third]);
      await sayIn(second, "six");
      await heard([first, second, third]);
      expect(counter).toMatchObject({ open: 1, opened: 1 });
    });

    it("and holds the connection loses it to another tab, and comes back to that one", async () => {
      const { open, say, sayIn, beginToSayIn, heard, counter } = await useTabs(await useOrdinaryBrowser(), code, {
        limits,
      });
      const first = await open();
      await say("one");
      await heard([first]);
      const others = [await open(), await open(), await open()];
      await heard(others);
      await beginToSayIn(first, "two");
      const asleep = await freeze(first);
      await expect.poll(() => counter.open, PATIENCE).toBe(0);
      await say("three");
      await Promise.all(others.map((page, index) => sayIn(page, `of ${index}`)));
      await heard(others);
      expect(counter.open).toBe(1);
      await thaw(asleep);
      await heard([first, ...others]);
      await sayIn(first, "four");
      await say("five");
      await heard([first, ...others]);
      await expect.poll(() => counter.open, PATIENCE).toBe(1);
      for (const page of [first, ...others]) {
        expect(await page.evaluate("states")).not.toContainEqual(expect.stringContaining("closed"));
        expect(await page.evaluate("client.state.status")).toBe("live");
      }
    });

    it("and is next in line when the one that holds the connection is closed is passed over", async () => {
      const { open, say, sayIn, heard, counter } = await useTabs(await useOrdinaryBrowser(), code, { limits });
      const first = await open();
      await say("one");
      await heard([first]);
      const next = await open();
      await heard([next]);
      const others = [await open(), await open()];
      await heard(others);
      const asleep = await freeze(next);
      await first.close();
      await say("two");
      for (const page of others) await sayIn(page, "here");
      await heard(others);
      await thaw(asleep);
      await heard([next, ...others]);
      await sayIn(next, "three");
      await heard([next, ...others]);
      await expect.poll(() => counter.open, PATIENCE).toBe(1);
    });

    it("with all the others loses nothing either", async () => {
      const { open, say, sayIn, beginToSayIn, heard, counter } = await useTabs(await useOrdinaryBrowser(), code, {
        limits,
      });
      const pages = [await open(), await open(), await open()];
      await say("one");
      await heard(pages);
      for (const [index, page] of pages.entries()) await beginToSayIn(page, `of ${index}`);
      const asleep = await Promise.all(pages.map(freeze));
      await expect.poll(() => counter.open, PATIENCE).toBe(0);
      await say("two", "three");
      await Promise.all(asleep.map(thaw));
      await heard(pages);
      for (const page of pages) await sayIn(page, "awake");
      await heard(pages);
      await expect.poll(() => counter.open, PATIENCE).toBe(1);
    });
  },
);
