// The fallback on several nodes: what a client sends may come to any of them.

import { expect, it, onTestFinished } from "vitest";
import { startBridge } from "../../bridge/server.js";
import { FramePassing } from "../../src/core/cluster/frame-passing.js";
import { type TestCluster, type TestNode, useCluster } from "../core/use-cluster.js";
import { identity } from "../core/use-core.js";
import { post, useEvents } from "./use-events.js";

/** A cluster, and where the bridge of each node is. */
async function useBridges(): Promise<{ readonly cluster: TestCluster; readonly at: (index: number) => string }> {
  const cluster = await useCluster({ nodes: 3 });
  const bridges = await Promise.all(
    cluster.nodes.map(({ core, telemetry, verifier }) => {
      verifier.answer("ann", identity("ann"));
      return startBridge({
        core,
        port: 0,
        allowedOrigins: [],
        limits: { maxFrameBytes: 64 * 1024 },
        telemetry,
        clock: cluster.clock,
      });
    }),
  );
  onTestFinished(async () => {
    const closed = bridges.map((bridge) => bridge.close(0));
    cluster.clock.advance(0);
    await Promise.all(closed);
  });
  return { cluster, at: (index) => `http://127.0.0.1:${bridges[index]?.port}` };
}

const HELLO = JSON.stringify({ ref: 1, hello: { token: "ann", protocol: 1, device: { deviceId: "tab" } } });
const PING = JSON.stringify({ ref: 2, ping: { id: 5 } });

/** A session of the first node, whose requests come to the second. */
async function useStranger() {
  const { cluster, at } = await useBridges();
  const client = await useEvents(at(0));
  const elsewhere = (number: number, frames: string, headers?: Record<string, string>) =>
    post(at(1), client.key, number, frames, headers);
  const next = async (): Promise<unknown> => JSON.parse((await client.next())?.data ?? "");
  expect((await elsewhere(1, HELLO)).status).toBe(204);
  expect(await next()).toMatchObject({ replyTo: 1, welcome: { userId: "ann" } });
  const [owner, stranger]: readonly [TestNode, TestNode] = [cluster.node(0), cluster.node(1)];
  return { cluster, client, at, elsewhere, next, owner, stranger };
}

it("takes a session's requests at whatever node they come to", async () => {
  const { at, client, elsewhere, next } = await useStranger();
  expect((await elsewhere(2, PING)).status).toBe(204);
  expect(await next()).toEqual({ replyTo: 2, pong: { id: 5 } });
  expect((await post(at(2), client.key, 3, PING)).status).toBe(204);
  expect((await client.post(4, PING)).status).toBe(204);
  for (let index = 0; index < 2; index++) expect(await next()).toEqual({ replyTo: 2, pong: { id: 5 } });
});

it("passes what is refused on as it was refused", async () => {
  const { at, client, elsewhere } = await useStranger();
  expect((await elsewhere(9, PING)).status).toBe(409);
  const [id, , node] = client.key.split(".");
  const forged = await post(at(1), `${id}.${"x".repeat(22)}.${node}`, 2, PING);
  expect(forged.status).toBe(404);
  expect(await forged.json()).toMatchObject({ code: "NOT_FOUND" });
  expect((await post(at(1), client.key.replace(/\w+$/, "nobody"), 2, PING)).status).toBe(404);
  expect((await elsewhere(2, "x".repeat(64 * 1024 + 1))).status).toBe(413);
  expect(await client.next()).toMatchObject({ data: expect.stringContaining("TOO_LARGE") });
});

it("does once what is sent again because the answer was lost", async () => {
  const { cluster, elsewhere, next, owner, stranger } = await useStranger();
  cluster.link(stranger, owner, "deaf");
  const lost = await elsewhere(2, PING);
  expect(lost.status).toBe(503);
  expect(lost.headers.has("retry-after")).toBe(true);
  cluster.openLinks();
  expect((await elsewhere(2, PING)).status).toBe(204);
  await elsewhere(3, JSON.stringify({ ref: 3, ping: { id: 6 } }));
  expect(await next()).toEqual({ replyTo: 2, pong: { id: 5 } });
  expect(await next()).toEqual({ replyTo: 3, pong: { id: 6 } });
});

it("refuses for now what it cannot pass, and for good where the session's node is gone", async () => {
  const { cluster, elsewhere, owner, stranger } = await useStranger();
  cluster.link(stranger, owner, "cut");
  expect((await elsewhere(2, PING)).status).toBe(503);
  cluster.kill(owner);
  expect((await elsewhere(2, PING)).status).toBe(404);
});

it("ends a session that is closed at another node", async () => {
  const { client, elsewhere, owner } = await useStranger();
  const ended: number[] = [];
  owner.telemetry.on("session.closed", ({ code }) => void ended.push(code));
  expect((await elsewhere(2, "", { "trunkline-close": "1000" })).status).toBe(204);
  expect(ended).toEqual([1000]);
  expect(await client.next()).toBeUndefined();
});

it("names a node without telling what it is called, and passes nothing back and forth", async () => {
  const cluster = await useCluster({ nodes: 2 });
  const keyOf = (node: string) => `${"a".repeat(22)}.${"b".repeat(22)}.${node}`;
  const { passing } = cluster.node(1).core;
  expect(passing.here).not.toContain(cluster.node(1).nodeId);
  const asked = cluster.asked.length;
  await expect(
    cluster.node(0).core.passing.pass(passing.here, {
      sessionKey: keyOf("other"),
      number: 1,
      frames: new Uint8Array(),
      closeCode: 0,
    }),
  ).rejects.toThrow("there is no such session");
  expect(cluster.asked).toHaveLength(asked + 1);
  expect(new FramePassing({ ids: { random: () => "", digest: (text) => text } }).here).toBe("");
});
