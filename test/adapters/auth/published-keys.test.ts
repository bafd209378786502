// Keys from an issuer's URL: rotation, outages, forged key ids.

import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { type JWK, SignJWT } from "jose";
import { describe, expect, it, onTestFinished } from "vitest";
import { startAuthService } from "../../../src/adapters/auth/auth-service.js";
import { createJwtValidator } from "../../../src/adapters/auth/jwt-validator.js";
import { KeysUnavailable } from "../../../src/adapters/auth/published-keys.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { refusalOf } from "../../contract/token-verifier.js";
import { clockOf2026, useVerifier } from "./use-auth.js";

interface IssuerKey {
  readonly jwk: JWK;
  readonly privateKey: KeyObject;
}

function newKey(kid: string): IssuerKey {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  return { jwk: { ...publicKey.export({ format: "jwk" }), kid, use: "sig", alg: "EdDSA" } as JWK, privateKey };
}

function token(key: IssuerKey, kid = key.jwk.kid): Promise<string> {
  const exp = Date.UTC(2027, 0, 1) / 1000;
  const header = kid === undefined ? { alg: "EdDSA" } : { alg: "EdDSA", kid };
  return new SignJWT({ sub: "u1", tenant: "acme", exp }).setProtectedHeader(header).sign(key.privateKey);
}

async function useIssuer(listener?: RequestListener) {
  const issuer = { keys: [] as JWK[], up: true, requests: 0, url: "" };
  const server = createServer((request, response) => {
    issuer.requests += 1;
    if (listener !== undefined) return listener(request, response);
    response.statusCode = issuer.up ? 200 : 503;
    response.end(JSON.stringify({ keys: issuer.keys }));
  });
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, "127.0.0.1", resolve);
  await promise;
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  issuer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`;
  return issuer;
}

async function useValidator(url: string) {
  const clock = clockOf2026();
  const validator = await createJwtValidator({ keys: { jwks: { url, timeoutMs: 500 } } }, clock);
  return { clock, valid: async (text: string) => (await validator.validate(text)).valid };
}

describe("published keys", () => {
  it("are fetched once and used for ten minutes", async () => {
    const issuer = await useIssuer();
    const key = newKey("k1");
    issuer.keys = [key.jwk];
    const { clock, valid } = await useValidator(issuer.url);
    const text = await token(key);
    expect(await Promise.all(Array.from({ length: 20 }, () => valid(text)))).not.toContain(false);
    clock.advance(599_999);
    expect(await valid(text)).toBe(true);
    expect(issuer.requests).toBe(1);
    clock.advance(1);
    expect(await valid(text)).toBe(true);
    expect(issuer.requests).toBe(2);
  });

  it("are fetched again for a key that is new, and one that was withdrawn verifies no more", async () => {
    const issuer = await useIssuer();
    const [old, next] = [newKey("k1"), newKey("k2")];
    issuer.keys = [old.jwk];
    const { clock, valid } = await useValidator(issuer.url);
    expect(await valid(await token(old))).toBe(true);
    issuer.keys = [next.jwk];
    clock.advance(30_000);
    expect(await valid(await token(next))).toBe(true);
    expect(await valid(await token(old))).toBe(false);
  });

  it("are not fetched again for each forged key id", async () => {
    const issuer = await useIssuer();
    const key = newKey("k1");
    issuer.keys = [key.jwk];
    const { valid } = await useValidator(issuer.url);
    for (let n = 0; n < 20; n += 1) expect(await valid(await token(key, `forged-${n}`))).toBe(false);
    expect(issuer.requests).toBe(1);
  });

  it("are tried each where the token names none", async () => {
    const issuer = await useIssuer();
    const many = [newKey("k1"), newKey("k2"), newKey("k3")];
    issuer.keys = many.map(({ jwk }) => jwk);
    const { valid } = await useValidator(issuer.url);
    for (const key of many) {
      const { kid: _, ...jwk } = key.jwk;
      expect(await valid(await token({ ...key, jwk }))).toBe(true);
    }
    const { kid: _, ...jwk } = newKey("").jwk;
    expect(await valid(await token({ ...newKey(""), jwk }))).toBe(false);
  });

  it("never include a shared secret, whatever the issuer publishes", async () => {
    const issuer = await useIssuer();
    const secret = Buffer.alloc(32, 7);
    issuer.keys = [{ kty: "oct", k: secret.toString("base64url"), kid: "k1", alg: "HS256" }];
    const { valid } = await useValidator(issuer.url);
    const text = await new SignJWT({ sub: "u1", tenant: "acme", exp: 9e9 })
      .setProtectedHeader({ alg: "HS256", kid: "k1" })
      .sign(secret);
    expect(await valid(text)).toBe(false);
  });

  it("stay in use for an hour while the issuer is away", async () => {
    const issuer = await useIssuer();
    const key = newKey("k1");
    issuer.keys = [key.jwk];
    const { clock, valid } = await useValidator(issuer.url);
    const text = await token(key);
    await valid(text);
    issuer.up = false;
    clock.advance(3_599_999);
    expect(await valid(text)).toBe(true);
    clock.advance(1_001);
    await expect(valid(text)).rejects.toThrow(KeysUnavailable);
    issuer.up = true;
    clock.advance(1_000);
    expect(await valid(text)).toBe(true);
  });

  it("are asked for once a second at most while the issuer is away", async () => {
    const issuer = await useIssuer();
    issuer.up = false;
    const { clock, valid } = await useValidator(issuer.url);
    const text = await token(newKey("k1"));
    for (let n = 0; n < 5; n += 1) await expect(valid(text)).rejects.toThrow(KeysUnavailable);
    expect(issuer.requests).toBe(1);
    clock.advance(1_000);
    await expect(valid(text)).rejects.toThrow(KeysUnavailable);
    expect(issuer.requests).toBe(2);
  });

  it.each<[string, RequestListener]>([
    ["redirects", (_request, response) => response.writeHead(302, { location: "/elsewhere" }).end()],
    ["sends something else", (_request, response) => response.end("<html>")],
    ["sends no keys", (_request, response) => response.end("{}")],
    ["sends without end", (_request, response) => response.end(Buffer.alloc(300 * 1024, " "))],
    ["never answers", () => {}],
    ["hangs up", (request) => request.socket.destroy()],
  ])("cannot be had from an issuer that %s", async (_name, listener) => {
    const issuer = await useIssuer(listener);
    const { valid } = await useValidator(issuer.url);
    await expect(valid(await token(newKey("k1")))).rejects.toThrow(KeysUnavailable);
  });

  it("make tokens unverifiable, not the auth service unavailable, while they cannot be had", async () => {
    const issuer = await useIssuer();
    issuer.up = false;
    const clock = clockOf2026();
    const events: string[] = [];
    const jwt = { keys: { jwks: { url: issuer.url }, secret: "0123456789abcdef0123456789abcdef" } };
    const service = await startAuthService({ clock, jwt, report: ({ kind }) => events.push(kind) });
    onTestFinished(() => service.close());
    const { verifier } = useVerifier({ address: service.address, clock });
    const text = await token(newKey("k1"));
    for (let n = 0; n < 10; n += 1) {
      expect((await refusalOf(verifier.verify(text))).code).toBe(ErrorCode.UNAVAILABLE);
    }
    expect(new Set(events)).toEqual(new Set(["keys.unavailable"]));
    expect(verifier.available).toBe(true);
  });
});
