// Browsers' clients at a bridge whose link moves: no connection of theirs ends, and nothing is lost or done twice.

import { expect, it, onTestFinished, vi } from "vitest";
import type { Position } from "../../../bridge/client/index.js";
import { createClient } from "../../../bridge/client/index.js";
import { createClient as createJsonClient } from "../../../bridge/client/json.js";
import { TcpProxy } from "../../support/faults/tcp-proxy.js";
import { useSockets } from "../../support/sockets.js";
import { live, useClient } from "../client/use-backbone.js";
import { ready, useEdge, useNode } from "./use-edge.js";

const PATIENCE = { timeout: 30_000, interval: 10 };
const CLIENTS = 12;

it("keeps every connection over a link that is cut, a node that is killed and a node that leaves", {
  timeout: 90_000,
}, async () => {
  const sockets = useSockets();
  const node = await useNode();
  const proxy = await TcpProxy.to(node.grpc);
  onTestFinished(() => proxy.close());
  const edge = await useEdge([{ grpc: proxy.address }], { spreadMs: 500 });
  const users = Array.from({ length: CLIENTS }, (_, index) => `user-${index}`);
  const clients = users.map((user, index) => useClient(edge.url, user, index % 2 ? createClient : createJsonClient));
  await Promise.all(clients.map(live));
  await clients[0]?.call({
    createRoom: { roomId: "tea", key: "make", members: users.slice(1).map((userId) => ({ userId })) },
  });
  const lists = clients.map((client) => {
    const list: string[] = [];
    const tea = client.room("tea");
    tea.on("event", ({ messageCreated }) => {
      if (messageCreated !== undefined) list.push(messageCreated.body?.text ?? "");
    });
    tea.open({ after: {} });
    return list;
  });
  const places: Position[] = [];
  let asked = 0;
  const say = (client: (typeof clients)[number]): void => {
    client
      .room("tea")
      .send(`said ${asked++}`)
      .then(({ position = {} }) => places.push(position));
  };
  const sayAll = (): void => {
    for (const client of clients) say(client);
  };
  /** All that was said is stored, and everybody has been told. */
  const settled = () =>
    vi.waitFor(() => {
      expect(places).toHaveLength(asked);
      for (const list of lists) expect(list).toHaveLength(asked);
    }, PATIENCE);
  sayAll();
  await settled();
  const moves = [
    async () => proxy.interrupt(),
    async () => {
      await node.stop();
      sayAll();
      await node.start();
    },
    async () => {
      const left = node.leave();
      sayAll();
      await left;
      await node.start();
    },
  ];
  for (const move of moves) {
    sayAll();
    await move();
    sayAll();
    await ready(edge);
    await Promise.all(clients.map(live));
    await settled();
  }
  expect(sockets).toEqual({ opened: CLIENTS, closed: [] });
  const [first = []] = lists;
  for (const list of lists) expect(list).toEqual(first);
  expect(new Set(first).size).toBe(asked);
  expect(new Set(places.map(({ seq }) => seq)).size).toBe(asked);
  expect([edge.bridge.sessions, edge.bridge.staying]).toEqual([CLIENTS, 0]);
});
