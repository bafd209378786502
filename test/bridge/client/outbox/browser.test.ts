// What waits to be sent, in a real browser: it survives a reload and belongs to all tabs.

import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { createClient } from "../../../../bridge/client/index.js";
import { launchBrowser, missingBrowser } from "../../demo/use-page.js";
import { live, useBackbone, useClient } from "../use-backbone.js";
import { bundleClient, usePageServer } from "../use-page-server.js";

const PATIENCE = { timeout: 30_000, interval: 20 };
/** Nobody is there. */
const NOWHERE = "http://127.0.0.1:9";

describe.skipIf(missingBrowser !== undefined)(`a page${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`, () => {
  vi.setConfig({ testTimeout: 90_000, hookTimeout: 60_000 });
  let browser: Browser;
  let code: string;
  beforeAll(async () => {
    [browser, code] = await Promise.all([launchBrowser(), bundleClient()]);
  });
  afterAll(() => browser?.close());

  async function load(page: Page, origin: string, url: string, user: string, parts = "{}"): Promise<void> {
    await page.goto(origin);
    await page.evaluate(`(async () => {
      const { createClient } = await import("/client.js");
      const owner = { tenantId: "demo", userId: "${user}" };
      window.failures = [];
      window.client = createClient({ url: "${url}", token: () => "${user}", outbox: { owner, ...${parts} } });
      client.on("storageFailed", (error) => failures.push(String(error)));
    })()`);
  }
  const states = (page: Page) => page.evaluate(`client.room("tea").pending.map(({ state }) => state)`);
  const kept = (page: Page) =>
    page.evaluate(`import("/client.js").then(async ({ indexedDbStorage }) =>
      (await indexedDbStorage().load("demo ben")).length)`);

  it("sends after a reload, or from another tab, what was asked for while nobody was there", async () => {
    const origin = await usePageServer(code);
    const server = await useBackbone([origin]);
    const ada = useClient(server.url, "ada", createClient);
    await live(ada);
    await ada.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ben" }, { userId: "eve" }] } });
    const texts = async () => (await ada.room("tea").history()).messages?.map(({ body }) => body?.text);

    const context = await browser.newContext();
    onTestFinished(() => context.close());
    const page = await context.newPage();
    await load(page, origin, NOWHERE, "ben");
    await page.evaluate(
      `for (const text of ["one", "two", "three"]) void client.room("tea").send(text, { metadata: { text } })`,
    );
    // It is written a moment after it was asked for.
    await expect.poll(() => kept(page), PATIENCE).toBe(3);
    await load(page, origin, NOWHERE, "ben");
    await page.evaluate(`void client.room("tea").send("four")`);
    await expect.poll(() => states(page), PATIENCE).toEqual(Array.from({ length: 4 }, () => "waiting"));
    await expect.poll(() => kept(page), PATIENCE).toBe(4);

    // Of somebody else's nothing is seen, and nothing sent.
    const other = await context.newPage();
    await load(other, origin, server.url, "eve");
    await expect.poll(() => other.evaluate("client.state.status"), PATIENCE).toBe("live");
    await other.evaluate(`client.room("tea").send("of eve").then(() => {})`);
    expect(await texts()).toEqual(["of eve"]);

    await load(other, origin, server.url, "ben");
    await expect.poll(texts, PATIENCE).toEqual(["of eve", "one", "two", "three", "four"]);
    await expect.poll(() => states(other), PATIENCE).toEqual([]);
    // The page that had asked for them finds nothing left to send.
    await load(page, origin, server.url, "ben");
    await expect.poll(() => page.evaluate("client.state.status"), PATIENCE).toBe("live");
    await page.evaluate(`client.room("tea").send("five").then(() => {})`);
    expect(await texts()).toEqual(["of eve", "one", "two", "three", "four", "five"]);
    expect(await page.evaluate("failures")).toEqual([]);
    expect(await other.evaluate("failures")).toEqual([]);
  });

  it("whose browser keeps nothing is told, and sends all the same", async () => {
    const origin = await usePageServer(code);
    const server = await useBackbone([origin]);
    const ada = useClient(server.url, "ada", createClient);
    await live(ada);
    await ada.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ben" }] } });
    const page = await browser.newPage();
    onTestFinished(() => page.close());
    await page.addInitScript(`IDBFactory.prototype.open = () => { throw new Error("not here"); }`);
    await load(page, origin, server.url, "ben");
    expect(await page.evaluate(`client.room("tea").send("one").then(({ messageIndex }) => messageIndex)`)).toBe(1);
    await expect.poll(() => page.evaluate("[...new Set(failures)]"), PATIENCE).toEqual(["Error: not here"]);
  });
});
