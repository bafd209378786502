// A real backbone that clients of a test connect to, and that can be started anew.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, vi } from "vitest";
import type { Client, ClientOptions } from "../../../bridge/client/client.js";
import { createClient } from "../../../bridge/client/index.js";
import { startBackbone } from "../../../src/backbone.js";
import type { Limits } from "../../../src/core/limit/limits.js";
import type { Identity, TokenVerifier } from "../../../src/ports/token-verifier.js";

/** A token is the name of its user. It holds for so long from when it is shown, or for ever. */
function verifierOf(tokenMs: number | undefined): TokenVerifier {
  return {
    available: true,
    async verify(userId): Promise<Identity> {
      const expiresAtMs = tokenMs === undefined ? undefined : Date.now() + tokenMs;
      return { tenantId: "demo", userId, displayName: userId, grants: new Set(), expiresAtMs, tokenId: "" };
    },
    onRevoked: () => () => {},
    async close() {},
  };
}

/**
 * @param allowedOrigins Of pages that may connect.
 * @param tokenMs How long a token holds. Undefined: for ever.
 * @param limits Differences from the default ones.
 */
export async function useBackbone(
  allowedOrigins: readonly string[] = [],
  tokenMs?: number,
  limits: Partial<Limits> = {},
) {
  const verifier = verifierOf(tokenMs);
  const dataDirectory = await mkdtemp(join(tmpdir(), "trunkline-data-"));
  onTestFinished(() => rm(dataDirectory, { recursive: true, force: true }));
  const start = async (port: number) => {
    const backbone = await startBackbone({
      dataDirectory,
      auth: { verifier },
      grpc: { port: 0 },
      bridge: { port, allowedOrigins },
      limits,
    });
    return { backbone, port: Number(backbone.bridgeAddress.split(":").at(-1)) };
  };
  let running = await start(0);
  const stop = async (spreadMs: number): Promise<void> => {
    await running.backbone.stop({ spreadMs, deadlineMs: 0 });
  };
  onTestFinished(() => stop(1));
  return {
    url: `http://127.0.0.1:${running.port}`,
    async restart() {
      // Clients are told to come back soon, and not before it is there again.
      await stop(600);
      running = await start(running.port);
    },
  };
}

export function useClient(
  url: string,
  user: string,
  create = createClient,
  options: Partial<ClientOptions> = {},
): Client {
  const client = create({ url, token: () => user, ...options });
  onTestFinished(() => client.close());
  return client;
}

export async function live(client: Client): Promise<void> {
  await vi.waitFor(() => expect(client.state.status).toBe("live"), { timeout: 10_000, interval: 10 });
}
