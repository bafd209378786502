// The page's files and the token route: what is served to whom.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { type IncomingMessage, request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer, text } from "node:stream/consumers";
import { gunzipSync } from "node:zlib";
import { describe, expect, it, onTestFinished } from "vitest";
import type { TokenRequest } from "../../../bridge/http/dev-token.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { type BridgeUnderTest, useBridge } from "../use-bridge.js";

async function usePage(issueToken?: (request: TokenRequest) => Promise<string>): Promise<BridgeUnderTest> {
  const directory = await mkdtemp(join(tmpdir(), "trunkline-files-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  await writeFile(join(directory, "index.html"), "<!doctype html><title>Page</title>");
  await mkdir(join(directory, "assets"));
  await writeFile(join(directory, "assets", "page-AbC123.js"), "export {};");
  await writeFile(join(directory, "assets", "secret.txt"), "not for you");
  await writeFile(join(directory, "secret.txt"), "not for you");
  return useBridge({ page: { directory, ...(issueToken === undefined ? {} : { issueToken }) } });
}

/** `fetch` does not let a test choose Host and Origin. */
async function post(
  port: number,
  headers: Readonly<Record<string, string>>,
  body: string,
): Promise<{ readonly status: number; readonly body: unknown }> {
  const outgoing = request({ port, host: "127.0.0.1", method: "POST", path: "/dev/token", headers });
  const answered = new Promise<{ status: number; body: unknown }>((resolve, reject) => {
    outgoing.on("error", reject);
    outgoing.on("response", async (response) => {
      resolve({ status: response.statusCode ?? 0, body: JSON.parse(await text(response)) });
    });
  });
  outgoing.end(body);
  return answered;
}

describe("the page", () => {
  it("is served with a policy that lets it load nothing from elsewhere", async () => {
    const { http, port } = await usePage();
    const response = await fetch(http);
    expect(await response.text()).toContain("<title>Page</title>");
    expect(response.headers.get("content-type")).toBe("text/html; charset=utf-8");
    expect(response.headers.get("x-content-type-options")).toBe("nosniff");
    const policy = response.headers.get("content-security-policy") ?? "";
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("script-src 'self';");
    expect(policy).toContain(`connect-src 'self' ws://127.0.0.1:${port} wss://127.0.0.1:${port};`);
    expect(policy).not.toContain("unsafe");
  });

  it.each([
    ["gzip, deflate, br", true],
    ["br;q=1.0, gzip;q=0.5", true],
    ["gzip;q=0, identity", false],
    ["identity", false],
    ["", false],
  ])("is compressed for who takes that, as `accept-encoding: %s` says", async (takes, packed) => {
    const { port } = await usePage();
    const path = "/assets/page-AbC123.js";
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ port, host: "127.0.0.1", path, headers: { "accept-encoding": takes } }, resolve)
        .on("error", reject)
        .end();
    });
    const bytes = await buffer(response);
    expect(response.headers["content-encoding"]).toBe(packed ? "gzip" : undefined);
    expect(response.headers.vary).toBe("accept-encoding");
    expect(Number(response.headers["content-length"])).toBe(bytes.length);
    expect(String(packed ? gunzipSync(bytes) : bytes)).toBe("export {};");
  });

  it("keeps a strange Host out of its policy", async () => {
    const { port } = await usePage();
    const policy = await new Promise((resolve) => {
      request({ port, host: "127.0.0.1", path: "/", headers: { host: "a; script-src *" } }, (response) => {
        response.resume();
        resolve(response.headers["content-security-policy"]);
      }).end();
    });
    expect(policy).toContain("connect-src 'self';");
  });

  it("is its own files and nothing else", async () => {
    const { http } = await usePage();
    expect((await fetch(`${http}/assets/page-AbC123.js`)).status).toBe(200);
    const strange = [
      "/secret.txt",
      "/assets/secret.txt",
      "/assets",
      "/assets/../../package.json",
      "/%2e%2e/package.json",
    ];
    for (const path of [...strange, "//etc/passwd", "/assets/page-AbC123.js/"]) {
      expect((await fetch(`${http}${path}`)).status, path).toBe(404);
    }
  });

  it("is asked for again each time, and what it consists of is kept by browsers", async () => {
    const { http } = await usePage();
    const caching = async (path: string) => (await fetch(`${http}${path}`)).headers.get("cache-control");
    expect(await caching("/")).toBe("no-cache");
    expect(await caching("/index.html")).toBe("no-cache");
    expect(await caching("/assets/page-AbC123.js")).toBe("public, max-age=31536000, immutable");
  });

  it("is not there unless asked for", async () => {
    const { http } = await useBridge();
    expect((await fetch(http)).status).toBe(404);
  });

  it("must have been built", async () => {
    await expect(useBridge({ page: { directory: tmpdir() } })).rejects.toThrow("has the page been built?");
  });
});

describe("tokens for anybody", () => {
  const JSON_TYPE = { "content-type": "application/json" };
  const issue = async ({ user, name }: TokenRequest) => `token of ${user} (${name})`;

  it("are issued where an issuer is given", async () => {
    const { port } = await usePage(issue);
    const answer = await post(port, JSON_TYPE, '{"user":"ada","name":"Ada"}');
    expect(answer).toEqual({ status: 200, body: { token: "token of ada (Ada)" } });
  });

  it("are not where none is", async () => {
    const { port } = await usePage();
    expect((await post(port, JSON_TYPE, '{"user":"ada"}')).status).toBe(404);
  });

  it("are not for pages of other origins, nor for names that merely resolve to this machine", async () => {
    const { port } = await usePage(issue);
    const body = '{"user":"ada","name":"Ada"}';
    expect((await post(port, { ...JSON_TYPE, origin: "https://evil.test" }, body)).status).toBe(403);
    expect(
      (await post(port, { ...JSON_TYPE, host: `evil.test:${port}`, origin: `http://evil.test:${port}` }, body)).status,
    ).toBe(403);
    expect((await post(port, { ...JSON_TYPE, host: `localhost:${port}` }, body)).status).toBe(200);
  });

  it.each([
    ["no JSON", "user=ada"],
    ["no user", "{}"],
    ["a user of other letters", '{"user":"ada lovelace"}'],
    ["a user that is too long", `{"user":"${"a".repeat(129)}"}`],
    ["a name that is too long", `{"user":"ada","name":"${"é".repeat(129)}"}`],
    ["a body that is too long", `{"user":"ada","pad":"${"x".repeat(5_000)}"}`],
  ])("are refused for %s", async (_what, body) => {
    const { port } = await usePage(issue);
    expect((await post(port, JSON_TYPE, body)).status).toBe(400);
  });

  it("are refused as a form, which any page could send", async () => {
    const { port } = await usePage(issue);
    expect((await post(port, { "content-type": "text/plain" }, '{"user":"ada"}')).status).toBe(400);
  });

  it("say nothing of why the issuer failed", async () => {
    const { port } = await usePage(() => Promise.reject(new Error("key at /etc/secret")));
    const answer = await post(port, JSON_TYPE, '{"user":"ada"}');
    expect(answer).toEqual({ status: 500, body: { code: "INTERNAL", message: "internal error" } });
    const busy = await usePage(() => Promise.reject(new TrunklineError(ErrorCode.UNAVAILABLE, "busy")));
    expect((await post(busy.port, JSON_TYPE, '{"user":"ada"}')).status).toBe(503);
  });
});
