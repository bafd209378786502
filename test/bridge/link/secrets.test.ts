// The secret of links is changed while bridges are linked.

import { expect, it, onTestFinished, vi } from "vitest";
import { live, useClient } from "../client/use-backbone.js";
import { post, useEvents } from "../use-events.js";
import { ready, SECRET, useEdge, useNode, useUnlinked } from "./use-edge.js";

const NEXT = "what is shown from now on";

it("no link is lost while it is changed, and only the new one is taken then", async () => {
  const node = await useNode({ grpc: { port: 0, linkSecret: [SECRET] } });
  const [one, two] = [await useEdge([node]), await useEdge([node])];
  const turns: boolean[] = [];
  for (const { bridge } of [one, two]) onTestFinished(bridge.telemetry.on("link.turned", ({ up }) => turns.push(up)));
  const client = useClient(one.url, "ada");
  await live(client);
  const stream = await useEvents(one.url);

  node.backbone.replaceLinkSecrets([NEXT, SECRET]);
  const early = await useEdge([node], { secret: NEXT });
  for (const { bridge } of [one, two]) bridge.showSecret(NEXT);
  node.backbone.replaceLinkSecrets([NEXT]);

  // What is posted to another bridge is passed under the new one.
  const hello = JSON.stringify({ ref: 1, hello: { token: "ben", protocol: 1, device: { deviceId: "tab" } } });
  expect((await post(two.url, stream.key, 1, hello)).status).toBe(204);
  await client.call({ createRoom: { roomId: "tea", key: "make" } });
  expect(turns).toEqual([]);
  expect([one, two, early].map(({ bridge }) => bridge.trouble)).toEqual([[], [], []]);

  const late = await useUnlinked([node]);
  const causes: string[] = [];
  onTestFinished(late.bridge.telemetry.on("link.failed", ({ cause }) => causes.push(String(cause))));
  await vi.waitFor(() => expect(causes.join()).toContain("only bridges may link"), { timeout: 10_000 });
  expect(late.bridge.trouble).not.toEqual([]);
  late.bridge.showSecret(NEXT);
  await ready(late);
});

it("cannot be given to a node that was started without one", async () => {
  const node = await useNode({ grpc: { port: 0 } });
  expect(() => node.backbone.replaceLinkSecrets([NEXT])).toThrow("no links are served");
});
