// What a session may ask, how often, and how much at once.

import { describe, expect, it } from "vitest";
import { ratesWith } from "../../../src/core/limit/rates.js";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { gate, hello, settle, type TestClient, text, useCore } from "../use-core.js";

const NONE = { perSecond: 0, burst: 0 };

/** The codes of the refusals of these refs; undefined: not refused. */
function refusals(client: TestClient, refs: readonly number[]): (ErrorCode | undefined)[] {
  return refs.map((ref) => {
    const reply = client.reply(ref);
    return reply.case === "error" ? reply.value.code : undefined;
  });
}

function times<T>(count: number, make: (index: number) => T): T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

describe("the rate of frames", () => {
  it("is held for every session on its own, whatever the frames are, and the refusal says when to go on", async () => {
    const core = await useCore({ limits: { frameRate: { perSecond: 10, burst: 5 } } });
    const anna = await core.connect("anna");
    const bert = await core.connect("bert");
    const refs = times(8, (id) => anna.send({ case: "ping", value: { id } }));
    const others = times(5, (id) => bert.send({ case: "ping", value: { id } }));
    await settle();
    const limited = ErrorCode.RATE_LIMITED;
    expect(refusals(anna, refs)).toEqual([...times(5, () => undefined), limited, limited, limited]);
    expect(refusals(bert, others)).toEqual(times(5, () => undefined));
    expect(anna.last("error").retryAfterMs).toBe(100);
    core.clock.advance(100);
    expect((await anna.ask({ case: "ping", value: { id: 9 } })).case).toBe("pong");
    expect(anna.endedWith).toBeUndefined();
  });

  it("does not end a session that is alive though all its frames are refused", async () => {
    const core = await useCore({ limits: { frameRate: { perSecond: 1, burst: 1 } } });
    const anna = await core.connect("anna");
    for (let second = 0; second < 80; second++) {
      for (let count = 0; count < 3; count++) anna.post({ case: "pong", value: { id: 0 } });
      await core.elapse(1_000);
    }
    expect(anna.endedWith).toBeUndefined();
  });
});

describe("a session that does not heed refusals", () => {
  it("is closed, and told when to come back; one that does is not", async () => {
    const rates = { frameRate: { perSecond: 10, burst: 5 }, refusalRate: { perSecond: 1, burst: 20 } };
    const core = await useCore({ limits: rates });
    const anna = await core.connect("anna");
    const bert = await core.connect("bert");
    for (let id = 0; id < 25; id++) anna.send({ case: "ping", value: { id } });
    expect(anna.endedWith).toBeUndefined();
    anna.send({ case: "ping", value: { id: 25 } });
    expect(anna.endedWith).toBe(CloseCode.OVERLOADED);
    expect(anna.last("goodbye")).toMatchObject({ reconnectAfterMs: 100, error: { code: ErrorCode.RATE_LIMITED } });
    for (let second = 0; second < 60; second++) {
      for (let id = 0; id < 6; id++) bert.send({ case: "ping", value: { id } });
      await core.elapse(1_000);
    }
    expect(bert.endedWith).toBeUndefined();
  });
});

describe("the rate of messages", () => {
  it("is held per session", async () => {
    const core = await useCore({ limits: { rates: ratesWith({ publish: { session: { perSecond: 2, burst: 3 } } }) } });
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    const refs = times(5, (key) => anna.send(text("r1", `k${key}`)));
    await settle();
    expect(refusals(anna, refs)).toEqual([
      undefined,
      undefined,
      undefined,
      ErrorCode.RATE_LIMITED,
      ErrorCode.RATE_LIMITED,
    ]);
    expect(anna.last("error").retryAfterMs).toBe(500);
    core.clock.advance(500);
    expect((await anna.ask(text("r1", "k3"))).case).toBe("published");
  });

  it("is held per user over all of the user's sessions, and no other user's", async () => {
    const core = await useCore({ limits: { rates: ratesWith({ publish: { user: { perSecond: 1, burst: 4 } } }) } });
    const phone = await core.connect("anna", { device: { deviceId: "phone" } });
    const laptop = await core.connect("anna", { device: { deviceId: "laptop" } });
    const bert = await core.connect("bert");
    await core.room(phone, "r1", "bert");
    const onPhone = times(3, (key) => phone.send(text("r1", `p${key}`)));
    const onLaptop = times(3, (key) => laptop.send(text("r1", `l${key}`)));
    const berts = times(3, (key) => bert.send(text("r1", `b${key}`)));
    await settle();
    expect(refusals(phone, onPhone)).toEqual([undefined, undefined, undefined]);
    expect(refusals(laptop, onLaptop)).toEqual([undefined, ErrorCode.RATE_LIMITED, ErrorCode.RATE_LIMITED]);
    expect(refusals(bert, berts)).toEqual([undefined, undefined, undefined]);
  });

  it("of a user is not forgotten when the user comes back at once", async () => {
    const core = await useCore({ limits: { rates: ratesWith({ publish: { user: { perSecond: 1, burst: 4 } } }) } });
    const before = await core.connect("anna");
    await core.room(before, "r1");
    for (let key = 0; key < 4; key++) before.post(text("r1", `k${key}`));
    await settle();
    before.connection.gone(true);
    const after = await core.connect("anna", { attempt: 2 });
    expect(await after.ask(text("r1", "k4"))).toMatchObject({ value: { code: ErrorCode.RATE_LIMITED } });
    core.clock.advance(1_000);
    expect((await after.ask(text("r1", "k4"))).case).toBe("published");
  });

  it("is held per room over all users", async () => {
    const core = await useCore({ limits: { rates: ratesWith({ publish: { room: { perSecond: 1, burst: 4 } } }) } });
    const anna = await core.connect("anna");
    const bert = await core.connect("bert");
    await core.room(anna, "r1", "bert");
    await core.room(anna, "r2", "bert");
    core.clock.advance(60_000);
    const annas = times(3, (key) => anna.send(text("r1", `a${key}`)));
    const berts = times(3, (key) => bert.send(text("r1", `b${key}`)));
    const elsewhere = times(3, (key) => bert.send(text("r2", `b${key}`)));
    await settle();
    const codes = [...refusals(anna, annas), ...refusals(bert, berts)];
    expect(codes.filter((code) => code === ErrorCode.RATE_LIMITED)).toHaveLength(2);
    expect(codes.filter((code) => code === undefined)).toHaveLength(4);
    expect(refusals(bert, elsewhere)).toEqual([undefined, undefined, undefined]);
  });

  it("is not spent on messages that are not valid", async () => {
    const core = await useCore({ limits: { rates: ratesWith({ publish: { session: { perSecond: 1, burst: 1 } } }) } });
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    for (let count = 0; count < 5; count++) anna.send(text("r1", ""));
    expect((await anna.ask(text("r1", "k"))).case).toBe("published");
  });
});

describe("requests in flight", () => {
  it("are 64 of a session at most; another one is refused, those before it and other sessions are not", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    const bert = await core.connect("bert");
    await core.room(anna, "r1", "bert");
    const held = gate<void>();
    core.engine.faultNextAppend({ kind: "hold", until: held.promise });
    const refs = times(66, (key) => anna.send(text("r1", `k${key}`)));
    const berts = bert.send(text("r1", "of-bert"));
    await settle();
    expect(refusals(anna, refs)).toEqual([
      ...times(64, () => undefined),
      ErrorCode.LIMIT_EXCEEDED,
      ErrorCode.LIMIT_EXCEEDED,
    ]);
    expect(anna.last("error").details).toEqual({ limit: "64" });
    expect(anna.all("published")).toEqual([]);
    held.resolve();
    await settle();
    expect(anna.all("published").map(({ replyTo }) => replyTo)).toEqual(refs.slice(0, 64));
    expect(bert.reply(berts).case).toBe("published");
    expect((await anna.ask(text("r1", "k64"))).case).toBe("published");
  });

  it("do not hold up pings", async () => {
    const core = await useCore({ limits: { maxInFlight: 1 } });
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    const held = gate<void>();
    core.engine.faultNextAppend({ kind: "hold", until: held.promise });
    const waiting = anna.send(text("r1", "k"));
    expect((await anna.ask({ case: "ping", value: { id: 1 } })).case).toBe("pong");
    expect(anna.reply(waiting).case).toBeUndefined();
    held.resolve();
    await settle();
    expect(anna.reply(waiting).case).toBe("published");
  });

  it("are counted down however they end", async () => {
    const core = await useCore({ limits: { maxInFlight: 2 } });
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    for (let round = 0; round < 5; round++) {
      for (const frame of [
        text("no-such-room", "k"),
        { case: "subscribe", value: { roomId: "no-such-room" } } as const,
        { case: "refreshToken", value: { token: "bad" } } as const,
        { case: "call", value: { rpc: { case: undefined } } } as const,
        { case: "unsubscribe", value: { roomId: "r1" } } as const,
      ]) {
        const answer = await anna.ask(frame);
        if (answer.case === "error") expect(answer.value.code).not.toBe(ErrorCode.LIMIT_EXCEEDED);
      }
    }
    const both = [anna.send(text("r1", "a")), anna.send(text("r1", "b"))];
    await settle();
    expect(both.map((ref) => anna.reply(ref).case)).toEqual(["published", "published"]);
  });

  it("are answered in the order they were sent within a room, though steps of them wait", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    core.engine.answersLater = true;
    const refs = [
      anna.send(text("r1", "a")),
      anna.send({ case: "subscribe", value: { roomId: "r1" } }),
      anna.send(text("r1", "b")),
      anna.send({ case: "unsubscribe", value: { roomId: "r1" } }),
      anna.send(text("r1", "c")),
    ];
    await settle(60);
    const seqOf = (ref: number | undefined): number | undefined => {
      const reply = anna.reply(ref ?? 0);
      return reply.case === "published" ? reply.value.position?.seq : undefined;
    };
    expect([seqOf(refs[0]), seqOf(refs[2]), seqOf(refs[4])]).toEqual([2, 3, 4]);
    expect([anna.reply(refs[1] ?? 0).case, anna.reply(refs[3] ?? 0).case]).toEqual(["subscribed", "unsubscribed"]);
    expect(anna.last("subscribed").top?.seq).toBeLessThan(3);
    expect(anna.seqs("r1")).not.toContain(4);
  });
});

describe("subscriptions", () => {
  it("are 200 of a session at most; one that is moved or ended makes no difference or room", async () => {
    const core = await useCore({ limits: { frameRate: NONE, maxInFlight: 1_000 } });
    const anna = await core.connect("anna");
    const rooms = times(201, (index) => `r${index}`);
    for (const roomId of rooms) {
      anna.post({ case: "call", value: { rpc: { case: "createRoom", value: { roomId, key: roomId } } } }, 10_000);
    }
    await settle();
    const refs = rooms.map((roomId) => anna.send({ case: "subscribe", value: { roomId } }));
    await settle();
    const refused = refusals(anna, refs);
    expect(refused.slice(0, 200)).toEqual(times(200, () => undefined));
    expect(refused[200]).toBe(ErrorCode.LIMIT_EXCEEDED);
    expect(anna.last("error").details).toEqual({ limit: "200" });
    expect((await anna.ask({ case: "subscribe", value: { roomId: "r0" } })).case).toBe("subscribed");
    await anna.ask({ case: "unsubscribe", value: { roomId: "r0" } });
    expect((await anna.ask({ case: "subscribe", value: { roomId: "r200" } })).case).toBe("subscribed");
  });

  it("that were refused take no place", async () => {
    const core = await useCore({ limits: { maxRoomsPerSession: 1 } });
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    for (let count = 0; count < 3; count++) await anna.ask({ case: "subscribe", value: { roomId: "nowhere" } });
    expect((await anna.ask({ case: "subscribe", value: { roomId: "r1" } })).case).toBe("subscribed");
  });
});

describe("a frame that wants no reply", () => {
  it("is refused in silence, and told to whoever watches the node", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    const refused = core.record("request.refused");
    anna.post(text("nowhere", "k"));
    anna.post({ case: "subscribe", value: { roomId: "nowhere" } });
    anna.post({ case: "subscribe", value: { roomId: "not legal" } });
    anna.post({ case: "typing", value: { roomId: "r1", typing: true } });
    anna.post({ case: undefined });
    await settle();
    expect(anna.cases).toEqual(["welcome"]);
    expect(refused.map(({ operation, code }) => [operation, code]).sort()).toEqual(
      [
        ["publish", ErrorCode.NOT_FOUND],
        ["subscribe", ErrorCode.INVALID_ARGUMENT],
        ["subscribe", ErrorCode.NOT_FOUND],
        ["typing", ErrorCode.NOT_FOUND],
        ["unknown", ErrorCode.UNSUPPORTED],
      ].sort(),
    );
    expect(anna.endedWith).toBeUndefined();
  });

  it("is done in silence, save that a subscription still begins with its outcome", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    const told = anna.cases.length;
    anna.post({ case: "subscribe", value: { roomId: "r1" } });
    anna.post(text("r1", "k"));
    anna.post({ case: "unsubscribe", value: { roomId: "r1" } });
    anna.post({ case: "call", value: { rpc: { case: "getRoom", value: { roomId: "r1" } } } });
    await settle();
    const cases = anna.cases.slice(told);
    expect(cases.filter((name) => name !== "roomEvents")).toEqual(["subscribed"]);
  });
});

describe("frames the server does not know", () => {
  it("are refused as unsupported and leave the session as it is", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    const answer = await anna.ask({ case: undefined });
    expect(answer).toMatchObject({ case: "error", value: { code: ErrorCode.UNSUPPORTED } });
    expect(anna.endedWith).toBeUndefined();
  });
});

describe("a session that has ended", () => {
  it("does nothing that comes after", async () => {
    const core = await useCore();
    const anna = await core.connect("anna");
    const bert = await core.connect("bert");
    await core.room(anna, "r1", "bert");
    await bert.ask({ case: "subscribe", value: { roomId: "r1" } });
    core.verifier.revoke({ tenantId: "acme", subject: { userId: "anna" }, atMs: core.clock.now() });
    expect(anna.endedWith).toBe(CloseCode.REVOKED);
    anna.post(text("r1", "late"));
    anna.post(hello("anna", "phone"));
    anna.connection.drained();
    await settle();
    expect([bert.seqs("r1"), anna.sink.late]).toEqual([[], 0]);
  });
});

describe("a tenant of which something else was said", () => {
  it("has its own lengths of texts and metadata and members of a room, in its sessions and its welcome", async () => {
    const core = await useCore({
      tenants: new Map([["acme", { maxTextBytes: 4, maxMetadataBytes: 10, maxMembersPerRoom: 2 }]]),
    });
    const anna = await core.connect("anna");
    const other = await core.connect("anna", { token: "t" }, { tenantId: "other" });
    expect(anna.last("welcome").limits?.maxTextBytes).toBe(4);
    expect(other.last("welcome").limits?.maxTextBytes).toBe(16 * 1024);
    for (const client of [anna, other]) await core.room(client, "r1", "bert");
    const tooLarge = { value: { code: ErrorCode.TOO_LARGE, details: { limit: "4" } } };
    expect(await anna.ask(text("r1", "k", "12345"))).toMatchObject(tooLarge);
    expect((await anna.ask(text("r1", "k", "1234"))).case).toBe("published");
    expect((await other.ask(text("r1", "k", "12345"))).case).toBe("published");
    const add = (key: string): Parameters<TestClient["ask"]>[0] => ({
      case: "call",
      value: { rpc: { case: "addMembers", value: { roomId: "r1", key, members: [{ userId: "carl" }] } } },
    });
    expect(await anna.ask(add("one"))).toMatchObject({
      value: { code: ErrorCode.LIMIT_EXCEEDED, details: { quota: "members_per_room", limit: "2", current: "2" } },
    });
    expect((await other.ask(add("one"))).case).toBe("callResult");
    // Without a restart.
    core.tenants.replace(new Map());
    expect((await anna.ask(add("two"))).case).toBe("callResult");
  });
});
