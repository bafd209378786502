// The file that names backend services by their certificates.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { CommandError } from "../../src/cli/exit-code.js";
import { readServicesFile } from "../../src/cli/services-file.js";

function file(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), "services-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, "services.json");
  writeFileSync(path, text);
  return path;
}

describe("the services file", () => {
  it("names whom a certificate stands for", () => {
    const given = {
      "a.b": { tenant: "acme", user: "bot" },
      "URI:x": { tenant: "t", user: "u", name: "N", grants: ["admin"] },
    };
    expect([...readServicesFile(file(JSON.stringify(given)))]).toEqual([
      ["a.b", { tenantId: "acme", userId: "bot", displayName: "bot", grants: ["service"] }],
      ["URI:x", { tenantId: "t", userId: "u", displayName: "N", grants: ["admin"] }],
    ]);
  });

  it.each([
    ["what is no JSON", "{", "cannot be read"],
    ["an id that is none", '{"a": {"tenant": "no/slash", "user": "u"}}', "a.tenant: must be 1 to 128"],
    ["a missing user", '{"a": {"tenant": "t"}}', "a.user"],
    ["a grant that there is not", '{"a": {"tenant": "t", "user": "u", "grants": ["root"]}}', "a.grants.0"],
    ["a field that means nothing", '{"a": {"tenant": "t", "user": "u", "role": "x"}}', "role"],
  ])("refuses %s, and says where", (_, text, reason) => {
    const path = file(text);
    expect(() => readServicesFile(path)).toThrow(CommandError);
    expect(() => readServicesFile(path)).toThrow(reason);
  });
});
