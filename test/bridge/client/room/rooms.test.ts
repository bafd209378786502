// Rooms that nobody wants any more: they are left, and let go of.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, it } from "vitest";
import { useLiveClient } from "../support/use-client.js";

/** Longer than a room may be without listeners. */
const LONG_MS = 130_000;

it("a room is left once nobody has listened to it for a while, and is the same when it is opened again", async () => {
  const { client, server, run } = await useLiveClient();
  const room = client.room("tea");
  const texts: string[] = [];
  const listen = () => room.on("event", ({ messageCreated }) => texts.push(messageCreated?.body?.text ?? ""));
  const stop = listen();
  room.open({ after: {} });
  server.say("tea", "one");
  await run(LONG_MS);
  expect(server.session.rooms).toEqual(["tea"]);
  stop();
  await run(10_000);
  // Somebody may come back to it soon.
  expect(server.session.rooms).toEqual(["tea"]);
  await run(LONG_MS);
  expect(server.session.rooms).toEqual([]);
  expect(room.state.status).toBe("off");
  server.say("tea", "two");
  await run(LONG_MS);
  expect(client.room("tea")).toBe(room);
  listen();
  room.open();
  await run(LONG_MS);
  expect(texts).toEqual(["one", "two"]);
});

it.each(["typing", "receipts"] as const)("a room whose %s are watched is kept", async (what) => {
  const { client, server, run } = await useLiveClient();
  const room = client.room("tea");
  room.on("event", () => {})();
  const stop = room[what].onChange(() => {});
  room.open();
  await run(LONG_MS);
  expect(server.session.rooms).toEqual(["tea"]);
  stop();
  await run(LONG_MS);
  expect(server.session.rooms).toEqual([]);
});

it("a room with a timeline, one that is iterated, and one that was opened without a listener are kept until they are closed", async () => {
  const { client, server, run } = await useLiveClient();
  const timeline = client.room("shown").timeline();
  const events = client.room("read").events();
  client.room("open").open();
  await run(LONG_MS);
  expect(server.session.rooms.toSorted()).toEqual(["open", "read", "shown"]);
  timeline.close();
  await events.return?.();
  client.room("open").close();
  await run();
  expect(server.session.rooms).toEqual([]);
});

it("rooms that were wanted once take no memory", async () => {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const { client, run } = await useLiveClient();
  const rooms = Array.from({ length: 100 }, (_, index) => {
    const room = client.room(`room-${index}`);
    room.on("event", () => {})();
    room.open();
    return new WeakRef(room);
  });
  await run(LONG_MS);
  await run(LONG_MS);
  collect();
  expect(rooms.filter((room) => room.deref() !== undefined)).toEqual([]);
});
