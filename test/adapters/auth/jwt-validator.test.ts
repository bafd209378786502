// Which tokens the ready auth service takes, and which it does not.

import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type JWTPayload, SignJWT } from "jose";
import { describe, expect, it, onTestFinished } from "vitest";
import { createJwtValidator, type JwtOptions, type JwtVerdict } from "../../../src/adapters/auth/jwt-validator.js";
import { TokenRefusalReason } from "../../../src/gen/trunkline/v1/auth_pb.js";
import { forgeToken, signToken, unsignedToken } from "../../support/token.js";
import { clockOf2026 } from "./use-auth.js";

const SECRET = "0123456789abcdef0123456789abcdef";
const NOW_S = Date.UTC(2026, 0, 1) / 1000;
const CLAIMS = { sub: "u1", tenant: "acme", name: "Ann", grants: ["service"], jti: "t1", iat: NOW_S, exp: NOW_S + 60 };

const keys = {
  ed25519: generateKeyPairSync("ed25519"),
  rsa: generateKeyPairSync("rsa", { modulusLength: 2048 }),
  p256: generateKeyPairSync("ec", { namedCurve: "P-256" }),
  p384: generateKeyPairSync("ec", { namedCurve: "P-384" }),
  p521: generateKeyPairSync("ec", { namedCurve: "P-521" }),
};

const ALGORITHMS: readonly (readonly [string, keyof typeof keys])[] = [
  ["EdDSA", "ed25519"],
  ["Ed25519", "ed25519"],
  ["RS256", "rsa"],
  ["RS384", "rsa"],
  ["RS512", "rsa"],
  ["PS256", "rsa"],
  ["PS384", "rsa"],
  ["PS512", "rsa"],
  ["ES256", "p256"],
  ["ES384", "p384"],
  ["ES512", "p521"],
];

function sign(alg: string, key: KeyObject | Uint8Array, claims: JWTPayload = CLAIMS, kid?: string): Promise<string> {
  return new SignJWT(claims).setProtectedHeader(kid === undefined ? { alg } : { alg, kid }).sign(key);
}

function signHs(claims: JWTPayload): Promise<string> {
  return sign("HS256", Buffer.from(SECRET), claims);
}

async function validate(options: JwtOptions, token: string): Promise<JwtVerdict> {
  return await (await createJwtValidator(options, clockOf2026())).validate(token);
}

function withSecret(options: Partial<JwtOptions> = {}): JwtOptions {
  return { keys: { secret: SECRET }, ...options };
}

function pem(key: KeyObject): string {
  return key.export({ type: "spki", format: "pem" }).toString();
}

async function useFile(text: string): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "trunkline-auth-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  const path = join(directory, "key");
  await writeFile(path, text);
  return path;
}

const VALID = { valid: true };
const INVALID = { valid: false, reason: TokenRefusalReason.INVALID };

describe("algorithms", () => {
  it.each(ALGORITHMS)("takes %s of a PEM key, with and without a key id in the token", async (alg, name) => {
    const files = [await useFile(pem(keys[name].publicKey))];
    expect(await validate({ keys: { files } }, await sign(alg, keys[name].privateKey))).toMatchObject(VALID);
    expect(await validate({ keys: { files } }, await sign(alg, keys[name].privateKey, CLAIMS, "k1"))).toMatchObject(
      VALID,
    );
  });

  it.each(["HS256", "HS384", "HS512"])("takes %s of the secret", async (alg) => {
    const secret = SECRET + SECRET;
    const token = await sign(alg, Buffer.from(secret));
    expect(await validate({ keys: { secret } }, token)).toMatchObject(VALID);
    expect(await validate(withSecret(), token)).toMatchObject(INVALID);
  });

  it("never takes a public key for a secret", async () => {
    const text = pem(keys.rsa.publicKey);
    const files = [await useFile(text)];
    for (const secret of [text, text.trim()]) {
      const token = await sign("HS256", Buffer.from(secret));
      expect(await validate({ keys: { files } }, token)).toMatchObject(INVALID);
      expect(await validate({ keys: { files, secret: SECRET } }, token)).toMatchObject(INVALID);
    }
  });

  it("never takes a secret for a public key", async () => {
    expect(await validate(withSecret(), await sign("RS256", keys.rsa.privateKey))).toMatchObject(INVALID);
  });

  it("takes a token of each of its keys, of whatever kind", async () => {
    const files = await Promise.all(Object.values(keys).map(({ publicKey }) => useFile(pem(publicKey))));
    const more = generateKeyPairSync("ed25519");
    files.push(await useFile(JSON.stringify({ keys: [{ ...more.publicKey.export({ format: "jwk" }), kid: "more" }] })));
    const options = { keys: { files, secret: SECRET } };
    for (const [alg, name] of ALGORITHMS) {
      expect(await validate(options, await sign(alg, keys[name].privateKey))).toMatchObject(VALID);
    }
    expect(await validate(options, await sign("EdDSA", more.privateKey))).toMatchObject(VALID);
    expect(await validate(options, await sign("EdDSA", more.privateKey, CLAIMS, "more"))).toMatchObject(VALID);
    expect(await validate(options, await sign("EdDSA", keys.ed25519.privateKey, CLAIMS, "more"))).toMatchObject(
      INVALID,
    );
    expect(await validate(options, await signHs(CLAIMS))).toMatchObject(VALID);
    expect(await validate(options, await sign("EdDSA", generateKeyPairSync("ed25519").privateKey))).toMatchObject(
      INVALID,
    );
  });

  it("takes only the algorithms it was told to", async () => {
    const options = withSecret({ algorithms: ["HS512"] });
    expect(await validate(options, await signHs(CLAIMS))).toMatchObject(INVALID);
  });

  it("refuses a token without a signature", async () => {
    for (const alg of ["none", "None", "NONE", ""]) {
      const header = Buffer.from(JSON.stringify({ alg })).toString("base64url");
      const body = Buffer.from(JSON.stringify(CLAIMS)).toString("base64url");
      for (const token of [`${header}.${body}.`, `${header}.${body}`, `${header}.${body}.AAAA`]) {
        expect(await validate(withSecret(), token)).toMatchObject(INVALID);
      }
    }
    expect(await validate(withSecret(), unsignedToken({ key: { secret: SECRET } }, { user: "u1" }))).toMatchObject(
      INVALID,
    );
  });

  it("refuses a forged token, and takes one that was signed without the library", async () => {
    const by = { key: { secret: SECRET } };
    const inTheFuture = { user: "u1", expiresInSeconds: 100 * 365 * 86_400 };
    expect(await validate(withSecret(), signToken(by, inTheFuture))).toMatchObject(VALID);
    expect(await validate(withSecret(), forgeToken(by, inTheFuture))).toMatchObject(INVALID);
  });
});

describe("claims", () => {
  it("says whom a token stands for", async () => {
    expect(await validate(withSecret(), await signHs(CLAIMS))).toMatchObject({
      valid: true,
      identity: { tenantId: "acme", userId: "u1", displayName: "Ann", grants: ["service"], tokenId: "t1" },
      issuedAtMs: NOW_S * 1000,
    });
  });

  it.each<[string, JWTPayload, JwtOptions]>([
    ["of another issuer", { ...CLAIMS, iss: "b" }, withSecret({ issuer: "a" })],
    ["of no issuer", CLAIMS, withSecret({ issuer: ["a"] })],
    ["for another audience", { ...CLAIMS, aud: ["b"] }, withSecret({ audience: ["a"] })],
    ["for no audience", CLAIMS, withSecret({ audience: "a" })],
    ["that is not valid yet", { ...CLAIMS, nbf: NOW_S + 6 }, withSecret()],
    ["that never expires", { ...CLAIMS, exp: undefined }, withSecret()],
    ["without a tenant", { ...CLAIMS, tenant: undefined }, withSecret()],
    ["without a user", { ...CLAIMS, sub: undefined }, withSecret()],
    ["with an illegal tenant", { ...CLAIMS, tenant: "a/b" }, withSecret()],
    ["with a tenant that is no text", { ...CLAIMS, tenant: { a: 1 } }, withSecret()],
    ["with an illegal id", { ...CLAIMS, jti: "a b" }, withSecret()],
    ["with grants that are no list", { ...CLAIMS, grants: { admin: true } }, withSecret()],
    ["whose claim is inherited, not its own", CLAIMS, withSecret({ claims: { tenant: "constructor.name" } })],
  ])("refuses a token %s", async (_name, claims, options) => {
    expect(await validate(options, await signHs(claims))).toMatchObject(INVALID);
  });

  it("takes a token of one of its issuers and audiences", async () => {
    const options = withSecret({ issuer: ["a", "b"], audience: ["x", "y"] });
    expect(await validate(options, await signHs({ ...CLAIMS, iss: "b", aud: ["z", "y"] }))).toMatchObject(VALID);
  });

  it("grants clocks a difference of 5 s, or what it is told", async () => {
    const expired = { valid: false, reason: TokenRefusalReason.EXPIRED };
    expect(await validate(withSecret(), await signHs({ ...CLAIMS, exp: NOW_S - 4 }))).toMatchObject(VALID);
    expect(await validate(withSecret(), await signHs({ ...CLAIMS, exp: NOW_S - 5 }))).toMatchObject(expired);
    const strict = withSecret({ clockSkewMs: 0 });
    expect(await validate(strict, await signHs({ ...CLAIMS, exp: NOW_S - 1 }))).toMatchObject(expired);
  });

  it("takes a token that never expires where that is allowed", async () => {
    const verdict = await validate(withSecret({ allowNoExpiry: true }), await signHs({ ...CLAIMS, exp: undefined }));
    expect(verdict).toMatchObject(VALID);
    expect(verdict.valid && verdict.identity.expiresAt).toBe(undefined);
  });

  it("reads the claims it is told to: by name, by path, as a list or a scope, numbered users too", async () => {
    const claims = { tenant: "https://example.com/org.id", user: "ids.user", name: "profile.nick", grants: "scope" };
    const token = await signHs({
      exp: NOW_S + 60,
      "https://example.com/org.id": "acme",
      ids: { user: 42 },
      profile: { nick: "Ann" },
      scope: "service openid https://example.com/all",
    });
    expect(await validate(withSecret({ claims }), token)).toMatchObject({
      valid: true,
      identity: { tenantId: "acme", userId: "42", displayName: "Ann", grants: ["service", "openid"], tokenId: "" },
    });
  });

  it("gives every token the fixed tenant where there is one", async () => {
    const verdict = await validate(withSecret({ tenant: "only" }), await signHs(CLAIMS));
    expect(verdict).toMatchObject({ valid: true, identity: { tenantId: "only" } });
  });
});

describe("key files and options", () => {
  const weak = generateKeyPairSync("rsa", { modulusLength: 1024 });
  const odd = generateKeyPairSync("ec", { namedCurve: "secp256k1" });
  it.each([
    ["a private PEM key", keys.rsa.privateKey.export({ type: "pkcs8", format: "pem" }).toString(), /private key/],
    ["a private JWK", JSON.stringify(keys.p256.privateKey.export({ format: "jwk" })), /private key/],
    ["a secret JWK", JSON.stringify({ kty: "oct", k: "AAAA" }), /shared secret/],
    ["an empty set", JSON.stringify({ keys: [] }), /no key/],
    ["a short RSA key", pem(weak.publicKey), /1024 bits/],
    ["a curve of no algorithm", pem(odd.publicKey), /secp256k1/],
    ["a key for agreement", pem(generateKeyPairSync("x25519").publicKey), /x25519/],
    ["something else", "hello", /key/],
  ])("refuses a file with %s, naming the file", async (_name, text, why) => {
    const path = await useFile(text);
    const starting = createJwtValidator({ keys: { files: [path] } }, clockOf2026());
    await expect(starting).rejects.toThrow(why);
    await expect(starting).rejects.toThrow(path);
  });

  it.each<[string, JwtOptions, RegExp]>([
    ["no keys", { keys: {} }, /no keys/],
    ["a short secret", { keys: { secret: "short" } }, /at least 32/],
    ["an unknown algorithm", withSecret({ algorithms: ["none"] }), /not a known algorithm/],
    ["an illegal tenant", withSecret({ tenant: "a b" }), /tenant/],
    ["a key set by plain http", { keys: { jwks: { url: "http://example.com/jwks" } } }, /https/],
  ])("refuses %s", async (_name, options, why) => {
    await expect(createJwtValidator(options, clockOf2026())).rejects.toThrow(why);
  });
});
