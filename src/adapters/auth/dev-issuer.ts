// Issues tokens to anybody who asks: for development, on loopback only.

import { randomBytes, randomUUID } from "node:crypto";
import { link, open, readFile, rm, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose";
import type { Clock } from "../../ports/clock.js";
import { makeDirectory } from "../directory.js";
import { isId } from "./identity.js";

const ALGORITHM = "EdDSA";
const DEFAULT_TENANT = "demo";
/** A working day, in milliseconds. */
const DEFAULT_TTL_MS = 12 * 60 * 60_000;
/** A month, in milliseconds: nothing that was issued to anybody should live longer. */
const MAX_TTL_MS = 31 * 24 * 60 * 60_000;
/** `iss` of its tokens. */
export const DEV_ISSUER = "trunkline-dev";

export interface DevIssuerOptions {
  readonly clock: Clock;
  /** Where the key is kept, so that tokens outlive a restart; created with mode 0600. Default: a new key each time. */
  readonly keyFile?: string;
  /** The tenant where none is asked for. Default `demo`. */
  readonly tenantId?: string;
}

/** Whom a development token shall stand for. */
export interface DevTokenRequest {
  readonly userId: string;
  readonly tenantId?: string;
  readonly displayName?: string;
  readonly grants?: readonly string[];
  /** How long it is valid, in milliseconds, at most 31 days. Default 12 hours. */
  readonly ttlMs?: number;
}

export interface DevIssuer {
  /** What its tokens are verified with. */
  readonly publicKey: JWK;
  /** Rejects with a plain error where an id is not legal. */
  issue(request: DevTokenRequest): Promise<string>;
}

/** Reads or creates the key. */
export async function createDevIssuer(options: DevIssuerOptions): Promise<DevIssuer> {
  const { keyFile, clock, tenantId = DEFAULT_TENANT } = options;
  const jwk = keyFile === undefined ? await newKey() : await keptKey(keyFile);
  const key = await importJWK(jwk, ALGORITHM);
  const { d: _private, ...publicKey } = jwk;
  return {
    publicKey,
    issue: async (request) => {
      const tenant = request.tenantId ?? tenantId;
      checkId("tenant", tenant);
      checkId("user", request.userId);
      for (const grant of request.grants ?? []) checkId("grant", grant);
      const ttlMs = request.ttlMs ?? DEFAULT_TTL_MS;
      if (!(ttlMs <= MAX_TTL_MS)) throw new Error("a development token is valid for at most 31 days");
      // Fractions of a second are legal (RFC 7519, 2) and let a token be told from a revocation in the same second.
      const now = clock.now() / 1000;
      return await new SignJWT({ tenant, name: request.displayName ?? request.userId, grants: request.grants ?? [] })
        .setProtectedHeader({
          alg: ALGORITHM,
          typ: "JWT",
          ...(publicKey.kid === undefined ? {} : { kid: publicKey.kid }),
        })
        .setIssuer(DEV_ISSUER)
        .setSubject(request.userId)
        .setJti(randomUUID())
        .setIssuedAt(now)
        .setExpirationTime(now + ttlMs / 1000)
        .sign(key);
    },
  };
}

function checkId(what: string, id: string): void {
  if (!isId(id)) throw new Error(`the ${what} is not 1–128 of [A-Za-z0-9._:~-]`);
}

async function newKey(): Promise<JWK> {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  return { ...(await exportJWK(privateKey)), kid: randomBytes(8).toString("hex"), alg: ALGORITHM };
}

async function keptKey(path: string): Promise<JWK> {
  try {
    return await readKey(path);
  } catch (error) {
    if (!isNotThere(error)) throw error;
  }
  await createKey(path);
  return await readKey(path);
}

async function readKey(path: string): Promise<JWK> {
  const { mode } = await stat(path);
  if (process.platform !== "win32" && (mode & 0o077) !== 0) {
    throw new Error(`${path}: others can read this key; make it private (chmod 600)`);
  }
  const jwk = parse(await readFile(path, "utf8"));
  if (jwk?.kty !== "OKP" || typeof jwk.d !== "string") throw new Error(`${path}: not a private Ed25519 key`);
  return jwk;
}

/** Without the parser's own error, which would quote the key. */
function parse(text: string): JWK | undefined {
  try {
    return JSON.parse(text) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Written aside and linked into place: of two processes that start at once, both end up with the same whole key. */
async function createKey(path: string): Promise<void> {
  await makeDirectory(resolve(dirname(path)));
  const draft = `${path}.${randomUUID()}`;
  const file = await open(draft, "wx", 0o600);
  try {
    await file.writeFile(`${JSON.stringify(await newKey())}\n`);
    await file.sync();
    await link(draft, path);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  } finally {
    await file.close();
    await rm(draft, { force: true });
  }
}

function isNotThere(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
