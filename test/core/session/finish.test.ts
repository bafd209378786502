// A client that sends no more but still reads: a gRPC client that closes its side.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { gate, hello, identity, settle, text, useCore } from "../use-core.js";

describe("a client that has finished", () => {
  it("gets the answers to all it has asked, then an end that is none of a fault", async () => {
    const core = await useCore();
    const ada = await core.connect("ada");
    await core.room(ada, "r");
    const closed = core.record("session.closed");
    const refs = [text("r", "m1"), text("r", "m2")].map((frame) => ada.send(frame));
    const history = ada.send({ case: "call", value: { rpc: { case: "getHistory", value: { roomId: "r" } } } });
    ada.connection.finish();
    expect(ada.endedWith).toBeUndefined();
    await settle();
    expect(refs.map((ref) => ada.reply(ref).case)).toEqual(["published", "published"]);
    expect(ada.reply(history).case).toBe("callResult");
    expect(ada.endedWith).toBe(CloseCode.UNSPECIFIED);
    expect(ada.all("goodbye")).toEqual([]);
    expect(closed).toMatchObject([{ code: 1000 }]);
    expect(ada.sink.late).toBe(0);
  });

  it("gets the outcome of its hello, of the rooms it named and of what it sent behind it", async () => {
    const core = await useCore();
    const ada = await core.connect("ada");
    await core.room(ada, "r", "bob");
    await ada.ask(text("r", "m1"));
    const verified = gate<ReturnType<typeof identity>>();
    core.verifier.answer("slow", verified.promise);
    const bob = core.dial();
    bob.send(hello("slow", "phone", { rooms: [{ roomId: "r", after: {} }] }));
    const ref = bob.send(text("r", "m2"));
    bob.connection.finish();
    await settle();
    expect(bob.cases).toEqual([]);
    verified.resolve(identity("bob"));
    await settle();
    expect(bob.cases.slice(0, 2)).toEqual(["welcome", "subscribed"]);
    expect(bob.reply(ref).case).toBe("published");
    expect(bob.seqs("r").slice(0, 2)).toEqual([1, 2]);
    expect(bob.endedWith).toBe(CloseCode.UNSPECIFIED);
  });

  it("is waited for while it reads slowly", async () => {
    const core = await useCore();
    const ada = await core.connect("ada");
    ada.stall();
    ada.post({ case: "ping", value: { id: 1 } });
    await settle();
    const ref = ada.send({ case: "ping", value: { id: 2 } });
    ada.connection.finish();
    await settle();
    expect(ada.endedWith).toBeUndefined();
    ada.read();
    await settle();
    expect(ada.reply(ref).case).toBe("pong");
    expect(ada.endedWith).toBe(CloseCode.UNSPECIFIED);
  });

  it("is let go at once when it never said hello, or waits for nothing", async () => {
    const core = await useCore();
    const silent = core.dial();
    silent.connection.finish();
    expect(silent.endedWith).toBe(CloseCode.UNSPECIFIED);
    const ada = await core.connect("ada");
    ada.connection.finish();
    expect(ada.endedWith).toBe(CloseCode.UNSPECIFIED);
  });
});

describe("a client whose bridge leaves", () => {
  it("gets the answers to all it has asked, then is told when to come back", async () => {
    const core = await useCore();
    const ada = await core.connect("ada");
    await core.room(ada, "r");
    const closed = core.record("session.closed");
    const ref = ada.send(text("r", "m1"));
    ada.connection.leave(1_500);
    expect(ada.endedWith).toBeUndefined();
    await settle();
    expect(ada.reply(ref).case).toBe("published");
    expect(ada.all("goodbye")).toMatchObject([{ value: { reason: CloseCode.GOING_AWAY, reconnectAfterMs: 1_500 } }]);
    expect(ada.endedWith).toBe(CloseCode.GOING_AWAY);
    expect(closed).toMatchObject([{ code: CloseCode.GOING_AWAY }]);
    expect(ada.sink.late).toBe(0);
  });

  it("is told so at once where it waits for nothing, also before its hello", async () => {
    const core = await useCore();
    const silent = core.dial();
    const ada = await core.connect("ada");
    silent.connection.leave(0);
    ada.connection.leave(0);
    expect([silent.endedWith, ada.endedWith]).toEqual([CloseCode.GOING_AWAY, CloseCode.GOING_AWAY]);
  });
});
