// The fallback at bridges in processes of their own: what a client sends may come to any bridge and any node.

import { expect, it, onTestFinished, vi } from "vitest";
import { startBridge } from "../../../bridge/server.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import { startGrpcServer } from "../../../src/transport/grpc/server.js";
import { useCluster } from "../../core/use-cluster.js";
import { identity } from "../../core/use-core.js";
import { type EventsClient, post, useEvents } from "../use-events.js";
import { SECRET, type TestEdge, useEdge, useNode } from "./use-edge.js";

/** Waits until it holds: a busy machine takes its time. */
function eventually(check: () => void | Promise<void>): Promise<void> {
  return vi.waitFor(check, { timeout: 10_000, interval: 10 });
}

const LIMITS = { maxFrameBytes: 64 * 1024 };

function hello(user: string): string {
  return JSON.stringify({ ref: 1, hello: { token: user, protocol: 1, device: { deviceId: "tab" } } });
}

function ping(id: number): string {
  return JSON.stringify({ ref: id, ping: { id } });
}

/** Says hello and two pings, each request at the next of these places. */
async function talk(client: EventsClient, places: readonly string[]): Promise<void> {
  const next = async (): Promise<unknown> => JSON.parse((await client.next())?.data ?? "");
  const at = (index: number): string => places[index % places.length] ?? "";
  expect((await post(at(0), client.key, 1, hello("ann"))).status).toBe(204);
  expect(await next()).toMatchObject({ replyTo: 1, welcome: { userId: "ann" } });
  for (let id = 2; id < 2 + 2 * places.length; id++) {
    expect((await post(at(id), client.key, id, ping(id))).status).toBe(204);
    expect(await next()).toEqual({ replyTo: id, pong: { id } });
  }
}

/** Two nodes of a cluster, each with a bridge of its own and one that is linked to it alone. */
async function useEdges(): Promise<{ readonly own: readonly string[]; readonly linked: readonly TestEdge[] }> {
  const cluster = await useCluster({ nodes: 2 });
  const clock = createSystemClock();
  const nodes = await Promise.all(
    cluster.nodes.map(async ({ core, telemetry, verifier }) => {
      verifier.answer("ann", identity("ann"));
      const grpc = await startGrpcServer({
        core,
        telemetry,
        clock,
        host: "127.0.0.1",
        port: 0,
        limits: LIMITS,
        linkSecret: SECRET,
      });
      grpc.setServing(true);
      onTestFinished(() => grpc.close(0));
      const bridge = await startBridge({ core, port: 0, allowedOrigins: [], limits: LIMITS, telemetry, clock });
      onTestFinished(() => bridge.close(0));
      return { own: `http://127.0.0.1:${bridge.port}`, linked: await useEdge([{ grpc: `127.0.0.1:${grpc.port}` }]) };
    }),
  );
  return { own: nodes.map(({ own }) => own), linked: nodes.map(({ linked }) => linked) };
}

it("takes requests at either of two bridges of one node, and at the node's own", async () => {
  const node = await useNode();
  const [one, two] = [await useEdge([node]), await useEdge([node])];
  for (const place of [one.url, two.url, node.url]) {
    await talk(await useEvents(place), [one.url, two.url, node.url]);
  }
});

it("takes requests at bridges and nodes of a cluster, wherever the stream is", async () => {
  const { own, linked } = await useEdges();
  const places = [...own, ...linked.map(({ url }) => url)];
  for (const place of places) await talk(await useEvents(place), places);
});

it("refuses what the session's bridge refuses, as it does", async () => {
  const node = await useNode();
  const [one, two] = [await useEdge([node]), await useEdge([node])];
  const client = await useEvents(one.url);
  expect((await post(two.url, client.key, 1, hello("ann"))).status).toBe(204);
  await client.next();
  expect((await post(two.url, client.key, 9, ping(9))).status).toBe(409);
  const [id, secret, place = ""] = client.key.split(".");
  for (const forged of [
    `${id}.${"x".repeat(22)}.${place}`,
    `${"x".repeat(22)}.${secret}.${place}`,
    `${id}.${secret}`,
    `${id}.${secret}.${place}x`,
    `${id}.${secret}.x${place}`,
  ]) {
    expect([forged, (await post(two.url, forged, 2, ping(2))).status]).toEqual([forged, 404]);
  }
  // Sent again, it changes nothing.
  for (let times = 0; times < 2; times++) expect((await post(two.url, client.key, 2, ping(2))).status).toBe(204);
  expect((await post(one.url, client.key, 3, ping(3))).status).toBe(204);
  expect(JSON.parse((await client.next())?.data ?? "")).toEqual({ replyTo: 2, pong: { id: 2 } });
  expect(JSON.parse((await client.next())?.data ?? "")).toEqual({ replyTo: 3, pong: { id: 3 } });
  expect((await post(two.url, client.key, 4, "x".repeat(64 * 1024 + 1))).status).toBe(413);
  expect(await client.next()).toMatchObject({ data: expect.stringContaining("TOO_LARGE") });
});

it("ends a session that is closed at another bridge", async () => {
  const node = await useNode();
  const [one, two] = [await useEdge([node]), await useEdge([node])];
  const client = await useEvents(one.url);
  await post(two.url, client.key, 1, hello("ann"));
  await client.next();
  expect((await post(two.url, client.key, 2, "", { "trunkline-close": "1000" })).status).toBe(204);
  expect(await client.next()).toBeUndefined();
  await eventually(() => expect(one.bridge.sessions).toBe(0));
});

it("knows no session of a bridge that is gone, and refuses for now while no server is linked", async () => {
  const node = await useNode();
  const [one, two] = [await useEdge([node]), await useEdge([node])];
  const client = await useEvents(one.url);
  await post(two.url, client.key, 1, hello("ann"));
  await one.bridge.stop({ spreadMs: 1, deadlineMs: 0 });
  await eventually(async () => expect((await post(two.url, client.key, 2, ping(2))).status).toBe(404));
  await node.stop();
  await eventually(async () => expect((await post(two.url, client.key, 2, ping(2))).status).toBe(503));
});
