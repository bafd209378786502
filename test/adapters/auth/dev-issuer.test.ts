// Development tokens: for anybody, on this machine only.

import { chmod, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { startAuthService } from "../../../src/adapters/auth/auth-service.js";
import { createDevIssuer } from "../../../src/adapters/auth/dev-issuer.js";
import { createJwtValidator } from "../../../src/adapters/auth/jwt-validator.js";
import { clockOf2026 } from "./use-auth.js";

async function useKeyFile(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "trunkline-issuer-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return join(directory, "sub", "key.json");
}

describe("the development issuer", () => {
  it("keeps its key in a file only its owner can read, so that tokens outlive it", async () => {
    const clock = clockOf2026();
    const keyFile = await useKeyFile();
    const [one, two] = await Promise.all([createDevIssuer({ clock, keyFile }), createDevIssuer({ clock, keyFile })]);
    expect(one.publicKey).toEqual(two.publicKey);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    const token = await one.issue({ userId: "u1" });
    const later = await createDevIssuer({ clock, keyFile });
    const validator = await createJwtValidator({ keys: { development: later } }, clock);
    expect(await validator.validate(token)).toMatchObject({
      valid: true,
      identity: { tenantId: "demo", userId: "u1" },
    });
  });

  it("shows nothing of its private key", async () => {
    const clock = clockOf2026();
    const keyFile = await useKeyFile();
    const issuer = await createDevIssuer({ clock, keyFile });
    const { d } = JSON.parse(await readFile(keyFile, "utf8"));
    expect(JSON.stringify(issuer)).not.toContain(d);
  });

  it("refuses a key file that others can read", async () => {
    const clock = clockOf2026();
    const keyFile = await useKeyFile();
    await createDevIssuer({ clock, keyFile });
    await chmod(keyFile, 0o644);
    await expect(createDevIssuer({ clock, keyFile })).rejects.toThrow(/chmod 600/);
  });

  it("refuses a key file that is damaged, without quoting it", async () => {
    const clock = clockOf2026();
    const keyFile = await useKeyFile();
    await createDevIssuer({ clock, keyFile });
    for (const text of ['{"d":"private', "null", "{}", '{"kty":"OKP"}']) {
      await writeFile(keyFile, text);
      await expect(createDevIssuer({ clock, keyFile })).rejects.toThrow(`${keyFile}: not a private Ed25519 key`);
    }
  });

  it("does not verify tokens of another's key", async () => {
    const clock = clockOf2026();
    const [mine, other] = [await createDevIssuer({ clock }), await createDevIssuer({ clock })];
    const validator = await createJwtValidator({ keys: { development: mine } }, clock);
    expect((await validator.validate(await other.issue({ userId: "u1" }))).valid).toBe(false);
  });

  it("issues nothing for an illegal id or for ever", async () => {
    const issuer = await createDevIssuer({ clock: clockOf2026() });
    await expect(issuer.issue({ userId: "" })).rejects.toThrow(/user/);
    await expect(issuer.issue({ userId: "u1", tenantId: "a b" })).rejects.toThrow(/tenant/);
    await expect(issuer.issue({ userId: "u1", grants: ["a b"] })).rejects.toThrow(/grant/);
    await expect(issuer.issue({ userId: "u1", ttlMs: Number.POSITIVE_INFINITY })).rejects.toThrow(/31 days/);
    await expect(issuer.issue({ userId: "u1", ttlMs: Number.NaN })).rejects.toThrow(/31 days/);
  });

  it.each(["0.0.0.0", "::", "192.0.2.1", "example.com", "127.0.0.1.example.com"])(
    "lets no auth service take its tokens on %s, not even a protected one",
    async (host) => {
      const clock = clockOf2026();
      const jwt = { keys: { development: await createDevIssuer({ clock }) } };
      await expect(startAuthService({ clock, host, jwt })).rejects.toThrow(/loopback/);
      await expect(startAuthService({ clock, host, jwt, tls: "plain" })).rejects.toThrow(/loopback/);
    },
  );
});
