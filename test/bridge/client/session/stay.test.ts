// A connection that stays when its session is over: the next hello is said on it.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../../src/gen/trunkline/v1/error_pb.js";
import { useClient, useLiveClient, useServer } from "../support/use-client.js";

/** Live, reads a room, and was told to stay. */
async function useStaying(reconnectAfterMs = 3_000) {
  const used = await useLiveClient();
  const { server, run, open } = used;
  const tea = open("tea");
  await run();
  server.say("tea", "one");
  await run();
  const { session } = server;
  session.stay(CloseCode.GOING_AWAY, reconnectAfterMs);
  await run(2);
  return { ...used, tea, session };
}

it("says so in its hello, and goes on over the same connection once its time has come, from where it was", async () => {
  const { server, page, run, states, asked, tea, session } = await useStaying();
  expect(session.hello?.canStay).toBe(true);
  expect(states).toEqual(["connecting", "live", "waiting going-away"]);
  server.say("tea", "two");
  await run(2_990);
  expect([server.renewed, page.held]).toEqual([0, 1]);
  await run(100);
  expect([server.renewed, page.links.length]).toEqual([1, 1]);
  expect(states).toEqual(["connecting", "live", "waiting going-away", "connecting", "live"]);
  expect(asked).toEqual([false, false]);
  const { attempt = 0, rooms } = server.session.hello ?? {};
  expect(attempt).toBeGreaterThan(session.hello?.attempt ?? 0);
  expect(rooms).toMatchObject([{ roomId: "tea", after: { seq: 1 } }]);
  server.say("tea", "three");
  await run();
  expect(tea.texts).toEqual(["one", "two", "three"]);
  expect(server.violations).toEqual([]);
});

it("stays as often as it is told to", async () => {
  const { server, page, run, client } = await useStaying(500);
  for (let times = 0; times < 5; times++) {
    await run(1_000);
    server.session.stay(CloseCode.OVERLOADED, 500);
  }
  await run(10_000);
  expect([client.state.status, page.links.length, server.renewed]).toEqual(["live", 1, 6]);
});

it("sends nothing until then, and what was not answered once more after it", async () => {
  const { server, page, client, run } = await useLiveClient();
  const room = client.room("tea");
  server.takesMs = () => undefined;
  const asked = client.publish({ roomId: "tea", clientMessageId: "once", body: { text: "once" } });
  const refused = expect(asked).rejects.toMatchObject({ name: "DisconnectedError" });
  const before = room.send("before");
  await run();
  server.session.stay(CloseCode.GOING_AWAY, 3_000);
  server.takesMs = () => 0;
  await run(2);
  await refused;
  const { sent } = page.link;
  const { length } = sent;
  const during = room.send("during");
  await run(2_900);
  expect(sent).toHaveLength(length);
  await run(5_000);
  await Promise.all([before, during]);
  expect(server.room("tea").texts).toEqual(["before", "during"]);
  expect(JSON.parse(sent[length] ?? "").hello).toBeDefined();
  expect([page.links.length, server.violations]).toEqual([1, []]);
});

it("connects anew at the same time where the connection has ended meanwhile", async () => {
  const { server, page, run, states } = await useStaying();
  server.network.cut();
  await run(10);
  expect([page.held, states.at(-1)]).toEqual([0, "waiting going-away"]);
  await run(2_950);
  expect(page.links).toHaveLength(1);
  await run(100);
  expect(page.links).toHaveLength(2);
  expect([server.renewed, states.at(-1)]).toEqual([0, "live"]);
});

it("connects anew where the hello on it is not answered", async () => {
  const { server, page, run, states, tea } = await useStaying();
  server.network.silence();
  server.say("tea", "two");
  await run(3_000 + 10_000);
  expect(states.slice(-2)).toEqual(["connecting", "waiting silent"]);
  await run(5_000);
  expect([states.at(-1), page.links.length, page.held]).toEqual(["live", 2, 1]);
  expect(tea.texts).toEqual(["one", "two"]);
});

it("connects anew where it had no token in time", async () => {
  let has = true;
  const used = useServer();
  const { server } = used;
  const token = () => (has ? server.issue(3_600_000) : Promise.reject(new Error("not now")));
  const { page, run, client } = useClient({ token }, used);
  await run();
  server.session.stay(CloseCode.GOING_AWAY, 1_000);
  has = false;
  await run(30_000);
  expect([page.links.length, page.held]).toEqual([1, 0]);
  has = true;
  await run(31_000);
  expect([client.state.status, page.links.length, server.renewed]).toEqual(["live", 2, 0]);
});

describe("lets go of such a connection", () => {
  it("when it is closed, as one who leaves", async () => {
    const { client, page, run } = await useStaying();
    client.close();
    expect([page.held, page.timers, page.watchers, page.link.leftWith]).toEqual([0, 0, 0, 1000]);
    await run(20_000);
    expect(page.links).toHaveLength(1);
  });

  it("when it is dropped, or the network goes, as one who comes back", async () => {
    for (const how of ["drop", "offline"]) {
      const { client, server, page, run } = await useStaying();
      if (how === "drop") client.drop();
      else {
        page.reach(false);
        page.reach(true);
      }
      expect([page.held, page.link.leftWith]).toEqual([0, 4000]);
      await run(5_000);
      expect([client.state.status, page.links.length, server.renewed]).toEqual(["live", 2, 0]);
    }
  });

  it("when something comes over it before the hello", async () => {
    const { client, server, page, run, tea, session } = await useStaying();
    session.strayed({ roomEvents: { roomId: "tea", events: [{ position: { seq: 9, tag: 9 } }] } });
    await run(2);
    expect([page.held, page.link.leftWith]).toEqual([0, 4000]);
    await run(5_000);
    expect([client.state.status, page.links.length, server.renewed]).toEqual(["live", 2, 0]);
    expect(tea.texts).toEqual(["one"]);
  });

  it("when the reason forbids to come back", async () => {
    const { client, server, page, run } = await useLiveClient();
    server.session.stay(CloseCode.KICKED);
    await run();
    expect(client.state).toEqual({ status: "closed", reason: "kicked" });
    expect(page.held).toBe(0);
  });
});
