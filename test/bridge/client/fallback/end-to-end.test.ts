// The client behind a network that lets no WebSocket through, on a real backbone.

import { describe, expect, it, vi } from "vitest";
import type { FallbackMemory } from "../../../../bridge/client/fallback/choose.js";
import { createClient } from "../../../../bridge/client/index.js";
import { createClient as createJsonClient } from "../../../../bridge/client/json.js";
import { live, useBackbone, useClient } from "../use-backbone.js";
import { useProxy } from "./use-proxy.js";

class Memory implements FallbackMemory {
  untilMs = 0;
  read(): number {
    return this.untilMs;
  }
  write(untilMs: number): void {
    this.untilMs = untilMs;
  }
}

const PATIENCE = { timeout: 15_000, interval: 10 };

describe.each([
  ["binary", createClient],
  ["json", createJsonClient],
])("a client that would speak %s, where WebSockets are refused", (_encoding, create) => {
  it("says and hears everything once and in order, over lost answers, a cut and a restart of the server", async () => {
    const server = await useBackbone();
    const proxy = await useProxy(server.url);
    const memory = new Memory();
    const ada = useClient(server.url, "ada", create);
    const ben = useClient(proxy.url, "ben", create, { fallback: memory });
    await live(ada);
    await vi.waitFor(() => expect(ben.state.status).toBe("live"), PATIENCE);
    expect(proxy).toMatchObject({ refused: 2, streams: 1 });

    await ben.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ada" }] } });
    const heard = [ada, ben].map((client) => {
      const texts: string[] = [];
      const room = client.room("tea");
      room.on("event", ({ messageCreated }) => messageCreated && texts.push(messageCreated.body?.text ?? ""));
      room.open({ after: {} });
      return texts;
    });
    const said: string[] = [];
    const say = async (client: typeof ada, text: string): Promise<void> => {
      said.push(text);
      await client.room("tea").send({ text });
    };
    await say(ben, "one \u2028 é\n\n");
    await say(ada, "two");
    // The server has the frames, and the client does not know.
    proxy.losing = 2;
    await say(ben, "three");
    await vi.waitFor(() => expect(proxy.losing).toBe(0), PATIENCE);
    proxy.cut();
    await say(ada, "four");
    await say(ben, "five");
    await server.restart();
    await say(ben, "six");
    for (const texts of heard) await vi.waitFor(() => expect(texts).toEqual(said), PATIENCE);
    // It is known meanwhile that no WebSocket gets through.
    expect(proxy.refused).toBe(2);
    expect(memory.untilMs).toBeGreaterThan(Date.now());
  }, 40_000);
});

it("says that it leaves, after what it has said", async () => {
  const server = await useBackbone();
  const proxy = await useProxy(server.url);
  const memory = new Memory();
  memory.untilMs = Date.now() + 60_000;
  const [ada, ben] = [useClient(server.url, "ada"), useClient(proxy.url, "ben", createClient, { fallback: memory })];
  await Promise.all([live(ada), live(ben)]);
  expect(proxy).toMatchObject({ refused: 0, streams: 1 });
  await ben.call({ createRoom: { roomId: "tea", key: "make", members: [{ userId: "ada" }] } });
  const heard: string[] = [];
  ada.room("tea").on("event", ({ messageCreated }) => messageCreated && heard.push(messageCreated.body?.text ?? ""));
  ada.room("tea").open({ after: {} });
  ben.publish({ roomId: "tea", clientMessageId: "bye", body: { text: "bye" } }).catch(() => {});
  ben.close();
  expect(ben.state).toEqual({ status: "closed", reason: "closed" });
  await vi.waitFor(() => expect(proxy.closes).toEqual(["1000"]), PATIENCE);
  await vi.waitFor(() => expect(heard).toEqual(["bye"]), PATIENCE);
});

it("stays without a connection where the fallback is turned off", async () => {
  const server = await useBackbone();
  const proxy = await useProxy(server.url);
  const ben = useClient(proxy.url, "ben", createClient, { fallback: false });
  await vi.waitFor(() => expect(proxy.refused).toBeGreaterThan(2), PATIENCE);
  expect(proxy.streams).toBe(0);
  expect(ben.state.status).not.toBe("live");
});
