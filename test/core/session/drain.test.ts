// A node leaves: what was accepted is finished, and everybody is told to come back, each at another moment.

import { describe, expect, it } from "vitest";
import type { Dismissal } from "../../../src/core/session/port.js";
import { Requests } from "../../../src/core/session/requests.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { gate, hello, identity, RecordingSink, settle, TestClient, TestCore, text, useCore } from "../use-core.js";

/** Of a connection that somebody else holds, who says goodbye for the node. */
class HeldSink extends RecordingSink {
  readonly dismissals: number[] = [];
  dismissal: Dismissal | undefined;

  dismiss(dismissal: Dismissal): void {
    this.dismissals.push(dismissal.reconnectAfterMs);
    this.dismissal = dismissal;
  }
}

describe("a node that drains", () => {
  it("admits no connection and says when to try again", async () => {
    const core = await useCore();
    expect(core.core.sessions.admit()).toEqual({ admitted: true });
    const drained = core.core.drain(0);
    expect(core.core.sessions.admit()).toEqual({ admitted: false, retryAfterMs: 1_000 });
    await drained;
  });

  it("tells a connection that was admitted just before to come back", async () => {
    const core = await useCore();
    await core.core.drain(0);
    const late = core.dial();
    late.send(hello("anna", "phone"));
    await settle();
    expect(late.cases).toEqual(["goodbye"]);
    expect(late.endedWith).toBe(CloseCode.GOING_AWAY);
  });

  it("tells those who have not been welcomed yet to come back", async () => {
    const core = await useCore();
    const silent = core.dial();
    const opening = core.dial();
    const verified = gate<ReturnType<typeof identity>>();
    core.verifier.answer("anna", verified.promise);
    opening.send(hello("anna", "phone"));
    await core.core.drain(0);
    expect([silent.endedWith, opening.endedWith]).toEqual([CloseCode.GOING_AWAY, CloseCode.GOING_AWAY]);
    verified.resolve(identity("anna"));
    await settle();
    expect(opening.cases).toEqual(["goodbye"]);
  });

  it("answers the requests in flight, tells the room, and only then says goodbye", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    const bert = await core.connect("bert");
    await core.room(anna, "r1", "bert");
    await bert.ask({ case: "subscribe", value: { roomId: "r1" } });
    const held = gate<void>();
    core.engine.faultNextAppend({ kind: "hold", until: held.promise });
    const refs = [anna.send(text("r1", "a")), anna.send(text("r1", "b"))];
    await settle();
    const drained = core.core.drain(0);
    await settle();
    expect([anna.endedWith, bert.endedWith]).toEqual([undefined, undefined]);
    held.resolve();
    await drained;
    expect(refs.map((ref) => anna.reply(ref).case)).toEqual(["published", "published"]);
    expect(bert.seqs("r1")).toEqual([2, 3]);
    expect([anna.cases.at(-1), bert.cases.at(-1)]).toEqual(["goodbye", "goodbye"]);
    expect([anna.endedWith, bert.endedWith]).toEqual([CloseCode.GOING_AWAY, CloseCode.GOING_AWAY]);
  });

  it("waits for requests of every kind", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    const verified = gate<ReturnType<typeof identity>>();
    core.verifier.answer("fresh", verified.promise);
    const ref = anna.send({ case: "refreshToken", value: { token: "fresh" } });
    const drained = core.core.drain(0);
    await settle();
    expect(anna.endedWith).toBeUndefined();
    verified.resolve(identity("anna"));
    await drained;
    expect(anna.reply(ref).case).toBe("tokenAccepted");
    expect(anna.endedWith).toBe(CloseCode.GOING_AWAY);
  });

  it("takes no new request meanwhile, and answers pings", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    const held = gate<void>();
    core.engine.faultNextAppend({ kind: "hold", until: held.promise });
    const accepted = anna.send(text("r1", "a"));
    await settle();
    const drained = core.core.drain(0);
    for (const frame of [text("r1", "b"), { case: "subscribe", value: { roomId: "r1" } } as const]) {
      expect(await anna.ask(frame)).toMatchObject({
        case: "error",
        value: { code: ErrorCode.UNAVAILABLE, retryable: true, retryAfterMs: 1_000 },
      });
    }
    expect((await anna.ask({ case: "ping", value: { id: 1 } })).case).toBe("pong");
    held.resolve();
    await drained;
    expect(anna.reply(accepted).case).toBe("published");
  });

  it.each([
    [11_500, 1_500],
    [2_000, 1_000],
    [0, 0],
  ])(
    "spreads the return of its sessions evenly over the window of %i ms, once it may be back itself",
    async (spreadMs, soonestMs) => {
      const core = await useCore();
      const sessions: TestClient[] = [];
      for (let user = 0; user < 20; user++) sessions.push(await core.connect(`u${user}`));
      const drained = core.core.drain(spreadMs);
      await core.elapse(2_000);
      await drained;
      const delays = sessions.map((client) => client.last("goodbye").reconnectAfterMs).sort((a, b) => a - b);
      const stepMs = (spreadMs - soonestMs) / sessions.length;
      expect(delays).toEqual(sessions.map((_, index) => soonestMs + (index + 1) * stepMs));
    },
  );

  it("tells them to go one after the other, within a second, and goes on serving those it has not told", async () => {
    const core = await useCore();
    const sessions: TestClient[] = [];
    for (let user = 0; user < 40; user++) sessions.push(await core.connect(`u${user}`));
    const gone = () => sessions.filter((client) => client.endedWith !== undefined).length;
    const drained = core.core.drain(3_000);
    await settle();
    expect(gone()).toBe(2);
    await core.elapse(500);
    expect(gone()).toBeGreaterThan(10);
    expect(gone()).toBeLessThan(30);
    expect((await sessions[39]?.ask({ case: "ping", value: { id: 1 } }))?.case).toBe("pong");
    await core.elapse(500);
    await drained;
    expect(gone()).toBe(40);
  });

  it("tells the rest at once where it is stopped meanwhile", async () => {
    const core = await useCore();
    const sessions: TestClient[] = [];
    for (let user = 0; user < 40; user++) sessions.push(await core.connect(`u${user}`));
    const drained = core.core.drain(3_000);
    await settle();
    await core.core.stop();
    await drained;
    expect(sessions.map((client) => client.endedWith)).toEqual(sessions.map(() => CloseCode.GOING_AWAY));
    expect(sessions.map((client) => client.all("goodbye").length)).toEqual(sessions.map(() => 1));
    expect(core.clock.pending).toBe(0);
  });

  it("leaves it to who holds a connection to say goodbye, after all that was answered, unless that one leaves itself", async () => {
    const core = await useCore();
    const held = async (userId: string) => {
      core.verifier.answer(userId, identity(userId));
      const sink = new HeldSink();
      const client = new TestClient(core.core, { transport: "in-process", address: "" }, sink);
      client.send(hello(userId, "phone"));
      await settle();
      return { client, sink };
    };
    const [anna, bert, cyd] = [await held("anna"), await held("bert"), await held("cyd")];
    cyd.client.connection.leave(70);
    const drained = core.core.drain(6_000);
    const ref = anna.client.send({ case: "ping", value: { id: 1 } });
    await core.elapse(1_000);
    await drained;
    expect(anna.client.reply(ref).case).toBe("pong");
    expect([anna.sink.dismissals, bert.sink.dismissals, cyd.sink.dismissals]).toEqual([[3_750], [6_000], []]);
    for (const { client, sink } of [anna, bert]) {
      expect(client.cases).not.toContain("goodbye");
      expect([client.endedWith, sink.late]).toEqual([undefined, 0]);
    }
    expect(cyd.client.last("goodbye")).toMatchObject({ reason: CloseCode.GOING_AWAY, reconnectAfterMs: 70 });
    expect(core.core.sessions.admit().admitted).toBe(false);
    await core.core.stop();
    expect([anna.sink.dismissals.length, bert.sink.dismissals.length]).toEqual([1, 1]);
  });

  it("drains though a session's client does not read", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    anna.stall();
    await anna.ask({ case: "ping", value: { id: 1 } });
    const waiting = anna.send(text("r1", "k"));
    await core.core.drain(0);
    expect(anna.endedWith).toBe(CloseCode.GOING_AWAY);
    expect(anna.reply(waiting).case).toBeUndefined();
  });
});

it("leaves it to who holds a connection to say goodbye where nobody can judge its hello now, and to nobody where it is refused", async () => {
  const core = await useCore();
  const refuse = async (code: ErrorCode) => {
    core.verifier.answer("anna", Promise.reject(new TrunklineError(code, "no", { retryAfterMs: 500 })));
    const sink = new HeldSink();
    const client = new TestClient(core.core, { transport: "in-process", address: "" }, sink);
    const ref = client.send(hello("anna", "phone"));
    await settle();
    expect(client.reply(ref)).toMatchObject({ case: "error", value: { code } });
    return { client, sink };
  };
  const away = await refuse(ErrorCode.UNAVAILABLE);
  const expected = { code: CloseCode.UNAVAILABLE, reconnectAfterMs: 500, error: { code: ErrorCode.UNAVAILABLE } };
  expect(away.sink.dismissal).toMatchObject(expected);
  expect([away.client.cases, away.client.endedWith]).toEqual([["error"], undefined]);
  const unknown = await refuse(ErrorCode.UNAUTHENTICATED);
  expect(unknown.sink.dismissal).toBeUndefined();
  expect([unknown.client.cases, unknown.client.endedWith]).toEqual([["error", "goodbye"], CloseCode.UNAUTHENTICATED]);
});

describe("a node that stops", () => {
  it("ends every session and timer, and listens to nobody any more", async () => {
    const core = new TestCore({});
    await core.core.start();
    const anna = await core.connect("anna", {}, { expiresAtMs: 60_000 });
    await core.room(anna, "r1");
    await anna.ask({ case: "subscribe", value: { roomId: "r1" } });
    const silent = core.dial();
    expect(core.clock.pending).toBeGreaterThan(0);
    await core.core.stop();
    expect([anna.endedWith, silent.endedWith]).toEqual([CloseCode.GOING_AWAY, CloseCode.GOING_AWAY]);
    expect(core.verifier.listeners).toBe(0);
    await settle();
    expect(core.clock.pending).toBe(0);
    expect([anna.sink.late, silent.sink.late]).toEqual([0, 0]);
  });

  it("leaves no timer where a log is away, rooms are collected and a session waits for the archive", async () => {
    const core = new TestCore({ load: () => 1 });
    await core.core.start();
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    for (let key = 0; key < 5; key++) await anna.ask(text("r1", `k${key}`));
    // Busy: the fan-out collects.
    await core.elapse(2_000);
    await anna.ask({ case: "subscribe", value: { roomId: "r1" } });
    for (let key = 5; key < 8; key++) await anna.ask(text("r1", `k${key}`));
    // The archive goes away between the outcome and the replay.
    const reader = await core.connect("anna", { device: { deviceId: "reader" } });
    reader.stall();
    await reader.ask({ case: "ping", value: { id: 1 } });
    await reader.ask({ case: "subscribe", value: { roomId: "r1", after: { seq: 0 } } });
    core.engine.answersLater = true;
    core.engine.archiveDown = true;
    reader.read();
    await settle();
    for (let shard = 0; shard < core.engine.shards; shard++) core.engine.faultNextAppend({ kind: "refuse" }, shard);
    anna.post(text("r1", "lost"));
    await settle();
    await core.core.stop();
    await settle();
    expect(core.clock.pending).toBe(0);
  });

  it("may stop without having drained, or twice", async () => {
    const core = new TestCore({});
    await core.core.start();
    const anna = await core.connect("anna");
    await core.core.stop();
    await core.core.stop();
    expect([anna.all("goodbye").length, anna.sink.late]).toEqual([1, 0]);
  });
});

describe("requests without an answer", () => {
  it("are waited for until there is none, by everybody who waits", async () => {
    const requests = new Requests();
    await requests.idle();
    requests.enter();
    requests.enter();
    const told: string[] = [];
    const waits = ["a", "b"].map((name) => requests.idle().then(() => told.push(name)));
    requests.leave();
    await settle(1);
    expect(told).toEqual([]);
    requests.leave();
    await Promise.all(waits);
    expect(told).toEqual(["a", "b"]);
  });
});
