// What bridges show nodes, as variable and as file.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Service } from "../../src/cli/lifetime.js";
import { followLinkSecrets, linkSecrets } from "../../src/cli/link-secret.js";
import { createLog } from "../../src/ops/log.js";

const [OLD, NEW] = ["the secret as it was", "the secret as it will be"];

function useFile(content: string) {
  const directory = mkdtempSync(join(tmpdir(), "trunkline-secret-"));
  onTestFinished(() => rmSync(directory, { recursive: true }));
  const linkSecretFile = join(directory, "link");
  const write = (text: string): void => writeFileSync(linkSecretFile, text);
  write(content);
  return { config: { linkSecret: undefined, linkSecretFile }, write };
}

const of = (text: string) => linkSecrets(useFile(text).config);

describe("the secrets of links", () => {
  test("are one of the variable, or one a line of the file", () => {
    expect(linkSecrets({ linkSecret: undefined, linkSecretFile: undefined })).toBeUndefined();
    expect(linkSecrets({ linkSecret: OLD, linkSecretFile: undefined })).toEqual([OLD]);
    expect(of(OLD)).toEqual([OLD]);
    expect(of(`${NEW}\r\n${OLD} \n\n`)).toEqual([NEW, OLD]);
  });

  test("are refused where one is too short, or there is none, or there are too many", () => {
    expect(() => linkSecrets({ linkSecret: "short", linkSecretFile: undefined })).toThrow(
      "TRUNKLINE_LINK_SECRET: must have at least 16 characters",
    );
    expect(() => of("\n")).toThrow("--link-secret-file: must have at least 16 characters");
    expect(() => of(`${OLD}\nshort`)).toThrow("--link-secret-file: must have at least 16 characters in each line");
    expect(() => of(Array.from({ length: 9 }, (_, index) => `${OLD} ${index}`).join("\n"))).toThrow("at most 8");
    expect(() => linkSecrets({ linkSecret: OLD, linkSecretFile: "/nowhere/link" })).toThrow("/nowhere/link");
  });

  test("are read again on SIGHUP, and stay where that cannot be done, until the service stops", async () => {
    const { config, write } = useFile(OLD);
    const told: (readonly string[])[] = [];
    const lines: string[] = [];
    const log = createLog({ level: "info", format: "json", to: { write: (line) => lines.push(line) } });
    const service: Service = { stop: async () => "drained" };
    const listening = process.listenerCount("SIGHUP");
    const followed = followLinkSecrets(service, (secrets) => told.push(secrets), config, log.logger);
    write(`${NEW}\n${OLD}`);
    process.emit("SIGHUP");
    write("short");
    process.emit("SIGHUP");
    log.flush();
    expect(told).toEqual([[NEW, OLD]]);
    expect(lines.join("")).toMatch(/read again.*they stay as they were/s);
    for (const secret of [OLD, NEW]) expect(lines.join("")).not.toContain(secret);
    expect(await followed.stop({ spreadMs: 0, deadlineMs: 0 })).toBe("drained");
    expect(process.listenerCount("SIGHUP")).toBe(listening);
  });

  test("of a variable are never read again", () => {
    const service: Service = { stop: async () => "drained" };
    const log = createLog({ level: "silent", format: "json", to: { write: () => {} } });
    const config = { linkSecret: OLD, linkSecretFile: undefined };
    expect(followLinkSecrets(service, () => {}, config, log.logger)).toBe(service);
  });
});
