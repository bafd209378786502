// What the demo's inspector does to the connection, and how the tabs of one browser share it.

import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Backbone } from "../../../src/backbone/options.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { launchBrowser, missingBrowser, type Tab, useTab } from "./use-page.js";
import { type Serving, usePages } from "./use-server.js";

interface Ending {
  readonly userId: string;
  readonly code: number;
  readonly reason: string;
}

/** How sessions end, as the server sees it. */
function endingsOf({ telemetry }: Backbone): readonly Ending[] {
  const endings: Ending[] = [];
  telemetry.on("session.closed", ({ userId, code, reason }) => endings.push({ userId, code, reason }));
  return endings;
}

describe.skipIf(missingBrowser !== undefined)(
  `the demo's connection${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
  () => {
    vi.setConfig({ testTimeout: 90_000 });
    const pages = usePages();
    let browser: Browser;
    let context: BrowserContext;
    let serving: Serving;
    let endings: readonly Ending[];

    beforeAll(async () => {
      browser = await launchBrowser();
    });
    afterAll(() => browser?.close());
    beforeEach(async () => {
      serving = await pages.serve();
      endings = endingsOf(serving.backbone);
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
    const held = (tab: Tab) => tab.page.locator("#held-by");

    it("closes the connection in order where its user goes offline: others see at once that they are away", async () => {
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      await grace.page.getByText("2 members, 2 online").waitFor();
      await inspect(ada);
      await ada.page.getByRole("button", { name: "Go offline" }).click();
      await ada.state("waiting");
      await expect.poll(() => endings, { timeout: 15_000 }).toHaveLength(1);
      expect(endings[0]).toMatchObject({ userId: "ada", reason: "closed by the client" });
      await grace.page.getByText("2 members, 1 online").waitFor();
      await ada.page.locator(".inspector").getByRole("button", { name: "Go online" }).click();
      await ada.state("live");
      await grace.page.getByText("2 members, 2 online").waitFor();
    });

    it("cuts the connection where it is dropped: the server hears nothing of it until the device is back, and nobody misses anything", async () => {
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      await inspect(ada);
      const session = ada.page.locator(".figures .code");
      const before = await session.textContent();
      await ada.page.getByRole("button", { name: "Drop connection" }).click();
      await grace.say("Still there?");
      await ada.shows(["Still there?"]);
      await expect.poll(() => session.textContent()).not.toBe(before);
      expect(endings).toEqual([expect.objectContaining({ userId: "ada", code: CloseCode.REPLACED })]);
      await ada.state("live");
      for (const tab of [ada, grace]) expect(tab.complaints).toEqual([]);
    });

    it("shares one connection between the tabs of a user, says which holds it, and hands it on", async () => {
      const first = await join("Ada");
      const second = await join("Ada");
      await inspect(first);
      await inspect(second);
      await expect.poll(() => held(first).textContent()).toContain("this tab");
      await expect.poll(() => held(second).textContent()).toContain("another tab");
      expect(await first.page.locator("#way").textContent()).toBe("WebSocket");
      expect(await second.page.locator("#way").count()).toBe(0);
      const sessions = [first, second].map((tab) => tab.page.locator(".figures .code").textContent());
      expect(new Set(await Promise.all(sessions)).size).toBe(1);
      await first.say("from the first");
      await second.shows(["from the first"]);
      await first.page.close();
      await expect.poll(() => held(second).textContent(), { timeout: 15_000 }).toContain("this tab");
      await second.say("from the second");
      await second.shows(["from the first", "from the second"]);
      expect(second.complaints).toEqual([]);
    });

    it("switches the network of all tabs of a user, and of nobody else's", async () => {
      const [first, second, grace] = [await join("Ada"), await join("Ada"), await join("Grace")];
      await inspect(second);
      await second.page.getByRole("button", { name: "Go offline" }).click();
      for (const tab of [first, second]) await tab.state("waiting");
      await grace.say("Hello?");
      await grace.shows(["Hello?"]);
      const third = await useTab(context);
      await third.page.goto(serving.url);
      await first.page.getByRole("button", { name: "Go online" }).click();
      for (const tab of [first, second]) {
        await tab.state("live");
        await tab.shows(["Hello?"]);
      }
    });

    it("keeps what was written before the first connection for its user, and sends it for nobody else of the same browser", async () => {
      const before = await join("Ada");
      await before.page.routeWebSocket(/.*/, () => {});
      await before.page.reload();
      await before.state("connecting");
      await before.say("written in between");
      await before.showsPending("written in between");
      await before.page.close();
      const grace = await join("Grace");
      await grace.say("first");
      await grace.shows(["first"]);
      const after = await join("Ada");
      for (const tab of [after, grace]) await tab.shows(["first", "written in between"]);
      await grace.page.locator(".line", { hasText: "written in between" }).getByText("Ada").waitFor();
    });

    it("says over what it runs where no WebSocket gets through", async () => {
      await context.addInitScript("delete globalThis.WebSocket");
      const ada = await join("Ada");
      await inspect(ada);
      await expect.poll(() => ada.page.locator("#way").textContent()).toBe("server-sent events");
      await ada.say("round the wall");
      await ada.shows(["round the wall"]);
    });
  },
);
