// What the demo can do, between people in several tabs on a real backbone, and what its inspector makes visible.

import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { launchBrowser, missingBrowser, type Tab, useTab } from "./use-page.js";
import { type Serving, usePages } from "./use-server.js";

describe.skipIf(missingBrowser !== undefined)(
  `the demo${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
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

    it("shows answers, reactions, edits and deletions to everybody", async () => {
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      await ada.say("Is the engine up?");
      await grace.shows(["Is the engine up?"]);
      await grace.act("Is the engine up?", "Reply");
      await grace.say("Since this morning");
      await ada.page.locator(".line", { hasText: "Since this morning" }).getByText("Ada", { exact: true }).waitFor();
      await ada.act("Since this morning", "React");
      await ada.page.getByRole("button", { name: "Thumbs up" }).click();
      await grace.page.getByRole("button", { name: "Thumbs up, 1" }).waitFor();
      await grace.act("Since this morning", "Edit");
      await grace.say("Since yesterday");
      await ada.shows(["Is the engine up?", "Since yesterday"]);
      await ada.page.getByText("edited").waitFor();
      await ada.act("Is the engine up?", "Delete");
      await ada.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await grace.shows(["This message was deleted.", "Since yesterday"]);
      for (const tab of [ada, grace]) expect(tab.complaints).toEqual([]);
    });

    it("keeps what is being written beside what is edited, answered, and said elsewhere", async () => {
      const ada = await join("Ada");
      const written = () => ada.message.inputValue();
      await ada.say("The boiler is clean");
      await ada.say("The valve is tight");
      await ada.shows(["The boiler is clean", "The valve is tight"]);
      await ada.message.fill("Then we can");
      await ada.act("The boiler is clean", "Edit");
      await expect.poll(written).toBe("The boiler is clean");
      await ada.act("The valve is tight", "Edit");
      await expect.poll(written).toBe("The valve is tight");
      await ada.page.getByRole("button", { name: "Stop editing" }).click();
      await expect.poll(written).toBe("Then we can");
      await ada.act("The valve is tight", "Edit");
      await expect.poll(written).toBe("The valve is tight");
      await ada.act("The valve is tight", "Reply");
      await expect.poll(written).toBe("Then we can");
    });

    it("shows how far a message has come, and who is there", async () => {
      const ada = await join("Ada");
      await ada.say("Anybody?");
      await ada.page.getByRole("img", { name: "sent" }).waitFor();
      const grace = await join("Grace");
      await grace.page.bringToFront();
      await grace.shows(["Anybody?"]);
      await ada.page.getByRole("img", { name: "read" }).waitFor();
      await ada.page.getByText("2 members, 2 online").waitFor();
      await grace.page.close();
      await ada.page.getByText("2 members, 1 online").waitFor();
    });

    it("adds people to rooms, which they find in their list with what is unread", async () => {
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      await grace.page.getByRole("button", { name: "New conversation" }).click();
      await grace.page.getByRole("textbox", { name: "Name of the room" }).fill("Release");
      await grace.page.getByLabel("People to add").fill("Ada");
      await grace.page.getByRole("button", { name: "Join or create" }).click();
      await grace.page.getByRole("heading", { name: "Release", level: 1 }).waitFor();
      await grace.say("It is out");
      await grace.say("Read the notes");
      const entry = ada.page.getByRole("link", { name: /Release.*Grace: Read the notes.*2 unread/s });
      await entry.click();
      await ada.shows(["It is out", "Read the notes"]);
      await ada.page.getByRole("link", { name: /unread/ }).waitFor({ state: "detached" });
    });

    it("opens the same room of two from either side", async () => {
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      for (const [tab, other] of [
        [ada, "Grace"],
        [grace, "Ada"],
      ] as const) {
        await tab.page.getByRole("button", { name: "New conversation" }).click();
        await tab.page.getByLabel("One person").check();
        await tab.page.getByLabel("Their name").fill(other);
        await tab.page.getByRole("button", { name: "Open" }).click();
        await tab.page.locator("#room-title", { hasText: new RegExp(other, "i") }).waitFor();
      }
      await ada.say("Lunch?");
      await grace.shows(["Lunch?"]);
    });

    it("refers to files, and opens nothing that could run here", async () => {
      const ada = await join("Ada");
      await ada.page.getByRole("button", { name: "Attach a file" }).click();
      await ada.page.getByLabel("Address").fill("https://files.example.com/plan.pdf");
      await ada.page.getByRole("button", { name: "Attach", exact: true }).click();
      const link = ada.page.getByRole("link", { name: "plan.pdf" });
      expect(await link.getAttribute("href")).toBe("https://files.example.com/plan.pdf");
      expect(await link.getAttribute("rel")).toContain("noopener");
    });

    it("sends once what was written offline, after what was said meanwhile, and shows no token among its frames", async () => {
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      await ada.page.getByRole("button", { name: "Connection inspector" }).click();
      const inspector = ada.page.getByRole("complementary", { name: "Connection inspector" });
      await inspector.getByRole("button", { name: "Go offline" }).click();
      await ada.state("waiting");
      await ada.say("From the tunnel");
      await ada.showsPending("From the tunnel");
      await grace.say("Where are you?");
      await grace.shows(["Where are you?"]);
      await inspector.getByRole("button", { name: "Go online" }).click();
      for (const tab of [ada, grace]) await tab.shows(["Where are you?", "From the tunnel"]);
      await inspector.getByRole("button", { name: "Drop connection" }).click();
      await ada.say("And again");
      for (const tab of [ada, grace]) await tab.shows(["Where are you?", "From the tunnel", "And again"]);
      const hello = inspector.locator(".frames li", { hasText: "hello" }).first();
      await hello.getByRole("button").click();
      expect(await hello.locator("pre").textContent()).toContain('"token": "…"');
      for (const tab of [ada, grace]) expect(tab.complaints).toEqual([]);
    });

    it("shows what was refused, which can be tried again or given up", async () => {
      let refuses = true;
      const beforePublish = async () =>
        refuses
          ? ({ decision: "refuse", reason: "not in this tone", code: "tone" } as const)
          : ({ decision: "allow" } as const);
      serving = await pages.serve({ publishHook: { beforePublish } });
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      const failed = ada.page.locator(".line.failed");
      await ada.say("One");
      await failed.getByText("not in this tone").waitFor();
      await ada.say("Two");
      await expect.poll(() => failed.count(), { timeout: 15_000 }).toBe(2);
      refuses = false;
      await failed.filter({ hasText: "Two" }).getByRole("button", { name: "Retry" }).click();
      await grace.shows(["Two"]);
      await expect.poll(() => failed.count(), { timeout: 15_000 }).toBe(1);
      await failed.getByRole("button", { name: "Discard" }).click();
      await ada.shows(["Two"]);
      await ada.page.goto(serving.url);
      await ada.state("live");
      for (const tab of [ada, grace]) await tab.shows(["Two"]);
    });

    it("changes between the system's colours, light and dark, and remembers it", async () => {
      const ada = await join("Ada");
      const ground = () => ada.page.evaluate("getComputedStyle(document.body).backgroundColor");
      const system = await ground();
      await ada.page.getByRole("button", { name: "Theme: as the system has it" }).click();
      await ada.page.getByRole("button", { name: "Theme: light" }).click();
      await ada.page.getByRole("button", { name: "Theme: dark" }).waitFor();
      await expect.poll(ground, { timeout: 15_000 }).not.toBe(system);
      const dark = await ground();
      await ada.page.goto(serving.url);
      await ada.state("live");
      await ada.page.getByRole("button", { name: "Theme: dark" }).waitFor();
      expect(await ground()).toBe(dark);
      // Signed out as well.
      await ada.page.getByRole("button", { name: "Sign out" }).click();
      await ada.page.getByLabel("Your name").waitFor();
      await ada.page.goto(serving.url);
      await ada.page.getByLabel("Your name").waitFor();
      expect(await ground()).toBe(dark);
    });

    it("says between the messages who joined and left, also after a reload", async () => {
      const ada = await join("Ada");
      await ada.page.getByText("Ada made the room").waitFor();
      await ada.say("Anybody?");
      const grace = await join("Grace");
      await grace.say("Me, for a moment");
      await ada.shows(["Anybody?", "Me, for a moment"]);
      await grace.page.getByRole("button", { name: "People" }).click();
      await grace.page.getByRole("button", { name: "Leave the room" }).click();
      const lines = () => ada.page.locator(".lines ol > .line .bubble, .lines ol > .coming").allTextContents();
      const all = ["Ada made the room", "Anybody?", "Grace joined", "Me, for a moment", "Grace left"];
      await expect.poll(lines, { timeout: 15_000 }).toEqual(all);
      await ada.page.goto(serving.url);
      await expect.poll(lines, { timeout: 15_000 }).toEqual(all);
    });

    it("keeps what is read in its place while older messages come in before it", async () => {
      const ada = await join("Ada");
      const grace = await join("Grace");
      const said = Array.from({ length: 130 }, (_, index) => `message ${index}`);
      for (const text of said) await grace.say(text);
      await ada.shows(said);
      await ada.page.goto(serving.url);
      await ada.state("live");
      await ada.page.locator(".line").nth(49).waitFor();
      await ada.page.bringToFront();
      // Close to the beginning of what is there, where more is fetched.
      const top = '[...document.querySelectorAll(".line")].find((line) => line.textContent.includes("message 85"))';
      const place = async (before = "") =>
        Number(await ada.page.evaluate(`${before}${top}.getBoundingClientRect().top`));
      const before = await place('document.querySelector(".scroll").scrollTop = 150; ');
      await expect.poll(() => ada.page.locator(".line").count()).toBe(100);
      expect(Math.abs((await place()) - before)).toBeLessThan(2);
      await grace.say("one more");
      await ada.page.getByRole("button", { name: "1 new message" }).click();
      await ada.page.getByText("one more").last().waitFor();
      await expect.poll(() => ada.page.locator(".to-end").count()).toBe(0);
    });
  },
);
