// Where no WebSocket gets through, behind two bridges and nothing sticky: node and bridges leave in order, and nobody loses anything.

import { expect, it, onTestFinished, vi } from "vitest";
import type { Client } from "../../../bridge/client/client.js";
import type { FallbackMemory } from "../../../bridge/client/fallback/choose.js";
import { createClient } from "../../../bridge/client/index.js";
import { createClient as createJsonClient } from "../../../bridge/client/json.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { live, useClient } from "../client/use-backbone.js";
import { useEvents } from "../use-events.js";
import { useBalancer } from "./use-balancer.js";
import { portOf, ready, type TestEdge, useEdge, useNode } from "./use-edge.js";

const PATIENCE = { timeout: 30_000, interval: 10 };
const USERS = ["ada", "ben", "cyd", "dan"];

/** WebSockets are known not to get through. */
function blocked(): FallbackMemory {
  let untilMs = Date.now() + 60_000;
  return {
    read: () => untilMs,
    write: (until) => {
      untilMs = until;
    },
  };
}

interface Person {
  readonly client: Client;
  readonly heard: string[];
}

it("a chat goes on while the node, and then each bridge, leaves and comes back", async () => {
  const node = await useNode();
  let edges: readonly TestEdge[] = [await useEdge([node]), await useEdge([node])];
  const balancer = await useBalancer(edges.map(({ url }) => url));
  const people = USERS.map((user, index): Person => {
    const create = index % 2 === 0 ? createClient : createJsonClient;
    const client = useClient(balancer.url, user, create, { fallback: blocked() });
    return { client, heard: [] };
  });
  const [host] = people;
  await Promise.all(people.map(({ client }) => live(client)));
  const members = USERS.slice(1).map((userId) => ({ userId }));
  await host?.client.change({ createRoom: { roomId: "tea", members } });
  for (const { client, heard } of people) {
    const room = client.room("tea");
    room.on("event", ({ messageCreated }) => messageCreated && heard.push(messageCreated.body?.text ?? ""));
    room.open({ after: {} });
  }
  const said: string[] = [];
  let over = false;
  const talks = people.map(async ({ client }, index) => {
    for (let n = 0; !over; n++) {
      await client.room("tea").send(`${USERS[index]} ${n}`);
      said.push(`${USERS[index]} ${n}`);
    }
  });
  const moreSaid = async (): Promise<void> => {
    const enough = said.length + 20;
    await vi.waitFor(() => expect(said.length).toBeGreaterThan(enough), PATIENCE);
  };
  await moreSaid();
  await node.leave();
  await node.start();
  await Promise.all(edges.map(ready));
  await moreSaid();
  for (const at of [0, 1]) {
    const { bridge } = edges[at] ?? {};
    expect(await bridge?.stop({ spreadMs: 100, deadlineMs: 5_000 })).toBe("drained");
    await moreSaid();
    const again = await useEdge([node], { port: portOf(bridge?.bridgeAddress ?? "") });
    edges = edges.with(at, again);
    await moreSaid();
  }
  over = true;
  await Promise.all(talks);
  await vi.waitFor(() => {
    for (const { heard } of people) expect(heard.length).toBe(said.length);
  }, PATIENCE);
  const { heard: first = [] } = host ?? {};
  expect(first.toSorted()).toEqual(said.toSorted());
  for (const { heard } of people) expect(heard).toEqual(first);
  for (const user of USERS) {
    const own = first.filter((text) => text.startsWith(user));
    expect(own).toEqual(own.map((_, n) => `${user} ${n}`));
  }
  expect(balancer.passed).toBeGreaterThan(20);
}, 120_000);

it.each(["the node", "the bridge"])(
  "a stream is told Goodbye, with a delay, and its end when %s leaves",
  async (who) => {
    const node = await useNode();
    const edge = await useEdge([node]);
    const client = await useEvents(edge.url);
    const hello = { token: "ada", protocol: 1, device: { deviceId: "tab" } };
    await client.post(1, JSON.stringify({ ref: 1, hello }));
    expect(JSON.parse((await client.next())?.data ?? "")).toHaveProperty("welcome");
    const left = who === "the node" ? node.leave() : edge.bridge.stop({ spreadMs: 100, deadlineMs: 5_000 });
    onTestFinished(async () => {
      await left;
    });
    const goodbye: unknown = JSON.parse((await client.next())?.data ?? "");
    expect(goodbye).toEqual({ goodbye: { reason: "CLOSE_CODE_GOING_AWAY", reconnectAfterMs: 100 } });
    const end = await client.next();
    expect(end?.name).toBe("end");
    expect(JSON.parse(end?.data ?? "")).toMatchObject({ code: CloseCode.GOING_AWAY });
    expect(await client.next()).toBeUndefined();
  },
);
