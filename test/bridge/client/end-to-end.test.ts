// The client on a real backbone: what is said arrives once and in order, whatever becomes of connections and of the server.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { createClient } from "../../../bridge/client/index.js";
import { createClient as createJsonClient } from "../../../bridge/client/json.js";
import { startBackbone } from "../../../src/backbone.js";
import type { Identity, TokenVerifier } from "../../../src/ports/token-verifier.js";

/** A token is the name of its user. */
const verifier: TokenVerifier = {
  available: true,
  async verify(userId): Promise<Identity> {
    return { tenantId: "demo", userId, displayName: userId, grants: new Set(), expiresAtMs: undefined, tokenId: "" };
  },
  onRevoked: () => () => {},
  async close() {},
};

async function useServer() {
  const dataDirectory = await mkdtemp(join(tmpdir(), "trunkline-data-"));
  onTestFinished(() => rm(dataDirectory, { recursive: true, force: true }));
  const start = async (port: number) => {
    const backbone = await startBackbone({ dataDirectory, auth: { verifier }, grpc: { port: 0 }, bridge: { port } });
    return { backbone, port: Number(backbone.bridgeAddress.split(":").at(-1)) };
  };
  let running = await start(0);
  const stop = async (): Promise<void> => {
    // Clients are told to come back in no time.
    await running.backbone.stop({ spreadMs: 1, deadlineMs: 0 });
  };
  onTestFinished(stop);
  return {
    url: `http://127.0.0.1:${running.port}`,
    async restart() {
      await stop();
      running = await start(running.port);
    },
  };
}

function useClient(url: string, user: string, create = createClient) {
  const client = create({ url, token: () => user });
  onTestFinished(() => client.close());
  return client;
}

async function live(client: ReturnType<typeof createClient>): Promise<void> {
  await vi.waitFor(() => expect(client.state.status).toBe("live"), { timeout: 10_000, interval: 10 });
}

describe.each([
  ["binary", createClient],
  ["json", createJsonClient],
])("a client that speaks %s", (_encoding, create) => {
  it("reads a room from its beginning, and what is said afterwards, over a cut and a restart of the server", async () => {
    const server = await useServer();
    const [ada, ben] = [useClient(server.url, "ada", create), useClient(server.url, "ben", create)];
    await Promise.all([live(ada), live(ben)]);
    await ada.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ben" }] } });
    const heard: string[] = [];
    const room = ben.room("tea");
    room.on("event", (event) => heard.push(event.messageCreated?.body?.text ?? Object.keys(event).at(-1) ?? ""));
    room.open({ after: {} });
    const say = async (text: string): Promise<void> => {
      await live(ada);
      await ada.publish({ roomId: "tea", clientMessageId: text, body: { text } });
    };
    await say("one");
    await vi.waitFor(() => expect(heard).toContain("one"));
    ben.drop();
    await say("two");
    await vi.waitFor(() => expect(heard).toContain("two"), { timeout: 10_000 });
    await server.restart();
    await say("three");
    await vi.waitFor(() => expect(heard).toContain("three"), { timeout: 10_000 });
    expect(heard.slice(-3)).toEqual(["one", "two", "three"]);
    expect(room.position?.seq).toBe(heard.length);
  });
});
