// The demo in a browser, for one picture after the other.
import { statSync } from "node:fs";
import { relative, resolve } from "node:path";
import { chromium } from "playwright-core";

const repository = resolve(import.meta.dirname, "../..");
const images = resolve(repository, "docs/images");
/** A page of the documentation shows many of them. */
const MOST_BYTES = 100 * 1_024;

export async function openStage(url) {
  const browser = await chromium.launch({
    executablePath: process.env.TRUNKLINE_TEST_CHROMIUM || "/usr/bin/chromium",
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"],
  });
  const heavy = [];

  /** Takes a picture of an element, or of the whole page. */
  async function picture(subject, name, options = {}) {
    const path = resolve(images, `demo-${name}.png`);
    await subject.screenshot({ path, animations: "disabled", ...options });
    const { size } = statSync(path);
    console.log(`${relative(repository, path).padEnd(40)} ${(size / 1_024).toFixed(1).padStart(6)} KiB`);
    if (size > MOST_BYTES) heavy.push(path);
  }

  async function open(options = {}) {
    const context = await browser.newContext({ viewport: { width: 1104, height: 420 }, ...options });
    return context;
  }

  async function enter(context, name, room) {
    const page = await context.newPage();
    await page.goto(url);
    await page.getByLabel("Your name").fill(name);
    await page.getByLabel("Room").fill(room);
    await page.getByRole("button", { name: "Enter" }).click();
    await state(page, "live");
    await page.getByLabel("Message", { exact: true }).waitFor();
    return page;
  }

  return { picture, open, enter, heavy, close: () => browser.close() };
}

/** Resolves once the page says that its connection is so. */
export function state(page, status) {
  return page.locator(`#state[data-kind="${status}"]`).waitFor({ state: "attached" });
}

export async function say(page, text) {
  await page.getByLabel("Message", { exact: true }).fill(text);
  await page.keyboard.press("Enter");
}

/** The line of a message. */
export function line(page, text) {
  return page.locator(".line", { has: page.locator(".bubble", { hasText: text }) }).last();
}

/** Does something with a message, and takes the pointer away again. */
export async function act(page, text, button) {
  await line(page, text).hover();
  await line(page, text).getByRole("button", { name: button }).click();
}

export async function leaveBe(page) {
  await page.mouse.move(2, 2);
  await page.evaluate("document.activeElement?.blur()");
}

export function press(page, name) {
  return page.getByRole("button", { name, exact: true }).click();
}
