// What the documents link to is there.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const DOCUMENTS = ["README.md", ...readdirSync(join(ROOT, "docs")).filter((name) => name.endsWith(".md"))].map(
  (name) => (name === "README.md" ? name : join("docs", name)),
);

/** As GitHub names the anchor of a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}\s_-]/gu, "")
    .replaceAll(" ", "-");
}

function anchorsOf(file: string): readonly string[] {
  return [...readFileSync(file, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, heading = ""]) => anchorOf(heading));
}

/** Links of a document's text that lead nowhere in the repository. */
function brokenIn(document: string, text: string): readonly string[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$/gm, "");
  const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = "", anchor] = link.split("#");
    const file = path === "" ? join(ROOT, document) : join(ROOT, dirname(document), path);
    return !existsSync(file) || (anchor !== undefined && !anchorsOf(file).includes(anchor));
  });
}

test.for(DOCUMENTS)("every link of %s leads somewhere", (document) => {
  expect(brokenIn(document, readFileSync(join(ROOT, document), "utf8"))).toEqual([]);
});

test("a link to a file or a heading that is not there is found", () => {
  const text = "[one](nowhere.md) [two](protocol.md#nowhere) [three](protocol.md#in-short) [four](https://example.com)";
  expect(brokenIn("docs/cluster.md", text)).toEqual(["nowhere.md", "protocol.md#nowhere"]);
});
