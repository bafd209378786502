// Nodes and bridges linked to them, in one process; each can be stopped and started anew at its place.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, vi } from "vitest";
import type { Backbone, BackboneOptions } from "../../../src/backbone/options.js";
import { type RemoteBridge, type RemoteBridgeOptions, startRemoteBridge } from "../../../src/backbone/remote-bridge.js";
import { startBackbone } from "../../../src/backbone.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import type { Identity, TokenVerifier } from "../../../src/ports/token-verifier.js";
import type { GrpcTls } from "../../../src/transport/grpc/server.js";

export const SECRET = "between bridge and node";

/** A token is the name of its user. `bad` is nobody's; who begins with `svc` is a service. */
const verifier: TokenVerifier = {
  available: true,
  async verify(userId): Promise<Identity> {
    if (userId === "bad") throw new TrunklineError(ErrorCode.UNAUTHENTICATED, "the token does not verify");
    const grants = new Set(userId.startsWith("svc") ? ["service"] : []);
    return { tenantId: "demo", userId, displayName: userId, grants, expiresAtMs: undefined, tokenId: "" };
  },
  onRevoked: () => () => {},
  async close() {},
};

export interface TestNode {
  readonly backbone: Backbone;
  readonly grpc: string;
  readonly url: string;
  /** Ends without a word to anybody: connections are cut. */
  stop(): Promise<void>;
  /** Leaves in order. */
  leave(): Promise<void>;
  /** At the same addresses, over the same store. */
  start(): Promise<void>;
}

export async function useNode({
  tls,
  grpc: listening = { port: 0, linkSecret: SECRET },
  ...options
}: Partial<BackboneOptions> & { tls?: GrpcTls } = {}): Promise<TestNode> {
  const dataDirectory = await mkdtemp(join(tmpdir(), "trunkline-data-"));
  onTestFinished(() => rm(dataDirectory, { recursive: true, force: true }));
  const start = (grpc: number, bridge: number): Promise<Backbone> =>
    startBackbone({
      dataDirectory,
      auth: { verifier },
      grpc: { ...listening, port: grpc, ...(tls && { tls }) },
      bridge: { port: bridge },
      ...options,
    });
  let backbone = await start(0, 0);
  const { grpcAddress: grpc, bridgeAddress: bridge } = backbone;
  onTestFinished(async () => {
    await backbone.stop({ spreadMs: 1, deadlineMs: 0 });
  });
  return {
    get backbone() {
      return backbone;
    },
    grpc,
    url: `http://${bridge}`,
    stop: async () => {
      await backbone.stop({ spreadMs: 1, deadlineMs: 0 });
    },
    leave: async () => {
      await backbone.stop({ spreadMs: 100, deadlineMs: 5_000 });
    },
    start: async () => {
      backbone = await start(portOf(grpc), portOf(bridge));
    },
  };
}

export interface TestEdge {
  readonly bridge: RemoteBridge;
  readonly url: string;
}

/** A bridge that is linked to one of the nodes. */
export async function useEdge(
  nodes: readonly Pick<TestNode, "grpc">[],
  options: Partial<RemoteBridgeOptions> = {},
): Promise<TestEdge> {
  const edge = await useUnlinked(nodes, options);
  await ready(edge);
  return edge;
}

export async function useUnlinked(
  nodes: readonly Pick<TestNode, "grpc">[],
  options: Partial<RemoteBridgeOptions> = {},
): Promise<TestEdge> {
  const backbones = nodes.map(({ grpc }) => grpc);
  const bridge = await startRemoteBridge({
    backbones,
    secret: SECRET,
    port: 0,
    spreadMs: 50,
    name: "edge",
    ...options,
  });
  onTestFinished(async () => {
    await bridge.stop({ spreadMs: 1, deadlineMs: 0 });
  });
  return { bridge, url: `http://${bridge.bridgeAddress}` };
}

export async function ready({ bridge }: TestEdge): Promise<void> {
  await vi.waitFor(() => expect(bridge.trouble).toEqual([]), { timeout: 10_000, interval: 10 });
}

export function portOf(address: string): number {
  return Number(address.split(":").at(-1));
}
