// Each state that the connection, a message and a tab can be in: the page shows it, at the width of a phone, and axe-core finds nothing serious in it.

import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { seriousFindings, useAxe } from "./use-axe.js";
import { launchBrowser, missingBrowser, type Tab, useTab } from "./use-page.js";
import { type ServeOptions, type Serving, usePages } from "./use-server.js";

interface Flow {
  /** How many frames of the server's arrive over each new connection. */
  frames: number;
}

/** What the pages that come hear of the server, in the test's hands. */
async function useFlow(context: BrowserContext): Promise<Flow> {
  const flow: Flow = { frames: Number.POSITIVE_INFINITY };
  await context.routeWebSocket(/\/v1\/connect/, (near) => {
    let left = flow.frames;
    near.connectToServer().onMessage((frame) => {
      if (left-- > 0) near.send(frame);
    });
  });
  return flow;
}

describe.skipIf(missingBrowser !== undefined)(
  `the demo's states${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
  () => {
    vi.setConfig({ testTimeout: 90_000 });
    const pages = usePages();
    let browser: Browser;

    beforeAll(async () => {
      browser = await launchBrowser();
    });
    afterAll(() => browser?.close());

    describe.each(["light", "dark"] as const)("in %s colours", (colorScheme) => {
      async function open(options: ServeOptions = {}): Promise<{ context: BrowserContext; serving: Serving }> {
        const serving = await pages.serve(options);
        const context = await browser.newContext({ colorScheme, viewport: { width: 390, height: 700 } });
        onTestFinished(() => context.close());
        await useAxe(context);
        return { context, serving };
      }

      async function join(context: BrowserContext, serving: Serving, name: string): Promise<Tab> {
        const tab = await useTab(context);
        await tab.enter(serving.url, name, "general");
        await tab.state("live");
        return tab;
      }

      async function isFine({ page }: Tab): Promise<void> {
        expect(await seriousFindings(page)).toEqual([]);
        expect(await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")).toBeLessThanOrEqual(0);
      }

      const inspector = (tab: Tab) => tab.page.getByRole("button", { name: "Connection inspector" });
      const leaveInspector = (tab: Tab) => tab.page.getByRole("button", { name: "Close the inspector" }).click();

      it("shows a connection that is live, is off, catches up, is being made, and waits", async () => {
        const { context, serving } = await open();
        const flow = await useFlow(context);
        const [ada, grace] = [await join(context, serving, "Ada"), await join(context, serving, "Grace")];
        const { page } = ada;
        const banner = page.locator(".connection.banner");
        await page.getByText("2 members, 2 online").waitFor();
        await isFine(ada);

        await inspector(ada).click();
        await page.getByRole("button", { name: "Go offline" }).click();
        await leaveInspector(ada);
        await banner.getByText("You are offline").waitFor();
        await isFine(ada);

        for (const text of ["one", "two", "three"]) await grace.say(text);
        await grace.shows(["one", "two", "three"]);
        // The welcome, how the user's inbox and the room stand, and not yet what was said in it.
        flow.frames = 3;
        await banner.getByRole("button", { name: "Go online" }).click();
        await page.getByText("Catching up: 3 to come").waitFor();
        await isFine(ada);

        flow.frames = 0;
        await inspector(ada).click();
        await page.getByRole("button", { name: "Drop connection" }).click();
        await leaveInspector(ada);
        await ada.state("connecting");
        await banner.getByText("Connecting…").waitFor();
        await isFine(ada);

        await serving.backbone.stop({ spreadMs: 0, deadlineMs: 0 });
        await grace.state("waiting");
        await grace.page.locator(".connection.banner").getByText("What you write is kept").waitFor();
        await isFine(grace);
      });

      it("shows a connection that the server has closed", async () => {
        const { context, serving } = await open();
        const ada = await join(context, serving, "Ada");
        pages.revoke("ada");
        await ada.state("closed");
        await ada.page.getByRole("button", { name: "Reconnect" }).waitFor();
        await isFine(ada);
      });

      it("shows messages that wait, were stored, received, read, refused, edited, answered, reacted to and deleted", async () => {
        let refusing = false;
        const beforePublish = async () =>
          refusing
            ? ({ decision: "refuse", reason: "not in this tone", code: "tone" } as const)
            : ({ decision: "allow" } as const);
        const { context, serving } = await open({ publishHook: { beforePublish } });
        const ada = await join(context, serving, "Ada");
        const { page } = ada;
        await ada.say("First");
        await page.getByRole("img", { name: "sent" }).waitFor();
        await isFine(ada);
        const grace = await join(context, serving, "Grace");
        await page.getByRole("img", { name: "read" }).waitFor();
        await grace.say("Second");
        await ada.shows(["First", "Second"]);
        await ada.act("First", "Edit");
        await ada.say("First of all");
        await page.getByText("edited").waitFor();
        await ada.act("Second", "React");
        await page.getByRole("button", { name: "Heart" }).click();
        await page.getByRole("button", { name: "Heart, 1" }).waitFor();
        await ada.act("Second", "Reply");
        await isFine(ada);
        await ada.say("An answer");
        await ada.shows(["First of all", "Second", "An answer"]);
        await ada.say("A slip");
        await ada.shows(["First of all", "Second", "An answer", "A slip"]);
        await ada.act("A slip", "Delete");
        await isFine(ada);
        await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
        await page.getByText("This message was deleted.").first().waitFor();
        refusing = true;
        await ada.say("What nerve");
        await page.locator(".line.failed").getByRole("button", { name: "Retry" }).waitFor();
        await inspector(ada).click();
        await page.getByRole("button", { name: "Go offline" }).click();
        await leaveInspector(ada);
        await ada.say("From the tunnel");
        await ada.showsPending("From the tunnel");
        await isFine(ada);
      });

      it("shows tabs that hold the connection or go by another, and the way without WebSocket", async () => {
        const { context, serving } = await open();
        const tabs = [await join(context, serving, "Ada"), await join(context, serving, "Ada")];
        for (const [index, held] of ["this tab", "another tab"].entries()) {
          const tab = tabs[index];
          if (tab === undefined) continue;
          await inspector(tab).click();
          await tab.page.locator("#held-by", { hasText: held }).waitFor();
          await isFine(tab);
        }
        await context.addInitScript("delete globalThis.WebSocket");
        const grace = await join(context, serving, "Grace");
        await inspector(grace).click();
        await grace.page.getByText("server-sent events").waitFor();
        await isFine(grace);
      });
    });
  },
);
