// Tabs of one real browser in which one user reads a room, on a real backbone, and somebody who talks there.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Browser, type BrowserContext, type CDPSession, chromium, type Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";
import type { Limits } from "../../../../src/core/limit/limits.js";
import { CHROMIUM, QUIET } from "../../demo/use-page.js";
import { live, useBackbone, useClient } from "../use-backbone.js";
import { usePageServer } from "../use-page-server.js";
import { useCounter } from "./use-counter.js";

const PATIENCE = { timeout: 40_000, interval: 50 };

export interface TabsOptions {
  /** How long a token holds. Default: for ever. */
  readonly tokenMs?: number;
  readonly limits?: Partial<Limits>;
}

export async function useContext(browser: Browser): Promise<BrowserContext> {
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  return context;
}

/** A browser in which pages are hidden and frozen as for a user: others are made to believe that somebody looks at all of their pages. */
export async function useOrdinaryBrowser(): Promise<BrowserContext> {
  for (let attempt = 1; ; attempt++) {
    const url = await useDevtools();
    try {
      const browser = await chromium.connectOverCDP(url, { noDefaults: true, timeout: 15_000 });
      const [context] = browser.contexts();
      if (context === undefined) throw new Error("the browser has no context of its own");
      return context;
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

/** Where a browser of its own answers. */
async function useDevtools(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "trunkline-browser-"));
  // Who attaches to a first window that is only coming up may wait for ever: there is none.
  const args = ["--headless", "--no-startup-window", "--remote-debugging-port=0", `--user-data-dir=${directory}`];
  const browser = spawn(CHROMIUM, [...args, ...QUIET], { stdio: ["ignore", "ignore", "pipe"] });
  const ended = once(browser, "exit");
  onTestFinished(async () => {
    browser.kill();
    await ended;
    await rm(directory, { recursive: true, force: true, maxRetries: 10 });
  });
  let url: string | undefined;
  for await (const line of createInterface(browser.stderr)) {
    [, url] = /^DevTools listening on (.+)$/.exec(line) ?? [];
    if (url !== undefined) break;
  }
  if (url === undefined) throw new Error("the browser did not start");
  // What else it says must not fill the pipe.
  browser.stderr.resume();
  return url;
}

/** @param code The client's. */
export async function useTabs(context: BrowserContext, code: string, { tokenMs, limits }: TabsOptions = {}) {
  const origin = await usePageServer(code);
  const server = await useBackbone([origin], tokenMs, limits);
  const counter = await useCounter(server.url);
  const ada = useClient(server.url, "ada");
  await live(ada);
  await ada.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ben" }] } });
  const stored: string[] = [];
  ada.room("tea").on("event", ({ messageCreated }) => {
    if (messageCreated !== undefined) stored.push(messageCreated.body?.text ?? "");
  });
  ada.room("tea").open({ after: {} });
  const said: string[] = [];
  const open = async (): Promise<Page> => {
    const page = await context.newPage();
    await page.goto(origin);
    await page.evaluate(`(async () => {
      const { createClient } = await import("/client.js");
      window.heard = [];
      window.states = [];
      window.client = createClient({ url: ${JSON.stringify(counter.url)}, token: () => "ben" });
      client.on("state", ({ status, reason }) => states.push(reason === undefined ? status : status + " " + reason));
      const room = client.room("tea");
      room.on("event", ({ messageCreated }) => messageCreated && heard.push(messageCreated.body.text));
      room.open({ after: {} });
    })()`);
    return page;
  };
  return {
    server,
    counter,
    open,
    say: async (...texts: readonly string[]): Promise<void> => {
      for (const text of texts) {
        await ada.room("tea").send({ text });
        said.push(text);
      }
    },
    /** Resolves once it is stored. */
    sayIn: async (page: Page, text: string): Promise<void> => {
      await page.evaluate(`client.room("tea").send({ text: ${JSON.stringify(text)} })`);
      said.push(text);
    },
    /** Whether it is stored is seen later. */
    beginToSayIn: async (page: Page, text: string): Promise<void> => {
      await page.evaluate(`void client.room("tea").send({ text: ${JSON.stringify(text)} })`);
      said.push(text);
    },
    /** Resolves once all of them have heard all of it, once and in the order in which it is stored. */
    heard: async (pages: readonly Page[]): Promise<void> => {
      await expect.poll(() => stored.toSorted(), PATIENCE).toEqual(said.toSorted());
      await Promise.all(pages.map((page) => expect.poll(() => page.evaluate("heard"), PATIENCE).toEqual([...stored])));
    },
  };
}

/** A page whose timers and tasks the browser has stopped, as it does with one that nobody looks at, or that slept with its machine. */
export async function freeze(page: Page): Promise<CDPSession> {
  const devtools = await page.context().newCDPSession(page);
  await page.evaluate('window.frozen = 0; document.addEventListener("freeze", () => { frozen++; })');
  await devtools.send("Page.setWebLifecycleState", { state: "frozen" });
  await expect.poll(() => page.evaluate("frozen"), PATIENCE).toBe(1);
  return devtools;
}

export async function thaw(devtools: CDPSession): Promise<void> {
  await devtools.send("Page.setWebLifecycleState", { state: "active" });
  await devtools.detach();
}

/** The page's process ends at once, as by a fault of its own. Pages that share it go with it. */
export async function crash(page: Page): Promise<void> {
  const crashed = page.waitForEvent("crash");
  const devtools = await page.context().newCDPSession(page);
  // Nobody is left to answer.
  devtools.send("Page.crash").catch(() => {});
  await crashed;
}
