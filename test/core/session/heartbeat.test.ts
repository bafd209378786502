// Are you there?

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { type TestClient, type TestCore, useCore } from "../use-core.js";

function answerPing(client: TestClient): void {
  client.post({ case: "pong", value: { id: client.last("ping").id } });
}

/** Until the next ping has come, to the quarter second. Answers how long that was. */
async function untilPing(core: TestCore, client: TestClient): Promise<number> {
  const before = client.all("ping").length;
  const began = core.clock.monotonic();
  while (client.all("ping").length === before && client.endedWith === undefined) await core.elapse(250);
  return core.clock.monotonic() - began;
}

describe("the server's heartbeat", () => {
  it("asks every 25 s, to the half second", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    for (let beat = 0; beat < 4; beat++) {
      const waited = await untilPing(core, anna);
      expect(waited).toBeGreaterThanOrEqual(25_000);
      expect(waited).toBeLessThanOrEqual(25_750);
      answerPing(anna);
    }
    expect(new Set(anna.all("ping").map(({ value }) => value.id)).size).toBe(4);
    expect(anna.endedWith).toBeUndefined();
  });

  it("tells the round trip it measured in the next ping, and in the first none", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    await untilPing(core, anna);
    core.clock.advance(40);
    answerPing(anna);
    await untilPing(core, anna);
    core.clock.advance(65);
    answerPing(anna);
    await untilPing(core, anna);
    expect(anna.all("ping").map(({ value }) => value.lastRoundTripMs)).toEqual([undefined, 40, 65]);
  });

  it("measures nothing by a pong that answers no ping of its own", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    anna.post({ case: "pong", value: { id: 0 } });
    await untilPing(core, anna);
    anna.post({ case: "pong", value: { id: anna.last("ping").id + 1 } });
    await untilPing(core, anna);
    expect(anna.last("ping").lastRoundTripMs).toBeUndefined();
  });

  it("gives the client up 10 s after a ping that nothing followed", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    await untilPing(core, anna);
    await core.elapse(9_500);
    expect(anna.endedWith).toBeUndefined();
    await core.elapse(1_000);
    expect(anna.endedWith).toBe(CloseCode.HEARTBEAT_LOST);
    expect(anna.last("goodbye").reason).toBe(CloseCode.HEARTBEAT_LOST);
  });

  it("takes any frame as an answer", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    for (let beat = 0; beat < 3; beat++) {
      await untilPing(core, anna);
      anna.send({ case: "unsubscribe", value: { roomId: "r1" } });
    }
    await core.elapse(20_000);
    expect(anna.endedWith).toBeUndefined();
  });

  it("does not take what came before the ping as its answer", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    await core.elapse(24_000);
    anna.send({ case: "ping", value: { id: 1 } });
    await untilPing(core, anna);
    await core.elapse(10_500);
    expect(anna.endedWith).toBe(CloseCode.HEARTBEAT_LOST);
  });

  it("gives up after its own deadline where that is longer than its interval", async () => {
    const core = await useCore({ limits: { pingIntervalMs: 5_000, pongDeadlineMs: 12_000 } });
    const anna = await core.connect("anna");
    await core.elapse(16_000);
    expect([anna.all("ping").length, anna.endedWith]).toEqual([3, undefined]);
    await core.elapse(2_000);
    expect(anna.endedWith).toBe(CloseCode.HEARTBEAT_LOST);
  });

  it("gives nobody up because the process itself stood still, and whoever stays silent after it", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    const bert = await core.connect("bert");
    await untilPing(core, anna);
    expect(bert.all("ping")).toHaveLength(1);
    core.clock.advance(20_000);
    // Anna's pong was there in time, and is read only now.
    anna.post({ case: "pong", value: { id: anna.last("ping").id } });
    await core.elapse(9_500);
    expect([anna.endedWith, bert.endedWith]).toEqual([undefined, undefined]);
    await core.elapse(1_500);
    expect([anna.endedWith, bert.endedWith]).toEqual([undefined, CloseCode.HEARTBEAT_LOST]);
  });

  it("asks each session, however many there are", async () => {
    const core = await useCore();
    const sessions = [];
    for (let user = 0; user < 30; user++) sessions.push(await core.connect(`u${user}`));
    await core.elapse(26_000);
    expect(sessions.map((client) => client.all("ping").length)).toEqual(sessions.map(() => 1));
  });

  it("overtakes what waits behind back-pressure", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    anna.stall();
    await anna.ask({ case: "ping", value: { id: 1 } });
    await anna.ask({ case: "ping", value: { id: 2 } });
    await core.elapse(26_000);
    anna.read();
    expect(anna.cases).toEqual(["welcome", "pong", "ping", "pong"]);
  });
});

describe("a client's ping", () => {
  it("is answered with its id, ref or none", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    expect(await anna.ask({ case: "ping", value: { id: 4_000_000_000 } })).toMatchObject({
      case: "pong",
      value: { id: 4_000_000_000 },
    });
    anna.post({ case: "ping", value: { id: 5 } });
    await core.elapse(0);
    expect(anna.all("pong").map(({ replyTo, value }) => [replyTo, value.id])).toEqual([
      [2, 4_000_000_000],
      [0, 5],
    ]);
  });
});
