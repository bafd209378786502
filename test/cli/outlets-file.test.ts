// The file that says what leaves the server by itself.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { CommandError } from "../../src/cli/exit-code.js";
import { readOutlets } from "../../src/cli/outlets-file.js";

const SECRET = "s".repeat(32);
const HOOK = { name: "orders", url: "https://hooks.example/in", secrets: [SECRET] };

function useFile(content: unknown): string {
  const directory = mkdtempSync(join(tmpdir(), "trunkline-outlets-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const path = join(directory, "outlets.json");
  writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content));
  return path;
}

function problems(content: unknown): string {
  const path = useFile(content);
  try {
    readOutlets(path);
  } catch (error) {
    if (error instanceof CommandError) return error.message.replaceAll(path, "FILE");
    throw error;
  }
  return "";
}

describe("an outlets file", () => {
  test("says what it says, with durations in milliseconds, and nothing of what it leaves out", () => {
    const webhook = { ...HOOK, kinds: ["messageCreated", "memberLeft"], tenants: ["acme"], roomPrefix: "o-" };
    const target = { url: "http://127.0.0.1:9000/", secrets: [SECRET, SECRET], deadline: "2s" };
    const path = useFile({
      webhooks: [{ ...webhook, giveUpAfter: "2h" }],
      notifier: { webhook: target, grace: "15s", wideRoom: 50, withBody: true },
    });
    expect(readOutlets(path)).toEqual({
      webhooks: [{ ...webhook, giveUpAfterMs: 7_200_000 }],
      notifier: {
        webhook: { url: target.url, secrets: target.secrets, deadlineMs: 2_000 },
        graceMs: 15_000,
        wideRoom: 50,
        withBody: true,
      },
    });
    expect(readOutlets(useFile({ notifier: {} }))).toEqual({ notifier: {} });
  });

  test.each([
    ["is not JSON", "{", /^FILE: .*JSON/],
    ["names what it does not know", { webhook: [] }, /^FILE: .*"webhook"/],
    [
      "has a URL that is not to be trusted",
      { webhooks: [{ ...HOOK, url: "http://hooks.example" }] },
      /^FILE: webhooks\.0\.url: must be https, or http on loopback$/,
    ],
    [
      "has a short secret",
      { webhooks: [{ ...HOOK, secrets: ["short"] }] },
      /^FILE: webhooks\.0\.secrets\.0: must have at least 32 characters$/,
    ],
    [
      "has three secrets",
      { webhooks: [{ ...HOOK, secrets: [SECRET, SECRET, SECRET] }] },
      /^FILE: webhooks\.0\.secrets: must hold at most two secrets$/,
    ],
    [
      "has no secret",
      { notifier: { webhook: { url: HOOK.url, secrets: [] } } },
      /^FILE: notifier\.webhook\.secrets: must hold a secret$/,
    ],
    [
      "wants a kind that there is not",
      { webhooks: [{ ...HOOK, kinds: ["messageSaid"] }] },
      /^FILE: webhooks\.0\.kinds\.0: must be one of messageCreated, /,
    ],
    ["names two webhooks alike", { webhooks: [HOOK, HOOK] }, /^FILE: webhooks: names must differ$/],
    [
      "has a name that is no place in the log",
      { webhooks: [{ ...HOOK, name: "a b" }] },
      /^FILE: webhooks\.0\.name: must be 1 to 64/,
    ],
    ["has no grace to speak of", { notifier: { grace: "10ms" } }, /^FILE: notifier\.grace: must be a duration/],
  ])("that %s is refused with the place and the reason", (_what, content, expected) => {
    expect(problems(content)).toMatch(expected);
  });

  test("that is refused does not show its secrets", () => {
    expect(problems({ webhooks: [{ ...HOOK, secrets: ["too-short-to-be-shown"] }] })).not.toContain("too-short");
  });

  test("that is not there is refused by its name", () => {
    expect(() => readOutlets("/nowhere/outlets.json")).toThrow(/\/nowhere\/outlets\.json/);
  });
});
