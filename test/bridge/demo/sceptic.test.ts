// What a sceptical visitor does to the page: long texts, odd addresses, impatience, a browser that keeps nothing.

import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { launchBrowser, missingBrowser, type Tab, useTab } from "./use-page.js";
import { type Serving, usePages } from "./use-server.js";

describe.skipIf(missingBrowser !== undefined)(
  `the demo, for a sceptic${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
  () => {
    vi.setConfig({ testTimeout: 90_000 });
    const pages = usePages();
    let browser: Browser;
    let context: BrowserContext;
    let serving: Serving;

    beforeAll(async () => {
      browser = await launchBrowser();
    });
    afterAll(() => browser?.close());
    beforeEach(async () => {
      serving = await pages.serve();
      context = await browser.newContext({ viewport: { width: 1280, height: 800 } });
      onTestFinished(() => context.close());
    });

    async function join(name: string, room = "general"): Promise<Tab> {
      const tab = await useTab(context);
      await tab.enter(serving.url, name, room);
      await tab.state("live");
      return tab;
    }

    const inspect = (tab: Tab) => tab.page.getByRole("button", { name: "Connection inspector" }).click();
    const turn = (tab: Tab, to: "offline" | "online") =>
      tab.page
        .getByRole("button", { name: `Go ${to}` })
        .first()
        .click();

    it.each(["#/100%", "#/no such room", "#/%F0%9F%A6%8A", `#/${"x".repeat(200)}`])(
      "shows the rooms where the address names none that could be: %s",
      async (hash) => {
        const ada = await join("Ada");
        await ada.page.goto(`${serving.url}${hash}`);
        await ada.page.reload();
        await ada.state("live");
        await ada.page.getByRole("link", { name: "general" }).click();
        await ada.say("here I am");
        await ada.shows(["here I am"]);
        expect(ada.complaints).toEqual([]);
      },
    );

    it("works where the browser forbids to keep anything", async () => {
      await context.addInitScript(`
        for (const name of ["localStorage", "sessionStorage", "indexedDB"]) {
          const get = () => { throw new DOMException("The operation is insecure.", "SecurityError"); };
          Object.defineProperty(window, name, { get });
        }`);
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      await ada.say("nothing is kept here");
      await grace.shows(["nothing is kept here"]);
      await ada.page.getByRole("button", { name: /^Theme/ }).click();
      for (const tab of [ada, grace]) expect(tab.complaints).toEqual([]);
    });

    it("can be switched off in a tab whose connection is held by one that its user has signed out of", async () => {
      const [first, second] = [await join("Ada"), await join("Ada")];
      await first.page.getByRole("button", { name: "Sign out" }).click();
      await first.page.getByLabel("Your name").waitFor();
      await inspect(second);
      await second.page.locator("#held-by", { hasText: "another tab" }).waitFor();
      await turn(second, "offline");
      await second.state("waiting");
      await turn(second, "online");
      await second.state("live");
    });
  },
);
