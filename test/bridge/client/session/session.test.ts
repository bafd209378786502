// The connection: how it comes, how it ends, and what it does then.

import { expect, it } from "vitest";
import { CloseCode } from "../../../../src/gen/trunkline/v1/error_pb.js";
import { useClient, useLiveClient, useServer } from "../support/use-client.js";

it("connects, and is live once it is welcome", async () => {
  const { client, run, states, asked } = useClient();
  expect(states).toEqual(["connecting"]);
  await run();
  expect(client.state).toEqual({ status: "live", sessionId: "session", userId: "ada", via: "websocket" });
  expect(asked).toEqual([false]);
});

it("does not connect before it is asked to, and listens to nothing until then", async () => {
  const { client, page, run, states } = useClient({ autoConnect: false });
  await run(1_000);
  expect([page.links.length, page.watchers, states]).toEqual([0, 0, ["idle"]]);
  client.connect();
  await run();
  expect(states).toEqual(["idle", "connecting", "live"]);
});

it("leaves no timer, listener and wire behind when it is closed, and comes back", async () => {
  const { client, page, run, states, open } = await useLiveClient();
  open("tea");
  await run();
  client.close();
  expect([page.timers, page.watchers, page.held]).toEqual([0, 0, 0]);
  client.connect();
  await run();
  expect(states).toEqual(["connecting", "live", "closed closed", "connecting", "live"]);
  expect(page.watchers).toBe(1);
});

it("closes with 1000 where the user leaves, and with 4000 where it has lost the connection and comes back", async () => {
  const { client, page, server, run } = await useLiveClient();
  const codes = () => page.links.map(({ leftWith }) => leftWith);
  server.network.silence();
  await run(40_000);
  client.drop();
  await run(1_000);
  client.close();
  expect(codes()).toEqual([4000, 4000, 1000]);
});

it("what is asked is refused when the client is closed, and while it is", async () => {
  const { client, server, run } = await useLiveClient();
  server.takesMs = () => undefined;
  const asked = client.publish({ roomId: "tea" });
  client.close();
  await expect(asked).rejects.toMatchObject({ name: "ClosedError" });
  await expect(client.publish({ roomId: "tea" })).rejects.toMatchObject({ name: "ClosedError" });
  await run();
});

it("closing once more changes nothing, and keeps why it was closed", async () => {
  const { client, server, run, states, asked } = await useLiveClient();
  server.end(CloseCode.UNAUTHENTICATED);
  await run();
  client.close();
  expect(client.state).toEqual({ status: "closed", reason: "unauthenticated" });
  expect(states).toEqual(["connecting", "live", "closed unauthenticated"]);
  client.connect();
  await run();
  expect(asked).toEqual([false, true]);
});

it("what comes with the welcome in one read of the network is understood", async () => {
  const { client, server, run, page } = useClient();
  for (let i = 1; i <= 20; i++) server.say("tea", String(i));
  const texts: string[] = [];
  const room = client.room("tea");
  room.on("event", ({ messageCreated }) => texts.push(messageCreated?.body?.text ?? ""));
  room.open({ after: {} });
  // All that comes before the page goes on is given to it at once.
  await run(1);
  page.freeze();
  await run(2);
  page.thaw();
  await run(1);
  page.freeze();
  await run(10);
  page.thaw();
  await run(100);
  expect(texts).toHaveLength(20);
});

it("waits for a network, and connects once it is there", async () => {
  const { client, page, run, states } = useClient({ autoConnect: false });
  page.reach(false);
  client.connect();
  await run(60_000);
  expect([page.links.length, page.timers]).toEqual([0, 0]);
  page.reach(true);
  await run();
  expect(states).toEqual(["idle", "waiting offline", "connecting", "live"]);
});

it("that the network is gone shows within seconds, and what it carries still is carried", async () => {
  const { server, page, states, run } = await useLiveClient();
  states.length = 0;
  page.reach(false);
  await run(60_000);
  // The system may be wrong.
  expect(states).toEqual([]);
  server.network.silence();
  page.reach(false);
  await run(5_500);
  expect(states).toEqual(["waiting offline"]);
  page.reach(true);
  await run();
  expect(states).toEqual(["waiting offline", "connecting", "live"]);
});

it("tries nothing while there is no network", async () => {
  const { page, server, run, states } = await useLiveClient();
  server.up = false;
  page.reach(false);
  server.network.cut();
  await run(60_000);
  expect(page.links).toHaveLength(1);
  server.up = true;
  page.reach(true);
  await run();
  expect(states).toEqual(["connecting", "live", "waiting offline", "connecting", "live"]);
});

it("comes back no sooner than the server has asked for, whether the page is shown, the network returns or it is told to connect", async () => {
  const { client, page, server, run, states } = await useLiveClient();
  server.end(CloseCode.GOING_AWAY, 20_000);
  await run();
  const goneAtMs = server.world.nowMs;
  page.show();
  await run(1_000);
  client.connect();
  await run(1_000);
  page.reach(false);
  page.reach(true);
  await run(1_000);
  client.close();
  client.connect();
  await run(16_000);
  expect(page.links).toHaveLength(1);
  await run(2_000);
  const dialledAtMs = server.network.dialled.at(-1)?.atMs ?? 0;
  expect(dialledAtMs - goneAtMs).toBeGreaterThanOrEqual(19_980);
  expect(states.at(-1)).toBe("live");
});

it("begins to back off with the first attempt that fails after the server has said when to come back", async () => {
  const { server, run } = await useLiveClient();
  await run(10_000);
  server.up = false;
  const goneAtMs = server.world.nowMs;
  server.end(CloseCode.GOING_AWAY, 1_000);
  await run(5_000);
  const waitsMs = server.network.dialled
    .slice(1)
    .map(({ atMs }, at, all) => Math.round((atMs - (all[at - 1]?.atMs ?? goneAtMs)) / 100) * 100);
  // Random is 0.5: half of 0.5 s, of 1 s, of 2 s.
  expect(waitsMs.slice(0, 4)).toEqual([1_000, 300, 500, 1_000]);
});

it("what the server has asked for is over when its time is, though the clock on the wall was set back", async () => {
  const { page, server, run, client } = await useLiveClient();
  server.end(CloseCode.GOING_AWAY, 2_000);
  await run(1_000);
  page.skewMs = -3_600_000;
  page.show();
  await run(1_500);
  expect(client.state.status).toBe("live");
});

it("connects at once when it is told to while it waits by itself", async () => {
  const { client, page, server, run } = useClient();
  server.up = false;
  await run(60_000);
  const attempts = page.links.length;
  expect(client.state.status).toBe("waiting");
  server.up = true;
  client.connect();
  await run();
  expect(page.links).toHaveLength(attempts + 1);
  expect(client.state.status).toBe("live");
});

it("a goodbye that no close follows is one all the same", async () => {
  const { server, run, states } = await useLiveClient();
  server.session.push({ goodbye: { reason: "CLOSE_CODE_KICKED" } });
  await run(6_000);
  expect(states).toEqual(["connecting", "live", "closed kicked"]);
});

it("a goodbye counts where the close was lost", async () => {
  const { server, run, states } = await useLiveClient();
  server.session.push({ goodbye: { reason: "CLOSE_CODE_REPLACED" } });
  server.network.cut();
  await run();
  expect(states).toEqual(["connecting", "live", "closed replaced"]);
});

it("what cannot be read ends the connection, and the next one comes later each time", async () => {
  const { server, page, run } = await useLiveClient();
  for (let i = 0; i < 8; i++) {
    server.session.garble();
    await run(40_000);
    expect(page.links).toHaveLength(i + 2);
  }
});

it("what cannot be read on each connection anew is not asked for any more", async () => {
  const { client, server, page, run } = await useLiveClient();
  for (let i = 0; i < 3; i++) {
    server.session.garble();
    await run(3_000);
  }
  expect(client.state).toEqual({ status: "closed", reason: "protocol" });
  await run(600_000);
  expect(page.links).toHaveLength(3);
  client.connect();
  await run();
  expect(client.state.status).toBe("live");
});

it("frames and events of a kind that is not known are passed on, and nothing ends for it", async () => {
  const { client, server, run, open } = await useLiveClient();
  const { room } = open("tea", {});
  await run();
  const frames: unknown[] = [];
  const events: unknown[] = [];
  client.on("frame", (frame) => frames.push(frame));
  room.on("event", (event) => events.push(event));
  const unknown = { horoscope: { sign: "lion" } };
  const event = { position: { seq: 1, tag: 1 }, ...unknown };
  server.session.push(JSON.parse(JSON.stringify(unknown)));
  server.session.push({ roomEvents: { roomId: "tea", events: [event] } });
  await run();
  expect(frames).toEqual([unknown, { roomEvents: { roomId: "tea", events: [event] } }]);
  expect(events).toEqual([event]);
  expect(room.position).toEqual({ seq: 1, tag: 1 });
  expect(client.state.status).toBe("live");
});

it("a connection on which nothing is heard is given up", async () => {
  const { server, run, states } = await useLiveClient();
  server.network.silence();
  await run(34_900);
  expect(states.at(-1)).toBe("live");
  await run(1_000);
  expect(states).toEqual(["connecting", "live", "waiting silent", "connecting", "live"]);
});

it("pings are answered, and keep the connection", async () => {
  const { server, run, states } = await useLiveClient();
  await run(600_000);
  expect(states).toEqual(["connecting", "live"]);
  expect(server.session.heard.filter(({ pong }) => pong !== undefined)).toHaveLength(24);
  expect(server.violations).toEqual([]);
});

it("a page that is shown again keeps a connection that answers, and gives up one that does not", async () => {
  const { page, server, run, states } = await useLiveClient();
  page.show();
  await run(6_000);
  expect(states).toEqual(["connecting", "live"]);
  server.network.silence();
  page.show();
  await run(4_900);
  expect(states.at(-1)).toBe("live");
  await run(1_000);
  expect(states).toEqual(["connecting", "live", "waiting silent", "connecting", "live"]);
});

it("a page that is shown again asks whether anybody is there though much waits for an answer", async () => {
  const { page, server, client, run, states } = await useLiveClient();
  server.takesMs = () => 20_000;
  const asked = Array.from({ length: 20 }, () => client.publish({ roomId: "tea" }).catch(() => undefined));
  page.show();
  await run(6_000);
  expect(states).toEqual(["connecting", "live"]);
  client.close();
  await Promise.all(asked);
});

it("listeners hear of states in the order in which they came, though one of them brings the next about", async () => {
  const { client, run } = useClient({ autoConnect: false });
  const heard: string[] = [];
  client.on("state", ({ status }) => {
    if (status === "live") client.close();
  });
  client.on("state", ({ status }) => heard.push(status));
  client.connect();
  await run();
  expect(heard).toEqual(["connecting", "live", "closed"]);
});

it("tries several addresses in turn, and stays with the one that answers", async () => {
  const { server, run } = useClient({ url: ["http://one", "http://two/"] });
  server.host = "http://two";
  await run(5_000);
  server.network.cut();
  await run(5_000);
  expect(server.network.dialled.map(({ url }) => url)).toEqual([
    "http://one/v1/connect",
    "http://two/v1/connect",
    "http://two/v1/connect",
  ]);
});

it("a device counts its attempts up, also where the clock is set back", async () => {
  const { server, page, run } = await useLiveClient();
  const first = server.session.hello?.attempt ?? 0;
  page.skewMs = -3_600_000;
  server.network.cut();
  await run(1_000);
  expect(server.session.hello?.attempt).toBe(first + 1);
});

it("goes on to the next address where a server leaves", async () => {
  const { server, run } = await useLiveClient({ url: ["http://one", "http://two"] });
  server.end(CloseCode.GOING_AWAY, 100);
  await run(1_000);
  expect(server.network.dialled.map(({ url }) => url)).toEqual(["http://one/v1/connect", "http://two/v1/connect"]);
});

it("a device whose attempt is behind is replaced, and ahead once it is told to connect", async () => {
  const used = useServer();
  const before = useClient({ device: { deviceId: "phone" }, autoConnect: false }, used);
  before.page.skewMs = 3_600_000;
  before.client.connect();
  await used.run();
  const { client, run, states } = useClient({ device: { deviceId: "phone" } }, used);
  await run();
  expect(states).toEqual(["connecting", "closed replaced"]);
  client.connect();
  await run();
  expect(client.state.status).toBe("live");
  expect(before.states.at(-1)).toBe("closed replaced");
});
