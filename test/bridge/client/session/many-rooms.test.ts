// Coming back to as many rooms as a hello takes: one round trip, counted in frames.

import { expect, it } from "vitest";
import { FakeBrowser } from "../support/tabs.js";
import { useLiveClient, useServer } from "../support/use-client.js";

/** What the client has said on each connection by the time that all its rooms were live again with what they had missed. */
async function useManyRooms(count: number) {
  const used = await useLiveClient();
  const { server, page, run, open } = used;
  server.limits.maxRooms = 1_000;
  const ids = Array.from({ length: count }, (_, at) => `room-${at}`);
  const live = new Set<string>();
  const missed = new Set<string>();
  let saidUntilBack: readonly string[][] = [];
  const look = (): void => {
    if (live.size < count || missed.size < count || saidUntilBack.length > 0) return;
    saidUntilBack = page.links.map(({ sent }) => sent.map((frame) => kindOf(frame)));
  };
  for (const id of ids) {
    const { room } = open(id);
    room.on("state", ({ status }) => {
      if (status === "live") live.add(id);
      else live.delete(id);
      look();
    });
    room.on("event", ({ messageCreated }) => {
      if (messageCreated?.body?.text === "missed") missed.add(id);
      look();
    });
  }
  for (const id of ids) server.say(id, "before");
  await run(5_000);
  return {
    ...used,
    async cut() {
      server.network.cut();
      for (const id of ids) server.say(id, "missed");
      await run(60_000);
      expect([live.size, missed.size]).toEqual([count, count]);
      return saidUntilBack.at(-1);
    },
  };
}

function kindOf(text: string): string {
  const { ref: _, ...frame } = JSON.parse(text);
  return Object.keys(frame).join(" ");
}

it("200 rooms are live after one hello, and nothing else is said until they have what they missed", async () => {
  const { cut, server } = await useManyRooms(200);
  expect(await cut()).toEqual(["hello"]);
  expect(server.session.hello?.rooms).toHaveLength(200);
  expect(server.violations).toEqual([]);
});

it("rooms beyond those that a hello takes are asked for after it", async () => {
  const { cut, server } = await useManyRooms(203);
  expect(await cut()).toEqual(["hello", "subscribe", "subscribe", "subscribe"]);
  expect(server.session.hello?.rooms).toHaveLength(200);
});

it("tabs that share a connection come back to 200 rooms with one hello for all of them", async () => {
  const { world, server } = useServer();
  const browser = new FakeBrowser(server);
  const tabs = [browser.open(), browser.open(), browser.open()];
  const ids = Array.from({ length: 200 }, (_, at) => `room-${at}`);
  await world.run(5_000);
  for (const tab of tabs) for (const id of ids) tab.read(id);
  for (const id of ids) server.say(id, "before");
  await world.run(60_000);
  server.network.cut();
  for (const id of ids) server.say(id, "missed");
  await world.run(60_000);
  for (const tab of tabs) for (const id of ids) expect(tab.heard.get(id)?.at(-1)).toBe("missed");
  // What it says in the end is how far it has come.
  const said = server.session.heard.filter(({ mark, pong }) => (mark ?? pong) === undefined);
  expect(said.map(({ hello, ...frame }) => (hello === undefined ? frame : hello.rooms?.length))).toEqual([200]);
});
