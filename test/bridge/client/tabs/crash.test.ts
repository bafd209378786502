// Tabs of a real browser whose process is gone from one moment to the next: the one that holds the connection above all.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { launchBrowser, missingBrowser } from "../../demo/use-page.js";
import { bundleClient } from "../use-page-server.js";
import { crash, useContext, useTabs } from "./use-tabs.js";

describe.skipIf(missingBrowser !== undefined)(`tabs${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`, () => {
  vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });
  let browser: Browser;
  let code: string;
  beforeAll(async () => {
    [browser, code] = await Promise.all([launchBrowser(), bundleClient()]);
  });
  afterAll(() => browser?.close());

  it.each([2, 20])(
    "of %d the others go on when the process of the one that holds the connection is killed",
    async (count) => {
      const { open, say, sayIn, beginToSayIn, heard, counter } = await useTabs(await useContext(browser), code);
      const first = await open();
      await say("one");
      // It was there first: it holds the connection.
      await heard([first]);
      const alive = new Set<Page>(await Promise.all(Array.from({ length: count - 1 }, open)));
      for (const page of alive) page.on("crash", () => alive.delete(page));
      await heard([...alive]);
      expect(counter).toMatchObject({ open: 1, opened: 1 });
      const [witness] = alive;
      if (witness !== undefined) await beginToSayIn(witness, "two");
      await crash(first);
      await say("three");
      // Whoever shared its process is gone with it, and is none of the others.
      expect(alive.size).toBeGreaterThan(0);
      await heard([...alive]);
      for (const page of [...alive].slice(0, 3)) await sayIn(page, "four");
      await heard([...alive]);
      for (const page of alive) expect(await page.evaluate("client.state.status")).toBe("live");
      expect(counter.open).toBe(1);
    },
  );
});
