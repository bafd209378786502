// A client on a scripted server, both in time that stands still, and a record of what the application is told.

import { Client, type ClientOptions } from "../../../../bridge/client/client.js";
import type { Position } from "../../../../bridge/client/gen/types.js";
import { jsonCodec } from "../../../../bridge/client/wire/codec.js";
import { Page } from "./page.js";
import { Server } from "./server.js";
import { World } from "./world.js";

const AN_HOUR_MS = 3_600_000;

export function useServer() {
  const world = new World();
  const server = new Server(world);
  return { world, server, run: (ms = 10) => world.run(ms) };
}

/** Nothing has happened yet: the client wants to connect. */
export function useClient(options: Partial<ClientOptions> = {}, { world, server, run } = useServer()) {
  const page = new Page(server.network);
  const asked: boolean[] = [];
  const token = ({ fresh }: { readonly fresh: boolean }): string => {
    asked.push(fresh);
    return server.issue(AN_HOUR_MS);
  };
  const client = new Client({ url: "http://one", token, ...options }, { codec: jsonCodec, platform: page });
  const states: string[] = [label(client.state)];
  client.on("state", (state) => states.push(label(state)));
  return {
    world,
    server,
    page,
    client,
    run,
    /** What it was in, one after the other. */
    states,
    /** Whether a fresh token was asked for, each time. */
    asked,
    /** Opens a room and records it. */
    open(id: string, after?: Position) {
      const room = client.room(id);
      const texts: string[] = [];
      const feed: string[] = [];
      room.on("event", ({ messageCreated }) => texts.push(messageCreated?.body?.text ?? ""));
      room.on("state", ({ status }) => feed.push(status));
      room.open({ after });
      return { room, texts, feed };
    },
  };
}

/** Live. */
export async function useLiveClient(options: Partial<ClientOptions> = {}) {
  const used = useClient(options);
  await used.run();
  return used;
}

function label(state: Client["state"]): string {
  return "reason" in state ? `${state.status} ${state.reason}` : state.status;
}
