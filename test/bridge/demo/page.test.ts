// The page in a real browser, in front of a world that can be told to misbehave.

import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import type { Bridge } from "../../../bridge/options.js";
import { startBridge } from "../../../bridge/server.js";
import { Telemetry } from "../../../src/core/telemetry.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import { FakeWorld } from "./fake-room.js";
import { buildPage, launchBrowser, missingBrowser, type Tab, useTab } from "./use-page.js";

describe.skipIf(missingBrowser !== undefined)(
  `the page${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
  () => {
    // A browser on a busy machine takes its time.
    vi.setConfig({ testTimeout: 60_000 });

    let browser: Browser;
    let context: BrowserContext;
    let built: Awaited<ReturnType<typeof buildPage>>;
    let world: FakeWorld;

    beforeAll(async () => {
      [browser, built] = await Promise.all([launchBrowser(), buildPage()]);
    });
    afterAll(async () => {
      await browser?.close();
      await built?.remove();
    });
    beforeEach(async () => {
      world = new FakeWorld();
      context = await browser.newContext();
      onTestFinished(() => context.close());
    });

    /** @param issues Whether tokens are given to anybody who asks. */
    async function serve(port = 0, issues = true): Promise<{ readonly bridge: Bridge; readonly url: string }> {
      const bridge = await startBridge({
        core: world,
        port,
        allowedOrigins: [],
        limits: { maxFrameBytes: 64 * 1024 },
        telemetry: new Telemetry(),
        clock: createSystemClock(),
        page: { directory: built.directory, ...(issues && { issueToken: world.issueToken }) },
      });
      onTestFinished(() => bridge.close(0));
      return { bridge, url: `http://127.0.0.1:${bridge.port}/` };
    }

    async function useTwoTabs(url: string): Promise<readonly [Tab, Tab]> {
      const tabs = [await useTab(context), await useTab(context)] as const;
      await tabs[0].enter(url, "Ada", "general");
      await tabs[1].enter(url, "Grace", "general");
      for (const tab of tabs) await tab.state("live");
      return tabs;
    }

    async function useOneTab(url: string): Promise<Tab> {
      const tab = await useTab(context);
      await tab.enter(url, "Ada", "general");
      await tab.state("live");
      return tab;
    }

    it("lets two people in two tabs talk in a room that the first of them makes", async () => {
      const { url } = await serve();
      const [ada, grace] = await useTwoTabs(url);
      await ada.say("hello");
      await grace.shows(["hello"]);
      await grace.say("hi <b>Ada</b>");
      for (const tab of [ada, grace]) {
        await tab.shows(["hello", "hi <b>Ada</b>"]);
        expect(tab.complaints).toEqual([]);
      }
    });

    it("misses nothing and doubles nothing over a restart of the server, and sends what was typed meanwhile", async () => {
      const { bridge, url } = await serve();
      const [ada, grace] = await useTwoTabs(url);
      await ada.say("before");
      await grace.shows(["before"]);

      await bridge.close(100);
      expect(await ada.state("waiting")).toContain("What you write is kept");
      await ada.say("while you were away");
      await ada.showsPending("while you were away");
      world.say("general", "Alan", "from elsewhere");

      await serve(bridge.port);
      for (const tab of [ada, grace]) {
        await tab.state("live");
        await tab.shows(["before", "from elsewhere", "while you were away"]);
        expect(tab.complaints).toEqual([]);
      }
      expect(world.texts("general")).toEqual(["before", "from elsewhere", "while you were away"]);
    });

    it("sends again, with the same id, what was stored but not acknowledged", async () => {
      const { url } = await serve();
      const [ada, grace] = await useTwoTabs(url);
      world.dieBeforeAck = true;
      await ada.say("once");
      for (const tab of [ada, grace]) await tab.shows(["once"]);
      expect(world.texts("general")).toEqual(["once"]);
      expect(new Set(world.published.map(({ clientMessageId }) => clientMessageId)).size).toBe(1);
    });

    it("tries again what was refused for now, and keeps the order", async () => {
      const { url } = await serve();
      const [ada, grace] = await useTwoTabs(url);
      world.refuseOnce = true;
      await ada.say("one");
      await ada.say("two");
      for (const tab of [ada, grace]) await tab.shows(["one", "two"]);
      expect(world.published.slice(0, 2).map(({ attempt }) => attempt)).toEqual([1, 2]);
    });

    it("pages a gap, with what is said meanwhile after it", async () => {
      const { bridge, url } = await serve();
      const [ada] = await useTwoTabs(url);
      await ada.say("0");
      await ada.shows(["0"]);
      world.recoveryLimit = 2;
      await bridge.close(100);
      for (let index = 1; index <= 9; index++) world.say("general", "Alan", String(index));
      await serve(bridge.port);
      await ada.comeBackNow();
      await ada.state("live");
      world.say("general", "Alan", "10");
      await ada.shows(["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10"]);
    });

    it("fills a hole in what is pushed", async () => {
      const { url } = await serve();
      const [ada] = await useTwoTabs(url);
      world.say("general", "Alan", "lost on the way", true);
      world.say("general", "Alan", "seen");
      await ada.shows(["lost on the way", "seen"]);
    });

    it("begins again from history after a reset", async () => {
      const { bridge, url } = await serve();
      const ada = await useOneTab(url);
      await ada.say("old");
      await ada.shows(["old"]);
      await bridge.close(100);
      const room = world.room("general");
      room?.events.splice(1);
      world.say("general", "Alan", "restored");
      world.reset = true;
      await serve(bridge.port);
      await ada.comeBackNow();
      await ada.shows(["restored"]);
    });

    it("does not come back by itself when it is told not to, and does when asked", async () => {
      const { url } = await serve();
      const [ada] = await useTwoTabs(url);
      world.endAll(CloseCode.KICKED, "enough");
      expect(await ada.state("closed")).toContain("administrator");
      await ada.page.getByRole("button", { name: "Reconnect" }).click();
      await ada.state("live");
    });

    it("leads back to the door where a token that its user brought has expired", async () => {
      const { url } = await serve(0, false);
      const { page, ...ada } = await useTab(context);
      const bring = async () => {
        await page.getByLabel("Token").fill(await world.issueToken({ user: "ada", name: "Ada" }));
        await page.getByRole("button", { name: "Enter" }).click();
        await page.locator('#state[data-kind="live"]').waitFor({ state: "attached" });
      };
      await page.goto(url);
      await page.getByLabel("Your name").fill("Ada");
      await page.getByRole("button", { name: "Enter" }).click();
      await bring();
      world.endAll(CloseCode.TOKEN_EXPIRED, "expired");
      await page.getByRole("button", { name: "Sign in again" }).click();
      await page.getByRole("button", { name: "Enter" }).click();
      await bring();
      expect(ada.complaints.filter((text) => !text.includes("404"))).toEqual([]);
    });

    it("keeps name, room and unsent messages over a reload, and the token in memory only", async () => {
      const { bridge, url } = await serve();
      const [ada] = await useTwoTabs(url);
      const stored = await ada.page.evaluate(
        "JSON.stringify({ ...sessionStorage, ...localStorage }) + document.cookie",
      );
      expect(stored).not.toContain("token-");
      await bridge.close(100);
      await ada.state("waiting");
      await ada.say("unsent");
      const next = await serve(bridge.port);
      await ada.page.goto(next.url);
      await ada.state("live");
      await ada.shows(["unsent"]);
    });

    it("loads earlier messages when asked", async () => {
      const { url } = await serve();
      const [ada] = await useTwoTabs(url);
      const texts = Array.from({ length: 60 }, (_, index) => `m${index}`);
      for (const text of texts) world.say("general", "Alan", text);
      await ada.shows(texts);
      await ada.page.goto(url);
      await ada.shows(texts.slice(10));
      await ada.page.locator(".line").first().scrollIntoViewIfNeeded();
      await ada.shows(texts);
    });

    it("shows who is typing, others than oneself, until they have said it", async () => {
      const { url } = await serve();
      const [ada, grace] = await useTwoTabs(url);
      await ada.message.pressSequentially("hello");
      await grace.saysOfTyping("Ada is typing…");
      await ada.saysOfTyping("");
      expect(world.typed).toEqual([true]);
      await ada.page.keyboard.press("Enter");
      await grace.shows(["hello"]);
      await grace.saysOfTyping("");
      for (const tab of [ada, grace]) expect(tab.complaints).toEqual([]);
    });

    it("tells that its user types no more when the text is taken back, and forgets the others with the connection", async () => {
      const { bridge, url } = await serve();
      const [ada, grace] = await useTwoTabs(url);
      await ada.message.pressSequentially("a");
      await grace.saysOfTyping("Ada is typing…");
      await ada.page.keyboard.press("Backspace");
      await grace.saysOfTyping("");
      expect(world.typed).toEqual([true, false]);
      world.type("general", { userId: "alan", displayName: "Alan" }, true);
      await grace.saysOfTyping("Alan is typing…");
      await bridge.close(0);
      await grace.state("waiting");
      await grace.saysOfTyping("");
    });

    it("fits a phone", async () => {
      const { url } = await serve();
      const ada = await useTab(context);
      await ada.page.setViewportSize({ width: 360, height: 640 });
      await ada.enter(url, "Ada", "general");
      await ada.state("live");
      await ada.say("a".repeat(300));
      await ada.shows(["a".repeat(300)]);
      const overflow = await ada.page.evaluate("document.documentElement.scrollWidth - window.innerWidth");
      expect(overflow).toBeLessThanOrEqual(0);
    });

    it("keeps the newest message in sight when the news of a lost connection takes room from the messages", async () => {
      const { bridge, url } = await serve();
      const ada = await useTab(context);
      await ada.page.setViewportSize({ width: 390, height: 400 });
      await ada.enter(url, "Ada", "general");
      await ada.state("live");
      const said = Array.from({ length: 12 }, (_, index) => `message ${index}`);
      for (const text of said) await ada.say(text);
      await ada.shows(said);
      const room = () => ada.page.evaluate("document.querySelector('.scroll').clientHeight");
      const before = await room();
      await bridge.close(0);
      await ada.state("waiting");
      expect(await room()).toBeLessThan(Number(before));
      const below = "(({ scrollHeight, scrollTop, clientHeight }) => scrollHeight - scrollTop - clientHeight)";
      await expect.poll(() => ada.page.evaluate(`${below}(document.querySelector(".scroll"))`)).toBeLessThanOrEqual(1);
    });
  },
);
