// Browsers' clients at bridges in processes of their own: what is said arrives once and in order, whatever becomes of links.

import { describe, expect, it, vi } from "vitest";
import type { Client } from "../../../bridge/client/client.js";
import { createClient } from "../../../bridge/client/index.js";
import { createClient as createJsonClient } from "../../../bridge/client/json.js";
import type { PublishHook } from "../../../src/ports/publish-hook.js";
import { live, useClient } from "../client/use-backbone.js";
import { ready, type TestNode, useEdge, useNode } from "./use-edge.js";

const PATIENCE = { timeout: 20_000, interval: 10 };

/** A room of these users, made by the first. */
async function room(clients: readonly Client[], userIds: readonly string[]): Promise<void> {
  const [first] = clients;
  await first?.call({ createRoom: { roomId: "tea", key: "make", members: userIds.map((userId) => ({ userId })) } });
}

/** The texts that a client has been told, from the room's beginning. */
function hears(client: Client): string[] {
  const heard: string[] = [];
  const tea = client.room("tea");
  tea.on("event", ({ messageCreated }) => {
    if (messageCreated !== undefined) heard.push(messageCreated.body?.text ?? "");
  });
  tea.open({ after: {} });
  return heard;
}

/** Says so until it is acknowledged. A node that leaves refuses it at once, as often as it is asked until all have been told. */
async function say(client: Client, text: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await live(client);
    try {
      await client.publish({ roomId: "tea", clientMessageId: text.replaceAll(" ", "-"), attempt, body: { text } });
      return;
    } catch (error) {
      if (attempt === 5_000) throw error;
    }
  }
}

describe("clients at remote bridges", () => {
  it("hear each other over two bridges and the node's own, in either encoding", async () => {
    const node = await useNode();
    const [one, two] = [await useEdge([node]), await useEdge([node])];
    const clients = [
      useClient(one.url, "ada"),
      useClient(two.url, "ben", createJsonClient),
      useClient(one.url, "cyd", createJsonClient),
      useClient(node.url, "dan", createClient),
    ];
    await Promise.all(clients.map(live));
    await room(clients, ["ben", "cyd", "dan"]);
    const heard = clients.map(hears);
    for (const [index, client] of clients.entries()) await say(client, `from ${index}`);
    const all = clients.map((_, index) => `from ${index}`);
    await vi.waitFor(() => expect(heard).toEqual(clients.map(() => all)), PATIENCE);
  });

  it("are told an event by one delivery of the link, however many they are", async () => {
    const node = await useNode();
    const edge = await useEdge([node]);
    const carried: { readonly bytes: number; readonly deliveries: number }[] = [];
    const users = Array.from({ length: 20 }, (_, index) => `user-${index}`);
    const clients = users.map((user, index) => useClient(edge.url, user, index % 2 ? createClient : createJsonClient));
    await Promise.all(clients.map(live));
    await room(clients, users.slice(1));
    const heard = clients.map(hears);
    const [first] = clients;
    if (first === undefined) throw new Error("there is a client");
    await say(first, "here");
    await vi.waitFor(() => expect(heard.every((each) => each.length === 1)).toBe(true), PATIENCE);
    edge.bridge.telemetry.on("link.carried", (each) => carried.push(each));
    const text = "x".repeat(1_000);
    await first.publish({ roomId: "tea", clientMessageId: "long", attempt: 1, body: { text } });
    await vi.waitFor(() => expect(heard.every((each) => each[1] === text)).toBe(true), PATIENCE);
    const toAll = carried.filter(({ deliveries }) => deliveries >= users.length);
    expect(toAll).toHaveLength(1);
    expect(toAll[0]?.bytes).toBeLessThan(1_000 + 500);
  });

  it("hear everything once and in order over cuts and restarts of the node under the bridge", async () => {
    const node = await useNode();
    const edge = await useEdge([node]);
    const users = ["ada", "ben", "cyd", "dan"];
    const clients = users.map((user, index) => useClient(edge.url, user, index % 2 ? createClient : createJsonClient));
    await Promise.all(clients.map(live));
    await room(clients, users.slice(1));
    const heard = clients.map(hears);
    const said: string[] = [];
    let over = false;
    const chat = async (client: Client, user: string): Promise<void> => {
      for (let n = 0; !over || n < 20; n++) {
        await say(client, `${user} ${n}`);
        said.push(`${user} ${n}`);
      }
    };
    const chatting = clients.map((client, index) => chat(client, users[index] ?? ""));
    for (let round = 0; round < 3; round++) {
      const enough = said.length + 20;
      await vi.waitFor(() => expect(said.length).toBeGreaterThan(enough), PATIENCE);
      if (round === 1) await node.leave();
      else await node.stop();
      await node.start();
      await ready(edge);
    }
    over = true;
    await Promise.all(chatting);
    await vi.waitFor(() => {
      for (const each of heard) expect(each.length).toBe(said.length);
    }, PATIENCE);
    const [first = []] = heard;
    expect(new Set(first)).toEqual(new Set(said));
    for (const each of heard) expect(each).toEqual(first);
    for (const user of users) {
      const own = first.filter((text) => text.startsWith(user));
      expect(own).toEqual(own.map((_, n) => `${user} ${n}`));
    }
  }, 90_000);

  it("are told to come back when the bridge leaves, once what they had asked is answered", async () => {
    const asked = Promise.withResolvers<void>();
    const answer = Promise.withResolvers<void>();
    const hook: PublishHook = {
      async beforePublish() {
        asked.resolve();
        await answer.promise;
        return { decision: "allow" };
      },
    };
    const node = await useNode({ publishHook: { hook } });
    const [one, two] = [await useEdge([node]), await useEdge([node])];
    const [ada, ben] = [useClient(one.url, "ada"), useClient(two.url, "ben")];
    await Promise.all([live(ada), live(ben)]);
    await room([ada], ["ben"]);
    const heard = hears(ben);
    const published = ada.publish({ roomId: "tea", clientMessageId: "last", body: { text: "last words" } });
    await asked.promise;
    const left = one.bridge.stop({ spreadMs: 1, deadlineMs: 10_000 });
    expect(one.bridge.trouble).toEqual(["leaving"]);
    answer.resolve();
    await expect(published).resolves.toBeDefined();
    expect(await left).toBe("drained");
    await vi.waitFor(() => expect(heard).toEqual(["last words"]), PATIENCE);
  });

  it("go to another node when theirs leaves, without the bridge being gone", async () => {
    const [one, two] = [await useNode(), await useNode()];
    const opened = new Map<TestNode, number>();
    for (const node of [one, two]) {
      node.backbone.telemetry.on("session.opened", () => opened.set(node, (opened.get(node) ?? 0) + 1));
    }
    const edge = await useEdge([one, two]);
    const ada = useClient(edge.url, "ada");
    await live(ada);
    const linked = opened.get(one) === 1 ? one : two;
    await linked.leave();
    await ready(edge);
    await live(ada);
    await ada.call({ createRoom: { roomId: "tea", key: "make" } });
    expect([opened.get(one), opened.get(two)]).toEqual([1, 1]);
    expect(edge.bridge.sessions).toBe(1);
  });
});
