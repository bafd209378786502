// The page in front of a whole backbone with its store on disk, for anybody who asks for a token.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, onTestFinished } from "vitest";
import type { TokenRequest } from "../../../bridge/http/dev-token.js";
import type { Backbone } from "../../../src/backbone/options.js";
import { startBackbone } from "../../../src/backbone.js";
import type { AccessHook } from "../../../src/ports/access-hook.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { PublishHook } from "../../../src/ports/publish-hook.js";
import type { Identity, Revocation, TokenVerifier } from "../../../src/ports/token-verifier.js";
import { buildPage, missingBrowser } from "./use-page.js";

const TENANT = "demo";

/** Issues tokens to anybody and knows them again, also after a restart. */
class OpenVerifier implements TokenVerifier {
  readonly available = true;
  readonly #listeners = new Set<(revocation: Revocation) => void>();

  /** What a JWT looks like, without a signature. */
  issue = async ({ user, name }: TokenRequest): Promise<string> =>
    `.${Buffer.from(JSON.stringify({ tenant: TENANT, sub: user, name })).toString("base64url")}.`;

  async verify(token: string): Promise<Identity> {
    const claims: unknown = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString());
    if (typeof claims !== "object" || claims === null || !("sub" in claims) || !("name" in claims)) {
      throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "not a token");
    }
    const [userId, displayName] = [String(claims.sub), String(claims.name)];
    return { tenantId: TENANT, userId, displayName, grants: new Set(), expiresAtMs: undefined, tokenId: "" };
  }

  onRevoked(listener: (revocation: Revocation) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  revoke(userId: string): void {
    for (const listener of this.#listeners) listener({ tenantId: TENANT, subject: { userId }, atMs: Date.now() });
  }

  async close(): Promise<void> {}
}

export interface Serving {
  readonly backbone: Backbone;
  readonly port: number;
  readonly url: string;
}

export interface ServeOptions {
  /** Default: one of its own, which goes with the test. */
  readonly dataDirectory?: string;
  readonly port?: number;
  readonly accessHook?: AccessHook;
  readonly publishHook?: PublishHook;
}

export interface Pages {
  /** All tokens that this user has. */
  revoke(userId: string): void;
  /** Ends with the test. */
  serve(options?: ServeOptions): Promise<Serving>;
}

/** A directory that goes with the test. */
export async function useDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "trunkline-data-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** Builds the page once for the tests of a suite. */
export function usePages(): Pages {
  const verifier = new OpenVerifier();
  let built: Awaited<ReturnType<typeof buildPage>> | undefined;
  beforeAll(async () => {
    if (missingBrowser === undefined) built = await buildPage();
  });
  afterAll(() => built?.remove());
  return {
    revoke: (userId) => verifier.revoke(userId),
    async serve({ dataDirectory, port = 0, accessHook, publishHook } = {}) {
      const backbone = await startBackbone({
        dataDirectory: dataDirectory ?? (await useDirectory()),
        auth: { verifier },
        grpc: { port: 0 },
        bridge: { port, page: { directory: built?.directory ?? "", issueToken: verifier.issue } },
        ...(accessHook && { accessHook: { hook: accessHook } }),
        ...(publishHook && { publishHook: { hook: publishHook } }),
      });
      onTestFinished(async () => {
        await backbone.stop({ spreadMs: 0, deadlineMs: 0 });
      });
      const bound = Number(backbone.bridgeAddress.split(":").at(-1));
      return { backbone, port: bound, url: `http://127.0.0.1:${bound}/` };
    },
  };
}
