// What a sceptical visitor does to the page: long texts, odd addresses, impatience, a browser that keeps nothing.

import type { Browser, BrowserContext } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { launchBrowser, missingBrowser, Tab, useTab } from "./use-page.js";
import { type Serving, usePages } from "./use-server.js";

const PATIENCE = { timeout: 15_000 };

describe.skipIf(missingBrowser !== undefined)(
  `the demo, for a sceptic${missingBrowser ? ` (skipped: ${missingBrowser})` : ""}`,
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

    const inspect = (tab: Tab) => tab.page.getByRole("button", { name: "Connection inspector" }).click();
    const turn = (tab: Tab, to: "offline" | "online") =>
      tab.page
        .getByRole("button", { name: `Go ${to}` })
        .first()
        .click();

    it("cuts nothing off a text that is too long: it says so, and keeps it", async () => {
      const ada = await join("Ada");
      const long = "ä".repeat(10_000);
      await ada.message.fill(long);
      await ada.page.keyboard.press("Enter");
      await ada.page.getByText("This is too long: leave out some 1808 characters, or send it in parts.").waitFor();
      expect(await ada.message.inputValue()).toBe(long);
      await ada.say("ä".repeat(8_192));
      await ada.shows(["ä".repeat(8_192)]);
    });

    it("takes a paste of ten thousand letters as it is", async () => {
      const ada = await join("Ada");
      await ada.message.focus();
      const text = "word ".repeat(2_000).trim();
      await ada.page.keyboard.insertText(text);
      await ada.page.keyboard.press("Enter");
      await ada.shows([text]);
    });

    it("names a file by the end of its address, of which no more is taken than a name may hold", async () => {
      const ada = await join("Ada");
      await ada.page.getByRole("button", { name: "Attach a file" }).click();
      await ada.page.getByLabel("Address").fill(`https://files.example.com/${"plan-".repeat(100)}final.pdf`);
      await ada.page.getByRole("button", { name: "Attach", exact: true }).click();
      await ada.page.locator(".line:not(.pending, .failed) .attachment", { hasText: "plan-final.pdf" }).waitFor();
    });

    it("keeps what is being written while another room is looked at", async () => {
      const ada = await join("Ada");
      await ada.page.getByRole("button", { name: "New conversation" }).click();
      await ada.page.getByLabel("Name of the room").fill("engine");
      await ada.page.getByRole("button", { name: "Join or create" }).click();
      const title = ada.page.locator("#room-title");
      await expect.poll(() => title.textContent(), PATIENCE).toBe("engine");
      await ada.message.fill("half a sentence");
      await ada.page.getByRole("link", { name: "general" }).click();
      await expect.poll(() => title.textContent(), PATIENCE).toBe("general");
      expect(await ada.message.inputValue()).toBe("");
      await ada.page.getByRole("link", { name: "engine" }).click();
      await expect.poll(() => ada.message.inputValue(), PATIENCE).toBe("half a sentence");
      await ada.page.keyboard.press("Enter");
    });

    it.each(["#/100%", "#/no such room", "#/%F0%9F%A6%8A", `#/${"x".repeat(200)}`])(
      "shows the rooms where the address names none that could be: %s",
      async (hash) => {
        const ada = await join("Ada");
        await ada.page.goto(`${serving.url}${hash}`);
        await ada.page.reload();
        await ada.state("live");
        await ada.page.getByRole("link", { name: "general" }).click();
        await ada.say("here I am");
        await ada.shows(["here I am"]);
        expect(ada.complaints).toEqual([]);
      },
    );

    it("works where the browser forbids to keep anything", async () => {
      await context.addInitScript(`
        for (const name of ["localStorage", "sessionStorage", "indexedDB"]) {
          const get = () => { throw new DOMException("The operation is insecure.", "SecurityError"); };
          Object.defineProperty(window, name, { get });
        }`);
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      await ada.say("nothing is kept here");
      await grace.shows(["nothing is kept here"]);
      await ada.page.getByRole("button", { name: /^Theme/ }).click();
      for (const tab of [ada, grace]) expect(tab.complaints).toEqual([]);
    });

    it("asks for older messages now and then while they cannot be had, not all the time", async () => {
      const ada = await join("Ada");
      for (let each = 1; each <= 60; each++) await ada.say(`number ${each}`);
      await expect.poll(() => ada.page.locator(".line:not(.pending)").count(), PATIENCE).toBe(60);
      // Who comes now has the newest page alone, as long as they do not look further up.
      const grace = await join("Grace");
      await expect.poll(() => grace.page.locator(".line").count(), PATIENCE).toBe(50);
      await inspect(grace);
      await turn(grace, "offline");
      await grace.state("waiting");
      const drawn = await grace.page.evaluate<number>(`(async () => {
        let asked = 0;
        const draw = window.requestAnimationFrame.bind(window);
        window.requestAnimationFrame = (callback) => {
          asked++;
          return draw(callback);
        };
        document.querySelector(".scroll").scrollTo(0, 0);
        for (let left = 90; left > 0; left--) await new Promise((resolve) => draw(resolve));
        return asked;
      })()`);
      expect(drawn).toBeLessThan(15);
    });

    it("says in its title what is new also where it is not shown, and nothing is drawn", async () => {
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      await ada.page.evaluate(`
        Object.defineProperty(document, "visibilityState", { value: "hidden" });
        document.hasFocus = () => false;
        window.requestAnimationFrame = () => 1;`);
      await grace.say("Anybody there?");
      await expect.poll(() => ada.page.title(), PATIENCE).toBe("(1) general · Trunkline");
    });

    it("calls today today, and yesterday yesterday, after a night in which it was open", async () => {
      const tab = await useTab(context);
      const late = new Date();
      late.setHours(23, 50, 0, 0);
      await tab.page.clock.install({ time: late.getTime() - 86_400_000 });
      await tab.enter(serving.url, "Ada", "general");
      await tab.state("live");
      const days = () => tab.page.locator(".divider.day").allTextContents();
      await tab.say("now");
      await tab.shows(["now"]);
      const before = (await days())[0] ?? "";
      await tab.page.clock.fastForward(86_400_000);
      await expect.poll(days, PATIENCE).not.toEqual([before]);
    });

    it("leads nobody to a room who has stopped to wait for it", async () => {
      const ada = await join("Ada");
      await inspect(ada);
      await turn(ada, "offline");
      await ada.state("waiting");
      await ada.page.getByRole("button", { name: "New conversation" }).click();
      const dialog = ada.page.getByRole("dialog");
      await ada.page.getByLabel("Name of the room").fill("later");
      await dialog.getByRole("button", { name: "Join or create" }).click();
      await dialog.getByText("There is no connection").waitFor();
      expect(await dialog.getByRole("button", { name: "One moment…" }).isDisabled()).toBe(true);
      await dialog.getByRole("button", { name: "Close" }).click();
      await turn(ada, "online");
      await ada.page.getByRole("link", { name: "later" }).waitFor();
      expect(await ada.page.locator("#room-title").textContent()).toBe("general");
    });

    it("tells people why, not developers", async () => {
      const [ada, grace] = [await join("Ada", "workshop"), await join("Grace")];
      await ada.page.getByRole("button", { name: "New conversation" }).click();
      const dialog = ada.page.getByRole("dialog");
      await dialog.getByLabel("One person").check();
      await dialog.getByLabel("Their name").fill("Ada");
      await dialog.getByRole("button", { name: "Open" }).click();
      await dialog.getByRole("alert").waitFor();
      expect(await dialog.getByRole("alert").textContent()).toBe("A direct room takes exactly one other user.");
      expect(grace.complaints).toEqual([]);
    });

    it("says soon that it is offline where the system has no network, and sends once there is one", async () => {
      const grace = await join("Grace");
      const tunnel = await browser.newContext();
      onTestFinished(() => tunnel.close());
      const ada = await useTab(tunnel);
      await ada.enter(serving.url, "Ada", "general");
      await ada.state("live");
      await tunnel.setOffline(true);
      await ada.say("from the tunnel");
      expect(await ada.state("waiting")).toContain("You are offline");
      await ada.showsPending("from the tunnel");
      await tunnel.setOffline(false);
      for (const tab of [ada, grace]) await tab.shows(["from the tunnel"]);
    });

    it("keeps in the field what cannot be kept otherwise, as so much waits already", async () => {
      const ada = await join("Ada");
      await inspect(ada);
      await turn(ada, "offline");
      await ada.state("waiting");
      // Some 4 MiB may wait.
      await ada.page.evaluate(`
        const field = document.querySelector("textarea");
        const enter = () => new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true });
        for (let count = 0; count < 300; count++) {
          field.value = "ä".repeat(8_192);
          field.dispatchEvent(enter());
        }`);
      await ada.page.getByText("Too much waits already.").waitFor();
      expect(await ada.message.inputValue()).toBe("ä".repeat(8_192));
    });

    it("shows what was changed offline, and that it waits", async () => {
      const ada = await join("Ada");
      await ada.say("The pump is old");
      await ada.say("The pump is loud");
      await ada.shows(["The pump is old", "The pump is loud"]);
      await inspect(ada);
      await turn(ada, "offline");
      await ada.state("waiting");
      await ada.act("The pump is old", "Edit");
      await ada.say("The pump is new");
      const line = (text: string) => ada.page.locator(".line", { hasText: text });
      await line("The pump is new").getByRole("img", { name: "waiting to be sent" }).waitFor();
      // Who edits it once more goes on from there.
      await ada.act("The pump is new", "Edit");
      await expect.poll(() => ada.message.inputValue(), PATIENCE).toBe("The pump is new");
      await ada.say("The pump is brand new");
      await ada.act("The pump is loud", "Delete");
      await ada.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await line("The pump is loud").getByText("to be deleted").waitFor();
      await turn(ada, "online");
      await ada.shows(["The pump is brand new", "This message was deleted."]);
      await expect.poll(() => ada.page.getByRole("img", { name: "waiting to be sent" }).count(), PATIENCE).toBe(0);
    });

    it("says of an edit that was refused that it was, and why", async () => {
      const beforePublish = async ({ editedMessageId }: { readonly editedMessageId?: string }) =>
        editedMessageId
          ? ({ decision: "refuse", reason: "what is said is said", code: "" } as const)
          : ({ decision: "allow" } as const);
      serving = await pages.serve({ publishHook: { beforePublish } });
      const ada = await join("Ada");
      await ada.say("It is two o'clock");
      await ada.shows(["It is two o'clock"]);
      await ada.act("It is two o'clock", "Edit");
      await ada.say("It is three o'clock");
      await ada.page.getByText("Your edit was not taken: what is said is said.").waitFor();
      await ada.page.getByRole("alert").getByRole("button", { name: "Close" }).click();
      await expect.poll(() => ada.page.getByRole("alert").count(), PATIENCE).toBe(0);
    });

    it("keeps the focus with a message that is deleted, and near one that is given up", async () => {
      let refuses = false;
      const beforePublish = async () =>
        refuses
          ? ({ decision: "refuse", reason: "not in this tone", code: "tone" } as const)
          : ({ decision: "allow" } as const);
      serving = await pages.serve({ publishHook: { beforePublish } });
      const ada = await join("Ada");
      const focused = () => ada.page.evaluate<string>("document.activeElement.closest('.line')?.textContent ?? ''");
      await ada.say("A slip");
      await ada.shows(["A slip"]);
      await ada.act("A slip", "Delete");
      await ada.page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
      await ada.shows(["This message was deleted."]);
      await expect.poll(focused, PATIENCE).toContain("This message was deleted.");
      refuses = true;
      await ada.say("What nerve");
      await ada.page.locator(".line.failed").getByRole("button", { name: "Discard" }).click();
      await expect.poll(() => ada.page.locator(".line").count(), PATIENCE).toBe(1);
      await expect.poll(focused, PATIENCE).toContain("This message was deleted.");
    });

    it("says the same words of somebody twice to who does not see them", async () => {
      const [ada, grace] = [await join("Ada"), await join("Grace")];
      await grace.say("ok");
      const news = ada.page.locator('.messages [role="status"] span');
      await expect.poll(() => news.textContent(), PATIENCE).toBe("Grace: ok");
      const first = await news.elementHandle();
      await grace.say("ok");
      await ada.shows(["ok", "ok"]);
      await expect.poll(() => first?.evaluate((element) => element.isConnected), PATIENCE).toBe(false);
      expect(await news.textContent()).toBe("Grace: ok");
    });

    it("writes each text in the direction that it is read in", async () => {
      const ada = await join("Ada");
      await ada.say("שלום!");
      await ada.say("Hello!");
      await ada.shows(["שלום!", "Hello!"]);
      const directions = await ada.page.evaluate(
        `[...document.querySelectorAll(".bubble")].map((bubble) => getComputedStyle(bubble).direction)`,
      );
      expect(directions).toEqual(["rtl", "ltr"]);
    });

    it("can be switched off in a tab whose connection is held by one that its user has signed out of", async () => {
      const [first, second] = [await join("Ada"), await join("Ada")];
      await first.page.getByRole("button", { name: "Sign out" }).click();
      await first.page.getByLabel("Your name").waitFor();
      await inspect(second);
      await second.page.locator("#held-by", { hasText: "another tab" }).waitFor();
      await turn(second, "offline");
      await second.state("waiting");
      await turn(second, "online");
      await second.state("live");
    });

    it("says of a server that gives no token, nor words that are for people, what it knows itself", async () => {
      const tab = new Tab(await context.newPage());
      await tab.page.route("**/dev/token", (route) => route.fulfill({ status: 502, body: "<html>Bad gateway</html>" }));
      await tab.page.goto(serving.url);
      await tab.page.getByLabel("Your name").fill("Ada");
      await tab.page.getByRole("button", { name: "Enter" }).click();
      await tab.page.getByText("The server has no token to give just now (502).").waitFor();
    });
  },
);
