// The page, built and open in a real browser. All of it ends with the test file.

import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Browser, type BrowserContext, chromium, type Locator, type Page } from "playwright-core";
import { expect, onTestFinished } from "vitest";

export const CHROMIUM = process.env.TRUNKLINE_TEST_CHROMIUM ?? "";

/** Why tests that need a browser cannot run; undefined: they can. */
export const missingBrowser =
  CHROMIUM === "" && process.env.CI !== "true" ? "TRUNKLINE_TEST_CHROMIUM is not set" : undefined;

export const QUIET = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

export function launchBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: CHROMIUM, headless: true, args: QUIET });
}

/** Builds the page as it stands into a directory of its own. */
export async function buildPage(): Promise<{ readonly directory: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), "trunkline-page-"));
  await promisify(execFile)(process.execPath, ["scripts/build-demo.js", directory]);
  return { directory, remove: () => rm(directory, { recursive: true, force: true }) };
}

/** One person's tab. */
export class Tab {
  /** What the page has logged as errors, and what it has asked other hosts for. */
  readonly complaints: string[] = [];

  constructor(readonly page: Page) {
    page.on("pageerror", (error) => this.complaints.push(error.message));
    page.on("console", (message) => {
      const text = message.text();
      // A server that is away is what these tests are about, and the browser says so.
      if (message.type() === "error" && !/ERR_CONNECTION|ERR_EMPTY|WebSocket connection/.test(text)) {
        this.complaints.push(text);
      }
    });
  }

  async enter(url: string, name: string, room: string): Promise<void> {
    await this.page.goto(url);
    await this.page.getByLabel("Your name").fill(name);
    await this.page.getByLabel("Room").fill(room);
    await this.page.getByRole("button", { name: "Enter" }).click();
    await this.message.waitFor();
  }

  /** Where messages are written. */
  get message(): Locator {
    return this.page.getByLabel("Message", { exact: true });
  }

  async say(text: string): Promise<void> {
    await this.message.fill(text);
    await this.page.keyboard.press("Enter");
  }

  /** Does not wait out the delay before reconnecting, unless that is over. */
  async comeBackNow(): Promise<void> {
    await Promise.any([this.page.getByRole("button", { name: "Try now" }).click(), this.state("live")]);
  }

  /** Resolves once the page says it is in this state, with what it says. */
  async state(kind: "connecting" | "live" | "waiting" | "closed"): Promise<string> {
    const state = this.page.locator(`#state[data-kind="${kind}"]`);
    await state.waitFor({ state: "attached" });
    return (await state.textContent()) ?? "";
  }

  /** Resolves once these and no other messages are shown, in this order, none of them pending. */
  async shows(texts: readonly string[]): Promise<void> {
    const all = this.page.locator(".line");
    const settled = this.page.locator(".line:not(.pending, .failed) .bubble");
    // The page's own policy forbids the evaluation that waiting inside it would need.
    const shown = async (): Promise<readonly string[]> => {
      const seen = await settled.allTextContents();
      return (await all.count()) === seen.length ? seen : [...seen, "and others that are pending"];
    };
    await expect.poll(shown, { timeout: 15_000 }).toEqual(texts);
  }

  /** Resolves once the page says this of who is typing. */
  async saysOfTyping(text: string): Promise<void> {
    await expect.poll(() => this.page.locator("#typists").textContent(), { timeout: 15_000 }).toBe(text);
  }

  async showsPending(text: string): Promise<void> {
    await this.page.locator(".line.pending .bubble", { hasText: text }).waitFor();
  }

  /** Does something with a message: the buttons beside it are there for who points at it. */
  async act(text: string, button: string): Promise<void> {
    const line = this.page.locator(".line", { has: this.page.locator(".bubble", { hasText: text }) });
    await line.hover();
    await line.getByRole("button", { name: button }).click();
    // What is typed before the text to edit is there, is overwritten by it.
    if (button === "Edit") await expect.poll(() => this.message.inputValue(), { timeout: 15_000 }).toContain(text);
  }
}

export async function useTab(context: BrowserContext): Promise<Tab> {
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  onTestFinished(() => page.close());
  return new Tab(page);
}
