// The pictures of the demo in the documentation: each is shown, and light enough for a page of many.

import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, it } from "vitest";

const REPOSITORY = fileURLToPath(new URL("../../../", import.meta.url));
const IMAGES = join(REPOSITORY, "docs/images");
const MOST_BYTES = 100 * 1_024;

it("shows the demo in pictures that are all there, all used, and none over 100 KiB", async () => {
  const pages = await Promise.all(
    ["README.md", "docs/demo.md"].map((path) => readFile(join(REPOSITORY, path), "utf8")),
  );
  const shown = new Set(
    pages.flatMap((page) => [...page.matchAll(/images\/(demo-[\w-]+\.png)/g)].map(([, name]) => name)),
  );
  const taken = (await readdir(IMAGES)).filter((name) => name.startsWith("demo-"));
  expect([...shown].sort()).toEqual(taken.sort());
  const heavy = await Promise.all(
    taken.map(async (name) => ((await stat(join(IMAGES, name))).size > MOST_BYTES ? [name] : [])),
  );
  expect(heavy.flat()).toEqual([]);
});
