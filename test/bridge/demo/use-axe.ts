// axe-core, in every page of a browser context.

import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import type { BrowserContext, Page } from "playwright-core";

const require = createRequire(import.meta.url);

interface Finding {
  readonly id: string;
  readonly impact: string | null;
  readonly nodes: readonly { readonly html: string }[];
}

/** Into the page's own world, before anything of the page: its policy has no say in that. */
export async function useAxe(context: BrowserContext): Promise<void> {
  await context.addInitScript({ content: await readFile(require.resolve("axe-core/axe.min.js"), "utf8") });
}

/** What axe-core has found that is more than a nuisance, as `rule: element`. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
  const found: { readonly violations: readonly Finding[] } = await page.evaluate("axe.run(document)");
  const serious = found.violations.filter(({ impact }) => impact === "serious" || impact === "critical");
  return serious.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html.slice(0, 200)}`));
}
