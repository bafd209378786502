// Several sessions of one user: which of a device's connections wins, and how many there may be.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { hello, identity, settle, text, useCore } from "../use-core.js";

describe("a device that connects anew", () => {
  it.each([
    ["a higher", 5, 6],
    ["the same", 5, 5],
  ])("with %s attempt replaces its session", async (_, before, after) => {
    const core = await useCore();
    const old = await core.connect("anna", { attempt: before });
    const young = await core.connect("anna", { attempt: after });
    expect(old.endedWith).toBe(CloseCode.REPLACED);
    expect(old.last("goodbye").reason).toBe(CloseCode.REPLACED);
    expect(young.endedWith).toBeUndefined();
    // It is the younger that the next one is compared with.
    expect((await core.connect("anna", { attempt: after })).endedWith).toBeUndefined();
    expect(young.endedWith).toBe(CloseCode.REPLACED);
  });

  it("with a lower attempt is turned away and learns the current one", async () => {
    const core = await useCore();
    const winner = await core.connect("anna", { attempt: 7 });
    const loser = core.dial();
    const ref = loser.send(hello("anna", "device-of-anna", { attempt: 3 }));
    await settle();
    expect(loser.reply(ref)).toMatchObject({
      case: "error",
      value: { code: ErrorCode.CONFLICT, field: "hello.attempt", details: { current_attempt: "7" } },
    });
    expect(loser.last("goodbye").error?.details).toEqual({ current_attempt: "7" });
    expect(loser.endedWith).toBe(CloseCode.REPLACED);
    expect(winner.endedWith).toBeUndefined();
    expect((await winner.ask({ case: "ping", value: { id: 1 } })).case).toBe("pong");
  });

  it("may begin with a lower attempt once its session has ended", async () => {
    const core = await useCore();
    const old = await core.connect("anna", { attempt: 7 });
    old.connection.gone(true);
    expect((await core.connect("anna", { attempt: 1 })).endedWith).toBeUndefined();
  });

  it("leaves no subscription of the replaced session behind", async () => {
    const core = await useCore();
    const bert = await core.connect("bert");
    await core.room(bert, "r1", "anna");
    const old = await core.connect("anna", { rooms: [{ roomId: "r1" }] });
    const young = await core.connect("anna", { attempt: 2, rooms: [{ roomId: "r1" }] });
    await bert.ask(text("r1", "k"));
    expect([old.seqs("r1"), young.seqs("r1")]).toEqual([[], [2]]);
    expect(old.sink.late).toBe(0);
  });
});

describe("a user with many devices", () => {
  it("keeps ten sessions; an eleventh closes the oldest", async () => {
    const core = await useCore();
    const sessions = [];
    for (let device = 0; device < 11; device++) {
      sessions.push(await core.connect("anna", { device: { deviceId: `d${device}` } }));
    }
    expect(sessions.map(({ endedWith }) => endedWith)).toEqual([
      CloseCode.TOO_MANY_SESSIONS,
      ...Array.from({ length: 10 }, () => undefined),
    ]);
  });

  it("keeps all ten when one of them connects anew", async () => {
    const core = await useCore();
    const sessions = [];
    for (let device = 0; device < 10; device++) {
      sessions.push(await core.connect("anna", { device: { deviceId: `d${device}` } }));
    }
    await core.connect("anna", { device: { deviceId: "d4" }, attempt: 2 });
    expect(sessions.flatMap(({ endedWith }, device) => (endedWith === undefined ? [] : [[device, endedWith]]))).toEqual(
      [[4, CloseCode.REPLACED]],
    );
  });

  it("is turned away as a whole where a loser comes beyond the limit", async () => {
    const core = await useCore({ limits: { maxSessionsPerUser: 2 } });
    const first = await core.connect("anna", { device: { deviceId: "a" }, attempt: 9 });
    const second = await core.connect("anna", { device: { deviceId: "b" } });
    const loser = core.dial();
    loser.send(hello("anna", "a", { attempt: 1 }));
    await settle();
    expect([loser.endedWith, first.endedWith, second.endedWith]).toEqual([CloseCode.REPLACED, undefined, undefined]);
  });
});

describe("another tenant's user and device of the same ids", () => {
  it("are other ones", async () => {
    const core = await useCore({ limits: { maxSessionsPerUser: 1 } });
    const here = await core.connect("anna", { attempt: 9 });
    const there = await core.connect("anna", { token: "of-other", attempt: 1 }, { tenantId: "other" });
    expect(there.last("welcome").tenantId).toBe("other");
    expect([here.endedWith, there.endedWith]).toEqual([undefined, undefined]);
    core.verifier.revoke({ tenantId: "other", subject: { userId: "anna" }, atMs: core.clock.now() });
    expect([here.endedWith, there.endedWith]).toEqual([undefined, CloseCode.REVOKED]);
  });

  it("read and write other rooms, even of the same id", async () => {
    const core = await useCore();
    const here = await core.connect("anna");
    const there = await core.connect("anna", { token: "of-other" }, { tenantId: "other" });
    await core.room(here, "r1");
    expect(await there.ask({ case: "subscribe", value: { roomId: "r1" } })).toMatchObject({
      value: { code: ErrorCode.NOT_FOUND },
    });
    await core.room(there, "r1");
    for (const client of [here, there]) await client.ask({ case: "subscribe", value: { roomId: "r1" } });
    await there.ask(text("r1", "k"));
    expect([here.seqs("r1"), there.seqs("r1")]).toEqual([[], [2]]);
  });

  it("does not change whose token it is by what hello says", async () => {
    const core = await useCore();
    core.verifier.answer("t", identity("bert", { tenantId: "other" }));
    const client = core.dial();
    client.send(hello("t", "anna"));
    await settle();
    expect(client.last("welcome")).toMatchObject({ userId: "bert", tenantId: "other" });
  });
});
