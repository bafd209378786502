// Browsers at a bridge of its own, with a server in another process: killed under a chat, and beside one that does not read.

import { afterEach, expect, test, vi } from "vitest";
import type { Client } from "../../bridge/client/client.js";
import { createClient } from "../../bridge/client/index.js";
import { type RemoteBridge, startRemoteBridge } from "../../src/backbone/remote-bridge.js";
import { at, contentOf, type Frame, isArray, kindOf, number, Schema, TestClient } from "../support/client/index.js";
import { TestServer } from "../support/server.js";
import { call } from "../support/story/read-room.js";
import { signToken } from "../support/token.js";

const SECRET = "shown to the server";
const PATIENCE = { timeout: 60_000, interval: 20 };

const ends: (() => Promise<unknown> | unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function useEdge(environment: Readonly<Record<string, string>> = {}) {
  const server = new TestServer({ environment: { TRUNKLINE_LINK_SECRET: SECRET, ...environment } });
  ends.push(() => server.dispose());
  await server.start();
  const bridge = await startRemoteBridge({
    backbones: [server.endpoints.grpc],
    secret: SECRET,
    port: 0,
    spreadMs: 100,
  });
  ends.push(() => bridge.stop({ spreadMs: 0, deadlineMs: 0 }));
  await ready(bridge);
  return { server, bridge, http: `http://${bridge.bridgeAddress}` };
}

async function ready(bridge: RemoteBridge): Promise<void> {
  await vi.waitFor(() => expect(bridge.trouble).toEqual([]), PATIENCE);
}

test("a chat goes on over a server that is killed: nothing is lost, doubled or out of order", async () => {
  const { server, bridge, http } = await useEdge();
  const users = ["ada", "ben", "cyd"];
  const clients = users.map((user) => createClient({ url: http, token: () => signToken(server.issuer, { user }) }));
  for (const client of clients) ends.push(() => client.close());
  const live = (client: Client) => vi.waitFor(() => expect(client.state.status).toBe("live"), PATIENCE);
  await Promise.all(clients.map(live));
  const members = users.slice(1).map((userId) => ({ userId }));
  await clients[0]?.call({ createRoom: { roomId: "tea", key: "make", members } });
  const heard = clients.map((client) => {
    const texts: string[] = [];
    const room = client.room("tea");
    room.on("event", ({ messageCreated: message }) => message && texts.push(message.body?.text ?? ""));
    room.open({ after: {} });
    return texts;
  });
  const said: string[] = [];
  let over = false;
  const chat = async (client: Client, user: string): Promise<void> => {
    for (let n = 0; !over; n++) {
      const text = `${user}-${n}`;
      for (let attempt = 1; ; attempt++) {
        await live(client);
        const sent = client.publish({ roomId: "tea", clientMessageId: text, attempt, body: { text } });
        if (
          await sent.then(
            () => true,
            () => false,
          )
        )
          break;
      }
      said.push(text);
    }
  };
  const chatting = clients.map((client, index) => chat(client, users[index] ?? ""));
  for (let round = 0; round < 2; round++) {
    const enough = said.length + 30;
    await vi.waitFor(() => expect(said.length).toBeGreaterThan(enough), PATIENCE);
    await server.kill();
    await server.start();
    await ready(bridge);
  }
  over = true;
  await Promise.all(chatting);
  await vi.waitFor(() => expect(heard.map(({ length }) => length)).toEqual(users.map(() => said.length)), PATIENCE);
  const [first = []] = heard;
  expect(new Set(first)).toEqual(new Set(said));
  for (const each of heard) expect(each).toEqual(first);
  for (const user of users) {
    const own = first.filter((text) => text.startsWith(user));
    expect(own).toEqual(own.map((_, n) => `${user}-${n}`));
  }
}, 180_000);

test("one who does not read holds nobody up, and has everything once it reads again", async () => {
  const MESSAGES = 3_000;
  const FAST = 3;
  const { server, bridge, http } = await useEdge({ TRUNKLINE_STALL_DEADLINE: "10m", TRUNKLINE_PONG_DEADLINE: "10m" });
  const ws = `ws://${bridge.bridgeAddress}/v1/connect`;
  const client = new TestClient("websocket-binary", { ...server.endpoints, ws, http }, new Schema());
  ends.push(() => client.destroy());
  const owner = signToken(server.issuer, { user: "owner" });
  const users = ["slow", ...Array.from({ length: FAST }, (_, index) => `fast-${index}`)];
  const members = users.map((userId) => ({ userId }));
  await call(client, owner, "CreateRoom", { roomId: "busy", key: "create", attempt: 1, members });
  const seqs = users.map((): number[] => []);
  const connections = await Promise.all(
    users.map(async (user, index) => {
      const onFrame = (frame: Frame): void => {
        if (kindOf(frame) !== "roomEvents") return;
        const events = at(contentOf(frame), "events");
        for (const event of isArray(events) ? events : []) seqs[index]?.push(number(at(event, "position", "seq")));
      };
      const connection = await client.connect({ label: user, onFrame });
      const token = signToken(server.issuer, { user });
      const rooms = [{ roomId: "busy", after: {} }];
      connection.send({ ref: 1, hello: { token, device: { deviceId: "d" }, attempt: 1, protocol: 1, rooms } });
      return connection;
    }),
  );
  await vi.waitFor(() => expect(seqs.every(({ length }) => length > 0)).toBe(true), PATIENCE);
  const [slow] = connections;
  slow?.pause();
  const publisher = await client.connect({ label: "owner" });
  await publisher.request({ hello: { token: owner, device: { deviceId: "d" }, attempt: 1, protocol: 1 } });
  const text = "x".repeat(4_000);
  for (let sent = 0; sent < MESSAGES; sent += 20) {
    const batch = Array.from({ length: 20 }, (_, index) => {
      const publish = { roomId: "busy", clientMessageId: `m-${sent + index}`, attempt: 1, body: { text } };
      return publisher.request({ publish }, 60_000);
    });
    for (const reply of await Promise.all(batch)) expect(reply).toHaveProperty("published");
  }
  const [first = [], ...others] = seqs;
  const top = (each: readonly number[]): number => each.at(-1) ?? 0;
  await vi.waitFor(() => expect(Math.min(...others.map(top))).toBeGreaterThanOrEqual(MESSAGES), PATIENCE);
  const last = top(others[0] ?? []);
  expect(top(first)).toBeLessThan(last);
  // The node has noticed: what the bridge holds for the slow one is bounded by its window.
  expect(server.timesLogged("session lags")).toBeGreaterThan(0);
  slow?.resume();
  await vi.waitFor(() => expect(top(first)).toBe(last), PATIENCE);
  for (const each of seqs) expect(each).toEqual(Array.from({ length: last }, (_, index) => index + 1));
}, 180_000);
