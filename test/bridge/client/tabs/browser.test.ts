// Tabs of a real browser on a real backbone: they share one connection, whatever becomes of it and of them.

import { once } from "node:events";
import { createServer } from "node:http";
import type { Browser, BrowserContext, Page } from "playwright-core";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { launchBrowser, missingBrowser } from "../../demo/use-page.js";
import { live, useBackbone, useClient } from "../use-backbone.js";
import { useCounter } from "./use-counter.js";

const PATIENCE = { timeout: 40_000, interval: 50 };
const HTML = '<!doctype html><meta charset="utf-8"><title>page</title>';

async function bundle(): Promise<string> {
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      target: "chrome123",
      lib: { entry: "bridge/client/index.ts", formats: ["es"], fileName: "client" },
    },
  });
  const [first] = [built].flat();
  const [chunk] = first !== undefined && "output" in first ? first.output : [];
  if (chunk === undefined) throw new Error("nothing was built");
  return chunk.code;
}

/** Where the pages come from. */
async function usePageServer(code: string): Promise<string> {
  const server = createServer((request, response) => {
    const isScript = request.url === "/client.js";
    response.writeHead(200, { "content-type": isScript ? "text/javascript" : "text/html" });
    response.end(isScript ? code : HTML);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const address = server.address();
  return `http://127.0.0.1:${typeof address === "object" ? address?.port : 0}`;
}

describe.skipIf(missingBrowser !== undefined)(`tabs${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`, () => {
  vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });
  let browser: Browser;
  let code: string;
  beforeAll(async () => {
    [browser, code] = await Promise.all([launchBrowser(), bundle()]);
  });
  afterAll(() => browser?.close());

  /** A room that ada talks in, and tabs in which ben reads it. */
  async function useRoom(tokenMs?: number) {
    const origin = await usePageServer(code);
    const server = await useBackbone([origin], tokenMs);
    const counter = await useCounter(server.url);
    const ada = useClient(server.url, "ada");
    await live(ada);
    await ada.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ben" }] } });
    const context: BrowserContext = await browser.newContext();
    onTestFinished(() => context.close());
    const said: string[] = [];
    const open = async (): Promise<Page> => {
      const page = await context.newPage();
      await page.goto(origin);
      await page.evaluate(`(async () => {
        const { createClient } = await import("/client.js");
        window.heard = [];
        window.client = createClient({ url: ${JSON.stringify(counter.url)}, token: () => "ben" });
        const room = client.room("tea");
        room.on("event", ({ messageCreated }) => messageCreated && heard.push(messageCreated.body.text));
        room.open({ after: {} });
      })()`);
      return page;
    };
    return {
      server,
      counter,
      context,
      open,
      say: async (...texts: readonly string[]): Promise<void> => {
        for (const text of texts) {
          await ada.room("tea").send({ text });
          said.push(text);
        }
      },
      sayIn: async (page: Page, text: string): Promise<void> => {
        await page.evaluate(`client.room("tea").send({ text: ${JSON.stringify(text)} })`);
        said.push(text);
      },
      /** Resolves once all of them have heard all of it, once and in order. */
      heard: async (pages: readonly Page[]): Promise<void> => {
        await Promise.all(pages.map((page) => expect.poll(() => page.evaluate("heard"), PATIENCE).toEqual([...said])));
      },
    };
  }

  it("go on over a cut, over tokens that expire, and without the one that stands still", async () => {
    const { open, say, sayIn, heard, counter, context } = await useRoom(5_000);
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
    const { open, say, sayIn, heard, counter, server } = await useRoom();
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
