// Certificates made for one test run.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Pair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface Certificates {
  readonly ca: Buffer;
  /** For 127.0.0.1 and localhost. */
  readonly server: Pair;
  readonly client: Pair;
  /** Of an authority that nobody knows. */
  readonly stranger: Pair;
  /** As the server's, but its time is over. */
  readonly expired: Pair;
}

const EC_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];

export function makeCertificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "certificates-"));
  const path = (name: string) => join(folder, name);
  const openssl = (...args: readonly string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const authority = (name: string) => {
    const files = ["-keyout", path(`${name}.key`), "-out", path(`${name}.crt`)];
    openssl("req", "-x509", ...EC_KEY, ...files, "-days", "1", "-subj", `/CN=${name}`);
  };
  const pair = (name: string, ca: string, days = 1): Pair => {
    openssl("req", ...EC_KEY, "-keyout", path(`${name}.key`), "-out", path(`${name}.csr`), "-subj", `/CN=${name}`);
    writeFileSync(path("extensions"), "subjectAltName=IP:127.0.0.1,DNS:localhost");
    const signing = ["-CA", path(`${ca}.crt`), "-CAkey", path(`${ca}.key`), "-CAcreateserial", "-days", `${days}`];
    const files = ["-in", path(`${name}.csr`), "-out", path(`${name}.crt`), "-extfile", path("extensions")];
    openssl("x509", "-req", ...signing, ...files);
    return { cert: readFileSync(path(`${name}.crt`)), key: readFileSync(path(`${name}.key`)) };
  };
  try {
    authority("ca");
    authority("other");
    const ca = readFileSync(path("ca.crt"));
    const [server, client] = [pair("server", "ca"), pair("client", "ca")];
    return { ca, server, client, stranger: pair("stranger", "other"), expired: pair("expired", "ca", -1) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** The same in a folder: `ca.crt`, and for each pair `NAME.crt` and `NAME.key`. */
export function writeCertificates({ ca, ...pairs }: Certificates, folder: string): void {
  writeFileSync(join(folder, "ca.crt"), ca);
  for (const [name, { cert, key }] of Object.entries(pairs)) {
    writeFileSync(join(folder, `${name}.crt`), cert);
    writeFileSync(join(folder, `${name}.key`), key);
  }
}
