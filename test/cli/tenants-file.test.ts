// Limits of single tenants: what a file may say, and that it is read again.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Service } from "../../src/cli/lifetime.js";
import { followTenantsFile, readTenantsFile } from "../../src/cli/tenants-file.js";
import type { TenantDifferences } from "../../src/core/limit/tenants.js";
import { readTenants } from "../../src/ops/config/tenant-options.js";
import { createLog } from "../../src/ops/log.js";

function useFile() {
  const directory = mkdtempSync(join(tmpdir(), "trunkline-tenants-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "tenants.json");
  return {
    path,
    write: (content: unknown) => writeFileSync(path, typeof content === "string" ? content : JSON.stringify(content)),
  };
}

describe("a tenants file", () => {
  test("says in the options' own spelling what differs", () => {
    const { path, write } = useFile();
    write({
      acme: { maxTextBytes: "8KiB", maxSessionsPerTenant: 5, publishRate: "tenant=500", readRate: { user: 7 } },
      b: { archiveAfter: "30d" },
    });
    expect(readTenantsFile(path)).toEqual(
      new Map<string, TenantDifferences>([
        [
          "acme",
          {
            maxTextBytes: 8192,
            maxSessionsPerTenant: 5,
            rates: {
              publish: { tenant: { perSecond: 500, burst: 1_000 } },
              read: { user: { perSecond: 7, burst: 14 } },
            },
          },
        ],
        ["b", { archiveAfterMs: 30 * 86_400_000, rates: {} }],
      ]),
    );
  });

  test.each([
    ["an option that is not a tenant's", { acme: { maxHandshakes: 5 } }, /acme: .*maxHandshakes/],
    [
      "a value that cannot be",
      { acme: { maxMembersPerRoom: 1 } },
      /acme: maxMembersPerRoom: must be a whole number from 2/,
    ],
    [
      "a rate of a scope that is not there",
      { acme: { markRate: "room=5" } },
      /acme: markRate: must be 0 .*or rates by scope/,
    ],
    ["a tenant that cannot be", { "a b": {} }, /a b: /],
    ["no object", [1], /expected/],
    ["no JSON", "{", /cannot be read/],
  ])("with %s is refused, and it is said where", (_, content, problem) => {
    const { path, write } = useFile();
    write(content);
    expect(() => readTenantsFile(path)).toThrow(problem);
  });

  test("that is not there is refused", () => {
    expect(() => readTenantsFile("/nowhere/tenants.json")).toThrow("/nowhere/tenants.json: cannot be read");
  });

  test("of any JSON is read, or refused with a reason", () => {
    const any = fc.oneof(fc.jsonValue(), fc.dictionary(fc.string(), fc.dictionary(fc.string(), fc.jsonValue())));
    fc.assert(
      fc.property(any, (parsed) => {
        const read = readTenants(parsed);
        if ("problems" in read) expect(read.problems.length).toBeGreaterThan(0);
      }),
    );
  });
});

describe("a server with a tenants file", () => {
  test("reads it again on SIGHUP, keeps what it had where that cannot be done, and stops listening when it stops", async () => {
    const { path, write } = useFile();
    const told: ReadonlyMap<string, TenantDifferences>[] = [];
    const lines: string[] = [];
    const log = createLog({ level: "info", format: "json", to: { write: (line) => lines.push(line) } });
    const service: Service = { stop: async () => "drained" };
    const listening = process.listenerCount("SIGHUP");
    const followed = followTenantsFile(
      service,
      { limitTenants: (tenants) => told.push(tenants) },
      { tenantsFile: path },
      log.logger,
    );
    write({ acme: { maxTextBytes: 10 } });
    process.emit("SIGHUP");
    write({ acme: { maxTextBytes: -1 } });
    process.emit("SIGHUP");
    log.flush();
    expect(told).toEqual([new Map([["acme", { maxTextBytes: 10, rates: {} }]])]);
    expect(lines.join("")).toMatch(/read again.*they stay as they were/s);
    expect(await followed.stop({ spreadMs: 0, deadlineMs: 0 })).toBe("drained");
    expect(process.listenerCount("SIGHUP")).toBe(listening);
  });

  test("is left alone where there is none", () => {
    const service: Service = { stop: async () => "drained" };
    const log = createLog({ level: "silent", format: "json", to: { write: () => {} } });
    expect(followTenantsFile(service, { limitTenants: () => {} }, { tenantsFile: undefined }, log.logger)).toBe(
      service,
    );
  });
});
