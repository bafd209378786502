// The page in front of a whole backbone with its store on disk: what a reader of the README does first.

import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { Role } from "../../../src/gen/trunkline/v1/message_pb.js";
import { launchBrowser, missingBrowser, useTab } from "./use-page.js";
import { useDirectory, usePages } from "./use-server.js";

/** Where to put a picture of the page, if one is wanted. */
const SCREENSHOT = process.env.TRUNKLINE_SCREENSHOT;

describe.skipIf(missingBrowser !== undefined)(
  `the page on a backbone${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
  () => {
    vi.setConfig({ testTimeout: 60_000 });
    const pages = usePages();
    let browser: Browser;

    beforeAll(async () => {
      browser = await launchBrowser();
    });
    afterAll(() => browser?.close());

    it("reads on when the application can say again who may", async () => {
      let away = false;
      const authorize = async () => {
        if (away) throw new Error("away");
        return { allowed: true, ttlMs: 1_000, role: Role.UNSPECIFIED };
      };
      const { backbone, url } = await pages.serve({ accessHook: { authorize } });
      const context = await browser.newContext();
      onTestFinished(() => context.close());
      const ada = await useTab(context);
      await ada.enter(url, "Ada", "engine-room");
      await ada.state("live");
      await ada.say("before");
      await ada.shows(["before"]);

      // The page asks for the room again, and is refused.
      const refused = new Promise<void>((resolve) => {
        backbone.telemetry.on("request.refused", ({ operation }) => {
          if (operation === "subscribe") resolve();
        });
      });
      away = true;
      await refused;
      away = false;
      const grace = await useTab(context);
      await grace.enter(url, "Grace", "engine-room");
      await grace.state("live");
      await grace.say("after");
      await ada.shows(["before", "after"]);
    });

    it("carries a conversation over a restart: nothing missing, nothing doubled, in order", async () => {
      const dataDirectory = await useDirectory();
      const first = await pages.serve({ dataDirectory });
      const { url } = first;

      const context = await browser.newContext({
        colorScheme: "light",
        viewport: { width: 860, height: 660 },
        deviceScaleFactor: 2,
      });
      onTestFinished(() => context.close());
      const ada = await useTab(context);
      const grace = await useTab(context);
      await ada.enter(url, "Ada", "engine-room");
      await grace.enter(url, "Grace", "engine-room");
      await Promise.all([ada.state("live"), grace.state("live")]);

      const said: string[] = [];
      const say = async (tab: typeof ada, text: string) => {
        await tab.say(text);
        said.push(text);
      };
      await say(grace, "Is the engine up?");
      await ada.shows(said);
      await say(ada, "Up and running since this morning.");
      await say(ada, "I am about to pull the plug. Keep typing!");
      await grace.shows(said);
      await say(grace, "You are not serious.");
      await ada.shows(said);

      await first.backbone.stop({ spreadMs: 0, deadlineMs: 2_000 });
      await grace.state("waiting");
      await say(grace, "This one was written while the server was away.");
      await grace.showsPending("written while the server was away");
      const second = await pages.serve({ dataDirectory, port: first.port });
      for (const tab of [ada, grace]) await tab.shows(said);

      await say(ada, "And it is here, once, in its place. Nobody reloaded anything.");
      await grace.shows(said);
      await say(grace, "So that is what durable means.");
      await ada.shows(said);
      if (SCREENSHOT !== undefined) await ada.page.screenshot({ path: SCREENSHOT });

      // A third tab that was never there sees the same.
      const alan = await useTab(context);
      await alan.enter(second.url, "Alan", "engine-room");
      await alan.shows(said);
      for (const tab of [ada, grace, alan]) expect(tab.complaints).toEqual([]);
    });
  },
);
