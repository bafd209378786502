// How connections to the auth service are protected.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { startAuthService } from "../../../src/adapters/auth/auth-service.js";
import { createDevIssuer } from "../../../src/adapters/auth/dev-issuer.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { type ClientTls, isLoopback, type ServerTls } from "../../../src/rpc/tls.js";
import { refusalOf } from "../../contract/token-verifier.js";
import { clockOf2026, useVerifier } from "./use-auth.js";

const run = promisify(execFile);

describe("TLS to the auth service", () => {
  let directory: string;
  // Self-signed: the certificate is its own authority.
  let pair: { certificate: string; key: string };
  let other: { certificate: string; key: string };

  async function selfSigned(name: string): Promise<{ certificate: string; key: string }> {
    const [key, certificate] = [join(directory, `${name}.key`), join(directory, `${name}.crt`)];
    const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=DNS:auth.test"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    await run("openssl", [
      "req",
      "-x509",
      ...curve,
      "-nodes",
      "-days",
      "2",
      ...subject,
      "-keyout",
      key,
      "-out",
      certificate,
    ]);
    return { certificate: await readFile(certificate, "utf8"), key: await readFile(key, "utf8") };
  }

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "trunkline-tls-"));
    pair = await selfSigned("one");
    other = await selfSigned("other");
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));

  async function verifyOver(server: ServerTls | undefined, client: ClientTls | undefined): Promise<string> {
    const clock = clockOf2026();
    const issuer = await createDevIssuer({ clock });
    const jwt = { keys: { development: issuer } };
    const service = await startAuthService({ clock, jwt, ...(server === undefined ? {} : { tls: server }) });
    onTestFinished(() => service.close());
    const { verifier } = useVerifier({
      address: service.address,
      clock,
      ...(client === undefined ? {} : { tls: client }),
    });
    return (await verifier.verify(await issuer.issue({ userId: "u1" }))).userId;
  }

  it("is not needed on loopback", async () => {
    expect(await verifyOver(undefined, undefined)).toBe("u1");
    expect(await verifyOver("plain", "plain")).toBe("u1");
  });

  it("takes a server whose certificate the client was told to trust", async () => {
    expect(await verifyOver(pair, { ca: pair.certificate, serverName: "auth.test" })).toBe("u1");
  });

  it("refuses a server of another authority, of another name, and one without", async () => {
    const clients: ClientTls[] = [
      { ca: other.certificate, serverName: "auth.test" },
      { ca: pair.certificate, serverName: "elsewhere.test" },
      { serverName: "auth.test" },
    ];
    for (const client of clients) {
      expect((await refusalOf(verifyOver(pair, client))).code).toBe(ErrorCode.UNAVAILABLE);
    }
    const plain = verifyOver(undefined, { ca: pair.certificate, serverName: "auth.test" });
    expect((await refusalOf(plain)).code).toBe(ErrorCode.UNAVAILABLE);
  });

  it("asks a client for a certificate where it is mutual", async () => {
    const server = { ...pair, clientCa: other.certificate };
    const client = { ca: pair.certificate, serverName: "auth.test" };
    expect(await verifyOver(server, { ...client, identity: other })).toBe("u1");
    expect((await refusalOf(verifyOver(server, { ...client, identity: pair }))).code).toBe(ErrorCode.UNAVAILABLE);
    expect((await refusalOf(verifyOver(server, client))).code).toBe(ErrorCode.UNAVAILABLE);
  });

  it("is a must, or must be declined, on a public address", async () => {
    const clock = clockOf2026();
    const jwt = { keys: { secret: "0123456789abcdef0123456789abcdef" } };
    await expect(startAuthService({ clock, host: "0.0.0.0", jwt })).rejects.toThrow(/loopback/);
    const service = await startAuthService({ clock, host: "0.0.0.0", jwt, tls: "plain" });
    await service.close();
  });
});

describe("isLoopback", () => {
  it.each(["localhost", "LOCALHOST", "127.0.0.1", "127.8.9.1", "::1", "[::1]"])("takes %s for this machine", (host) => {
    expect(isLoopback(host)).toBe(true);
  });
  it.each(["0.0.0.0", "::", "", "127.1", "127.0.0.1.example.com", "localhost.example.com", "10.0.0.1"])(
    "does not take %s for this machine",
    (host) => {
      expect(isLoopback(host)).toBe(false);
    },
  );
});
