// A backbone with the demo's page, for anybody, which can be stopped, started again, and told to revoke or to refuse.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { startBackbone } from "../../dist/src/index.js";

const TENANT = "demo";
const page = resolve(import.meta.dirname, "../../dist/bridge/demo");

/** Knows whoever says who they are. */
class OpenVerifier {
  available = true;
  #listeners = new Set();

  issue = async ({ user, name }) =>
    `.${Buffer.from(JSON.stringify({ tenant: TENANT, sub: user, name })).toString("base64url")}.`;

  async verify(token) {
    const { sub, name } = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
    return { tenantId: TENANT, userId: sub, displayName: name, grants: new Set(), tokenId: "" };
  }

  onRevoked(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  revoke(userId) {
    for (const listener of this.#listeners) listener({ tenantId: TENANT, subject: { userId }, atMs: Date.now() });
  }

  async close() {}
}

/** Refuses what should not be said aloud. */
const publishHook = {
  beforePublish: async ({ message: { body } }) =>
    body?.kind.case === "text" && body.kind.value.includes("password")
      ? { decision: "refuse", reason: "passwords do not belong here", code: "secret" }
      : { decision: "allow" },
};

export async function startServer() {
  const verifier = new OpenVerifier();
  const dataDirectory = await mkdtemp(join(tmpdir(), "trunkline-pictures-"));
  let backbone;
  let port = 0;
  const start = async () => {
    backbone = await startBackbone({
      dataDirectory,
      auth: { verifier },
      grpc: { port: 0 },
      bridge: { port, page: { directory: page, issueToken: verifier.issue } },
      publishHook: { hook: publishHook },
    });
    port = Number(backbone.bridgeAddress.split(":").at(-1));
  };
  const stop = () => backbone.stop({ spreadMs: 0, deadlineMs: 1_000 });
  await start();
  return {
    port,
    issue: verifier.issue,
    revoke: (userId) => verifier.revoke(userId),
    start,
    stop,
    async end() {
      await stop();
      await rm(dataDirectory, { recursive: true, force: true });
    },
  };
}
