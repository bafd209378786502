// A room's events: each once, in order, and none missing, whatever is opened and closed and lost meanwhile.

import { expect, it } from "vitest";
import { useClient, useLiveClient } from "../support/use-client.js";

const FOUR = ["one", "two", "three", "four"];

it("a room opened at its beginning is read from there on", async () => {
  const { server, run, open } = await useLiveClient();
  server.say("tea", ...FOUR);
  const { texts, feed } = open("tea", {});
  await run();
  server.say("tea", "five");
  await run();
  expect(texts).toEqual([...FOUR, "five"]);
  expect(feed).toEqual(["waiting", "live"]);
});

it("a room opened without a position is read from now on, and over a cut", async () => {
  const { server, run, open } = await useLiveClient();
  server.say("tea", "before");
  const { texts, room } = open("tea");
  await run();
  expect(room.position?.seq).toBe(1);
  server.network.cut();
  server.say("tea", "meanwhile");
  await run(1_000);
  expect(texts).toEqual(["meanwhile"]);
});

it("what is beyond what a server replays is fetched page by page, before what is said meanwhile", async () => {
  const { server, run, open } = await useLiveClient();
  for (let i = 1; i <= 20; i++) server.say("tea", String(i));
  server.takesMs = (kind) => (kind === "getEvents" ? 5 : 0);
  const { texts, feed } = open("tea", { seq: 2, tag: 201 });
  await run(9);
  server.say("tea", "21");
  await run(100);
  expect(texts).toEqual(Array.from({ length: 19 }, (_, i) => String(i + 3)));
  expect(feed).toEqual(["waiting", "filling", "live"]);
});

it("a subscription that is not answered is asked for again", async () => {
  const { server, run, open } = await useLiveClient();
  let lost = 1;
  server.takesMs = (kind) => (kind === "subscribe" && lost-- > 0 ? undefined : 0);
  server.say("tea", "one");
  const { texts } = open("tea", {});
  await run(40_000);
  expect(texts).toEqual(["one"]);
});

it("a page that is not answered is asked for again", async () => {
  const { server, run, open } = await useLiveClient();
  for (let i = 1; i <= 20; i++) server.say("tea", String(i));
  let lost = 1;
  server.takesMs = (kind) => (kind === "getEvents" && lost-- > 0 ? undefined : 0);
  const { texts } = open("tea", {});
  await run(40_000);
  expect(texts).toHaveLength(20);
});

it("a room of the hello whose outcome does not come is subscribed to again", async () => {
  const { server, run, open } = useClient();
  server.takesMs = (kind) => (kind === "hello room" ? undefined : 0);
  server.say("tea", "one");
  const { texts } = open("tea", {});
  await run(40_000);
  expect(texts).toEqual(["one"]);
});

it("a room moved while the hello that states it is on its way begins where it was moved to", async () => {
  const { server, run, open } = useClient();
  server.say("tea", ...FOUR);
  const { texts, room } = open("tea", { seq: 4, tag: 401 });
  await run(3);
  expect(server.sessions.size).toBe(1);
  room.open({ after: { seq: 1, tag: 101 } });
  await run();
  expect(texts).toEqual(["two", "three", "four"]);
});

it("a room closed while the hello that states it is on its way is left", async () => {
  const { server, run, open, client } = useClient();
  const { texts, room } = open("tea");
  await run(3);
  room.close();
  await run();
  expect(client.state.status).toBe("live");
  expect(server.session.rooms).toEqual([]);
  server.say("tea", "one");
  await run();
  expect(texts).toEqual([]);
});

it("a room closed while its subscription waits to be asked for is left", async () => {
  const { server, run, client, open } = useClient();
  server.limits.maxInFlight = 1;
  await run();
  server.takesMs = () => 5;
  const history = client.room("tea").history();
  const { room } = open("cup");
  room.close();
  await run(100);
  await history;
  expect(server.session.rooms).toEqual([]);
  expect(server.violations).toEqual([]);
});

it("what becomes of an older subscription says nothing of the one that has taken its place", async () => {
  const { server, run, open } = await useLiveClient();
  server.say("tea", ...FOUR);
  server.takesMs = () => 5;
  const { texts, feed, room } = open("tea", { seq: 9, tag: 901 });
  await run(1);
  room.open({ after: { seq: 3, tag: 301 } });
  await run(100);
  expect(texts).toEqual(["four"]);
  expect(feed).toEqual(["waiting", "live"]);
  server.say("tea", "five");
  await run();
  expect(texts).toEqual(["four", "five"]);
});

it("a room closed and opened at once goes on where it was, with what was said in between", async () => {
  const { server, run, open } = await useLiveClient();
  const { texts, room } = open("tea");
  await run();
  server.say("tea", "one");
  await run();
  server.takesMs = () => 5;
  room.close();
  room.open();
  room.close();
  server.say("tea", "two");
  room.open();
  await run(3);
  server.say("tea", "three");
  await run(100);
  server.say("tea", "four");
  await run();
  expect(texts).toEqual(FOUR);
});

it("opening an open room once more changes nothing", async () => {
  const { server, run, open } = await useLiveClient();
  const { texts, feed, room } = open("tea");
  await run();
  room.open();
  await run();
  server.say("tea", "one");
  await run();
  expect(texts).toEqual(["one"]);
  expect(feed).toEqual(["waiting", "live"]);
  expect(server.session.heard.filter(({ subscribe }) => subscribe !== undefined)).toHaveLength(1);
});

it("a position that cannot be continued from is said, and the history says from where to go on", async () => {
  const { server, run, open, client } = await useLiveClient();
  server.say("tea", ...FOUR);
  const { texts, room } = open("tea", { seq: 2, tag: 999 });
  await run();
  expect(room.state).toEqual({ status: "reset", reason: "RESET_REASON_OTHER_HISTORY" });
  const history = client.room("tea").history();
  await run();
  const { asOf } = await history;
  room.open({ after: asOf });
  await run();
  server.say("tea", "five");
  await run();
  expect(texts).toEqual(["five"]);
});

it("a subscription that has fallen behind what is kept is reset while it is live", async () => {
  const { server, run, open } = await useLiveClient();
  const { room } = open("tea", {});
  await run();
  server.session.reset("tea");
  await run();
  expect(room.state).toEqual({ status: "reset", reason: "RESET_REASON_EXPIRED" });
});

it("what is no longer kept while pages are fetched is a reset", async () => {
  const { server, run, open } = await useLiveClient();
  for (let i = 1; i <= 20; i++) server.say("tea", String(i));
  server.takesMs = (kind) => (kind === "getEvents" ? 5 : 0);
  const { texts, room } = open("tea", {});
  await run(9);
  server.room("tea").forget(5);
  await run(5_000);
  expect(texts).toEqual(["1", "2", "3"]);
  expect(room.state).toEqual({ status: "reset", reason: "RESET_REASON_EXPIRED" });
});

it.each(["UNSUBSCRIBE_REASON_ACCESS_LOST", "UNSUBSCRIBE_REASON_ROOM_DELETED"] as const)(
  "%s loses the room until it is opened again",
  async (reason) => {
    const { server, run, open } = await useLiveClient();
    const { texts, room } = open("tea", {});
    await run();
    server.session.unsubscribe("tea", reason);
    await run();
    expect(room.state).toEqual({ status: "lost", cause: reason });
    server.network.cut();
    await run(5_000);
    expect(server.session.hello?.rooms).toEqual([]);
    room.open();
    server.say("tea", "one");
    await run();
    expect(texts).toEqual(["one"]);
  },
);

it("UNSUBSCRIBE_REASON_UNAVAILABLE subscribes again from the position, after a second at the earliest", async () => {
  const { server, run, open } = await useLiveClient();
  const { texts, room } = open("tea", {});
  await run();
  const { session } = server;
  session.unsubscribe("tea", "UNSUBSCRIBE_REASON_UNAVAILABLE");
  server.say("tea", "one");
  await run(990);
  expect(room.state.status).toBe("waiting");
  expect(session.rooms).toEqual([]);
  await run(2_000);
  expect(texts).toEqual(["one"]);
});

it("a room of the hello that is refused for good is lost, and the others are not", async () => {
  const { server, run, open } = useClient();
  server.refuse = (_kind, roomId) => (roomId === "tea" ? { code: "ERROR_CODE_NOT_A_MEMBER" } : undefined);
  const [tea, cup] = [open("tea"), open("cup")];
  await run();
  expect(tea.room.state).toMatchObject({ status: "lost", cause: { code: "ERROR_CODE_NOT_A_MEMBER" } });
  expect(cup.room.state.status).toBe("live");
});

it("a room of the hello that is refused for now is asked for again, no sooner than the server says", async () => {
  const { server, run, open } = useClient();
  server.refuse = () => ({ code: "ERROR_CODE_UNAVAILABLE", retryable: true, retryAfterMs: 3_000 });
  const { room } = open("tea");
  await run();
  server.refuse = () => undefined;
  await run(2_900);
  expect(room.state.status).toBe("waiting");
  expect(server.session.heard).toHaveLength(1);
  await run(3_000);
  expect(room.state.status).toBe("live");
});

it("a refused move that is not to be repeated leaves the former subscription, too", async () => {
  const { server, run, open } = await useLiveClient();
  const { room } = open("tea", {});
  await run();
  server.refuse = (kind) => (kind === "subscribe" ? { code: "ERROR_CODE_PERMISSION_DENIED" } : undefined);
  room.open({ after: {} });
  await run();
  expect(room.state.status).toBe("lost");
  expect(server.session.rooms).toEqual([]);
});

it("more rooms than a hello takes are subscribed to after it", async () => {
  const { server, run, open } = useClient();
  server.limits.maxRooms = 1_000;
  const rooms = Array.from({ length: 450 }, (_, i) => open(`room-${i}`));
  await run(100);
  expect(server.session.hello?.rooms).toHaveLength(200);
  expect(rooms.every(({ room }) => room.state.status === "live")).toBe(true);
  expect(server.violations).toEqual([]);
});

it("a hello states no more rooms than the server has said it takes", async () => {
  const { server, run, open } = useClient();
  server.limits.maxRooms = 3;
  const rooms = Array.from({ length: 3 }, (_, i) => open(`room-${i}`));
  await run();
  for (let i = 3; i < 5; i++) rooms.push(open(`room-${i}`));
  await run();
  expect(rooms.map(({ room }) => room.state.status)).toEqual(["live", "live", "live", "waiting", "waiting"]);
  server.network.cut();
  await run(1_000);
  expect(server.session.hello?.rooms).toHaveLength(3);
  expect(server.violations).toEqual([]);
});

it("an event that comes again is not handed on again", async () => {
  const { server, run, open } = await useLiveClient();
  const { texts } = open("tea", {});
  await run();
  server.say("tea", "one");
  const events = server.room("tea").events(1, 1);
  server.session.push({ roomEvents: { roomId: "tea", events } });
  server.say("tea", "two");
  await run();
  expect(texts).toEqual(["one", "two"]);
});

it("a hole between live events is fetched", async () => {
  const { server, run, open } = await useLiveClient();
  const { texts, feed } = open("tea", {});
  await run();
  server.room("tea").say("one");
  server.say("tea", "two");
  await run();
  expect(texts).toEqual(["one", "two"]);
  expect(feed).toEqual(["waiting", "live", "filling", "live"]);
});

it("a listener that closes the room is told nothing more", async () => {
  const { server, run, open } = await useLiveClient();
  server.say("tea", ...FOUR);
  const { texts, room } = open("tea", {});
  room.on("event", () => {
    if (texts.length === 2) room.close();
  });
  await run();
  expect(texts).toEqual(["one", "two"]);
  expect(room.state.status).toBe("off");
  expect(server.session.rooms).toEqual([]);
  room.open();
  await run();
  expect(texts).toEqual(FOUR);
});

it("listeners hear of states in the order in which they came, though one of them brings the next about", async () => {
  const { run, client } = await useLiveClient();
  const room = client.room("tea");
  const heard: string[] = [];
  room.on("state", ({ status }) => {
    if (status === "live") room.close();
  });
  room.on("state", ({ status }) => heard.push(status));
  room.open();
  await run();
  expect(heard).toEqual(["waiting", "live", "off"]);
});

it("a room that could not be left is left with its next event", async () => {
  const { server, run, open } = await useLiveClient();
  const { room, texts } = open("tea");
  await run();
  server.refuse = () => ({ code: "ERROR_CODE_UNAVAILABLE", retryable: true });
  room.close();
  await run();
  server.refuse = () => undefined;
  expect(server.session.rooms).toEqual(["tea"]);
  server.say("tea", "one", "two");
  await run();
  expect(server.session.rooms).toEqual([]);
  expect(server.session.heard.filter(({ unsubscribe }) => unsubscribe !== undefined)).toHaveLength(2);
  expect(texts).toEqual([]);
});
