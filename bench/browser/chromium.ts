// A Chromium with one page, and what it has cost.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { type CDPSession, chromium, type Page } from "playwright-core";

const ARGUMENTS = [
  "--no-sandbox",
  "--disable-gpu",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const NAMES = ["chromium", "chromium-browser", "google-chrome"];

/** What the page has used since it was opened. */
export interface PageCost {
  /** Of the main thread's CPU time, in seconds: what JavaScript used. */
  readonly scriptS: number;
  /** And all of it. */
  readonly tasksS: number;
  /** CPU time of all of the browser's processes, in seconds. */
  readonly browserS: number;
}

export interface OpenPage {
  readonly page: Page;
  cost(): Promise<PageCost>;
  /** What JavaScript holds once garbage is collected. */
  heapBytes(): Promise<number>;
  /** Writes where the page's time goes from now until it is called again. */
  readonly profiler: Pick<CDPSession, "send">;
  close(): Promise<void>;
}

/** The path of a Chromium: TRUNKLINE_TEST_CHROMIUM, or the first in PATH. Throws where there is none. */
export function chromiumPath(): string {
  const named = process.env.TRUNKLINE_TEST_CHROMIUM ?? "";
  if (named !== "") return named;
  const folders = (process.env.PATH ?? "").split(delimiter);
  const found = NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((path) => existsSync(path));
  if (found === undefined) throw new Error("this needs a Chromium: name it in TRUNKLINE_TEST_CHROMIUM");
  return found;
}

/** Opens a page in a new browser. */
export async function openPage(url: string): Promise<OpenPage> {
  const browser = await chromium.launch({ executablePath: chromiumPath(), headless: true, args: ARGUMENTS });
  try {
    const page = await browser.newPage();
    const cdp = await page.context().newCDPSession(page);
    const whole = await browser.newBrowserCDPSession();
    // CPU time: on a busy machine the clock would count the others' work, too.
    await cdp.send("Performance.enable", { timeDomain: "threadTicks" });
    await page.goto(url);
    const metrics = async () =>
      new Map((await cdp.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
    return {
      page,
      profiler: cdp,
      async cost() {
        const [own, { processInfo }] = await Promise.all([metrics(), whole.send("SystemInfo.getProcessInfo")]);
        return {
          scriptS: own.get("ScriptDuration") ?? Number.NaN,
          tasksS: own.get("TaskDuration") ?? Number.NaN,
          browserS: processInfo.reduce((sum, { cpuTime }) => sum + cpuTime, 0),
        };
      },
      async heapBytes() {
        await cdp.send("HeapProfiler.collectGarbage");
        return (await metrics()).get("JSHeapUsedSize") ?? Number.NaN;
      },
      close: () => browser.close(),
    };
  } catch (error) {
    await browser.close();
    throw error;
  }
}
