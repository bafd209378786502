// The page as people use it who do not see it, or use no mouse: axe-core finds nothing serious, and keys lead everywhere.

import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { seriousFindings, useAxe } from "./use-axe.js";
import { launchBrowser, missingBrowser, type Tab, useTab } from "./use-page.js";
import { type Serving, usePages } from "./use-server.js";

describe.skipIf(missingBrowser !== undefined)(
  `the page for everybody${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
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
    });

    async function open(colorScheme: "light" | "dark"): Promise<Tab> {
      context = await browser.newContext({ colorScheme, viewport: { width: 1280, height: 800 } });
      onTestFinished(() => context.close());
      await useAxe(context);
      const tab = await useTab(context);
      await tab.page.goto(serving.url);
      return tab;
    }

    async function converse(tab: Tab): Promise<void> {
      await tab.enter(serving.url, "Ada", "general");
      await tab.state("live");
      await tab.say("Good morning");
      await tab.say("Is anybody here?");
      await tab.shows(["Good morning", "Is anybody here?"]);
      await tab.act("Good morning", "React");
      await tab.page.getByRole("button", { name: "Heart" }).click();
      await tab.page.getByRole("button", { name: "Heart, 1" }).waitFor();
    }

    describe.each(["light", "dark"] as const)("in %s colours", (colours) => {
      it("has no serious finding at the door", async () => {
        const { page } = await open(colours);
        expect(await seriousFindings(page)).toEqual([]);
      });

      it("has no serious finding in rooms, messages, dialogs and the inspector, with a connection and without", async () => {
        const tab = await open(colours);
        const { page } = tab;
        await converse(tab);
        expect(await seriousFindings(page)).toEqual([]);
        await tab.act("Is anybody here?", "Reply");
        await page.getByRole("button", { name: "Connection inspector" }).click();
        await page.getByRole("button", { name: "Go offline" }).click();
        await tab.state("waiting");
        await tab.say("From the tunnel");
        await tab.showsPending("From the tunnel");
        expect(await seriousFindings(page)).toEqual([]);
        await page.locator(".frames li button").first().click();
        await page.getByRole("button", { name: "New conversation" }).click();
        expect(await seriousFindings(page)).toEqual([]);
        await page.keyboard.press("Escape");
        await page.getByRole("button", { name: "People" }).click();
        expect(await seriousFindings(page)).toEqual([]);
      });

      it("has no serious finding on a phone, and nothing sticks out", async () => {
        const tab = await open(colours);
        const { page } = tab;
        await page.setViewportSize({ width: 360, height: 640 });
        await converse(tab);
        await tab.say("w".repeat(300));
        const overflow = () => page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
        expect(await overflow()).toBeLessThanOrEqual(0);
        await page.getByRole("button", { name: "Connection inspector" }).click();
        expect(await overflow()).toBeLessThanOrEqual(0);
        expect(await seriousFindings(page)).toEqual([]);
        await page.getByRole("button", { name: "Close the inspector" }).click();
        await page.getByRole("button", { name: "Back to the rooms" }).click();
        await page.getByRole("link", { name: /general/ }).waitFor();
        expect(await seriousFindings(page)).toEqual([]);
        expect(await overflow()).toBeLessThanOrEqual(0);
      });
    });

    it("can be used by keyboard alone: from the door to an answer, an edit and back to the rooms", async () => {
      const tab = await open("light");
      const { page } = tab;
      const focused = (selector: string) => expect.poll(() => page.locator(`${selector}:focus`).count()).toBe(1);
      await focused("input[name=name]");
      await page.keyboard.type("Ada");
      await page.keyboard.press("Enter");
      await tab.state("live");
      await tab.message.waitFor();
      await tab.message.focus();
      await page.keyboard.type("First");
      await page.keyboard.press("Enter");
      await page.keyboard.type("Second");
      await page.keyboard.press("Enter");
      await tab.shows(["First", "Second"]);
      // ↑ in the empty field edits what was said last; Esc leaves that.
      await page.keyboard.press("ArrowUp");
      await expect.poll(() => tab.message.inputValue()).toBe("Second");
      await page.keyboard.press("Escape");
      await expect.poll(() => tab.message.inputValue()).toBe("");
      // Among the messages ↑ and ↓ lead on, Enter to what can be done, Esc back.
      await page.locator(".line").last().focus();
      await page.keyboard.press("ArrowUp");
      await focused(".line:has-text('First')");
      await page.keyboard.press("Enter");
      await focused(".line:has-text('First') .actions button");
      await page.keyboard.press("Escape");
      await focused(".line:has-text('First')");
      // Nobody has to go through what can be done with all messages to come to where the next one is written.
      await page.getByRole("button", { name: "Connection inspector" }).focus();
      const stops: string[] = [];
      while (stops.length < 20 && !(await tab.message.evaluate((field) => field.matches(":focus")))) {
        await page.keyboard.press("Tab");
        stops.push(await page.locator(":focus").evaluate((element) => element.className));
      }
      expect(stops.length).toBeLessThan(10);
      await page.getByRole("link", { name: /general/ }).focus();
      await page.keyboard.press("ArrowDown");
      await focused(".rooms a");
    });

    it("tells what others say to who does not see it", async () => {
      const tab = await open("light");
      await converse(tab);
      const other = await useTab(context);
      await other.enter(serving.url, "Grace", "general");
      await other.state("live");
      await other.say("Here I am");
      const told = tab.page.locator('.messages [aria-live="polite"]');
      await expect.poll(() => told.textContent()).toBe("Grace: Here I am");
    });
  },
);
