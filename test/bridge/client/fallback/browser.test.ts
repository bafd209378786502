// The fallback in a real browser: a page of one origin, a server of another, and a network between them that lets no WebSocket through.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createClient } from "../../../../bridge/client/index.js";
import { launchBrowser, missingBrowser } from "../../demo/use-page.js";
import { live, useBackbone, useClient } from "../use-backbone.js";
import { bundleClient, usePageServer } from "../use-page-server.js";
import { useProxy } from "./use-proxy.js";

const PATIENCE = { timeout: 30_000, interval: 20 };

/** The page makes a client and reads a room. */
async function connect(page: Page, origin: string, url: string): Promise<void> {
  await page.goto(origin);
  await page.evaluate(`(async () => {
    const { createClient } = await import("/client.js");
    window.heard = [];
    window.client = createClient({ url: ${JSON.stringify(url)}, token: () => "ben" });
    const room = client.room("tea");
    room.on("event", ({ messageCreated }) => messageCreated && heard.push(messageCreated.body.text));
    room.open({ after: {} });
  })()`);
  await expect.poll(() => page.evaluate("client.state.status"), PATIENCE).toBe("live");
}

describe.skipIf(missingBrowser !== undefined)(`a page${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`, () => {
  vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });
  let browser: Browser;
  let code: string;
  beforeAll(async () => {
    [browser, code] = await Promise.all([launchBrowser(), bundleClient()]);
  });
  afterAll(() => browser?.close());

  it("of another origin talks by events and requests, remembers it over a reload, and says that it leaves", async () => {
    const origin = await usePageServer(code);
    const server = await useBackbone([origin]);
    const proxy = await useProxy(server.url);
    const ada = useClient(server.url, "ada", createClient);
    await live(ada);
    await ada.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ben" }] } });
    const say = (text: string) => ada.room("tea").send({ text });

    const page = await browser.newPage();
    onTestFinished(() => page.close());
    await connect(page, origin, proxy.url);
    expect(proxy).toMatchObject({ refused: 2, streams: 1 });
    await say("one");
    await page.evaluate('client.room("tea").send({ text: "two" })');
    proxy.cut();
    await say("three");
    await page.evaluate('client.room("tea").send({ text: "four" })');
    await expect.poll(() => page.evaluate("heard"), PATIENCE).toEqual(["one", "two", "three", "four"]);

    await connect(page, origin, proxy.url);
    await expect.poll(() => page.evaluate("heard"), PATIENCE).toEqual(["one", "two", "three", "four"]);
    expect(proxy.refused).toBe(2);
    await page.evaluate("client.close()");
    await vi.waitFor(() => expect(proxy.closes).toEqual(["1000"]), PATIENCE);

    // Another network.
    proxy.opens = true;
    const { streams } = proxy;
    await page.evaluate("sessionStorage.clear()");
    await connect(page, origin, proxy.url);
    await expect.poll(() => page.evaluate("heard.length"), PATIENCE).toBe(4);
    expect(proxy).toMatchObject({ refused: 2, streams });
  });
});
