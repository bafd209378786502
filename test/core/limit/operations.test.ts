// Every operation has its buckets, whichever way it comes in.

import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { NO_LIMIT, type OperationClass, type Scope, type ScopedRates } from "../../../src/core/limit/rates.js";
import { SendToRoomRequestSchema, SignalRequestSchema } from "../../../src/gen/trunkline/v1/delivery_pb.js";
import { GetPresenceRequestSchema, WatchPresenceRequestSchema } from "../../../src/gen/trunkline/v1/presence_pb.js";
import { GetRoomRequestSchema } from "../../../src/gen/trunkline/v1/room_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { UNLIMITED_RATES } from "../../support/rates.js";
import { service } from "../delivery/use-delivery.js";
import { identity, settle, type TestClient, text, useCore } from "../use-core.js";

type Frame = Parameters<TestClient["ask"]>[0];

const call = (rpc: NonNullable<Extract<Frame, { case: "call" }>["value"]["rpc"]>): Frame => {
  return { case: "call", value: { rpc } };
};
const place = { seq: 1, tag: 0 };

/** One of each kind of frame, and what it is limited as. */
const FRAMES: readonly (readonly [OperationClass, string, Frame])[] = [
  ["publish", "publish", text("r1", "k")],
  [
    "publish",
    "a forward",
    { case: "publish", value: { roomId: "r1", clientMessageId: "f", forward: { roomId: "r1", messageId: "m" } } },
  ],
  [
    "edit",
    "editMessage",
    {
      case: "editMessage",
      value: { roomId: "r1", messageId: "m", key: "k", body: { kind: { case: "text", value: "t" } } },
    },
  ],
  ["edit", "deleteMessage", { case: "deleteMessage", value: { roomId: "r1", messageId: "m", key: "k" } }],
  ["edit", "react", { case: "react", value: { roomId: "r1", messageId: "m", key: "k", emoji: "👍", on: true } }],
  ["edit", "pinMessage", call({ case: "pinMessage", value: { roomId: "r1", messageId: "m", key: "k", pinned: true } })],
  ["mark", "mark", { case: "mark", value: { roomId: "r1", read: place } }],
  ["typing", "typing", { case: "typing", value: { roomId: "r1", typing: true } }],
  ["typing", "the end of typing", { case: "typing", value: { roomId: "r1", typing: false } }],
  ["signal", "sendSignal", { case: "sendSignal", value: { target: { case: "roomId", value: "r1" }, type: "t" } }],
  ["presence", "setPresence", { case: "setPresence", value: { status: 1 } }],
  ["presence", "watchPresence", { case: "watchPresence", value: { userIds: ["anna"] } }],
  ["read", "subscribe", { case: "subscribe", value: { roomId: "r1" } }],
  ["read", "getHistory", call({ case: "getHistory", value: { roomId: "r1" } })],
  ["read", "listRooms", call({ case: "listRooms", value: {} })],
  ["administer", "joinRoom", call({ case: "joinRoom", value: { roomId: "r1", key: "j" } })],
  ["administer", "updateRoom", call({ case: "updateRoom", value: { roomId: "r1", key: "u", name: "n" } })],
  ["settings", "blockUser", call({ case: "blockUser", value: { userId: "carl", key: "b", blocked: true } })],
  ["settings", "refreshToken", { case: "refreshToken", value: { token: "anna" } }],
];

const ONE = { perSecond: 1, burst: 1 };

function limited(of: OperationClass, scope: Scope) {
  const rates: ScopedRates = { ...UNLIMITED_RATES[of], [scope]: ONE };
  return { limits: { rates: { ...UNLIMITED_RATES, [of]: rates }, frameRate: NO_LIMIT } };
}

describe.each(["session", "user", "tenant"] as const)("a frame is refused by the bucket of its %s", (scope) => {
  it.each(FRAMES)("as %s: %s", async (of, _, frame) => {
    const core = await useCore();
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    // From here on: the room is not to be paid for.
    core.tenants.replace(new Map([["acme", { rates: limited(of, scope).limits.rates }]]));
    const refused = core.record("limit.refused");
    await anna.ask(frame);
    expect(refused).toEqual([]);
    expect(await anna.ask(frame)).toMatchObject({
      case: "error",
      value: { code: ErrorCode.RATE_LIMITED, retryAfterMs: 1_000, details: { bucket: `${scope}.${of}` } },
    });
    expect(refused).toEqual([{ scope, operation: of }]);
  });
});

describe("a frame that belongs to no class", () => {
  it.each([
    ["ping", { case: "ping", value: { id: 1 } }],
    ["unsubscribe", { case: "unsubscribe", value: { roomId: "r1" } }],
  ] as const)("is not limited but as a frame: %s", async (_, frame: Frame) => {
    const rates = Object.fromEntries(FRAMES.map(([of]) => [of, { session: ONE, user: ONE, tenant: ONE }]));
    const core = await useCore();
    const anna = await core.connect("anna");
    core.tenants.replace(new Map([["acme", { rates }]]));
    for (let count = 0; count < 5; count++) expect((await anna.ask(frame)).case).not.toBe("error");
  });
});

describe("calls without a session", () => {
  const caller = { identity: identity("anna"), deviceId: "" };
  const bot = service();
  const NEVER = new AbortController().signal;

  it("take from the same buckets of user and tenant as the user's sessions", async () => {
    const core = await useCore(limited("read", "user"));
    const anna = await core.connect("anna");
    const value = create(GetRoomRequestSchema, { roomId: "r1" });
    await expect(core.core.rooms.call(caller, { case: "getRoom", value })).rejects.toMatchObject({
      code: ErrorCode.NOT_FOUND,
    });
    expect(await anna.ask({ case: "subscribe", value: { roomId: "r1" } })).toMatchObject({
      value: { code: ErrorCode.RATE_LIMITED, details: { bucket: "user.read" } },
    });
    await expect(core.core.rooms.call(caller, { case: "getRoom", value })).rejects.toMatchObject({
      code: ErrorCode.RATE_LIMITED,
      details: { bucket: "user.read" },
    });
  });

  it("of services count as service calls, streams when they are opened", async () => {
    const { core, telemetry } = await useCore(limited("service", "tenant"));
    const refusal = { code: ErrorCode.RATE_LIMITED, details: { bucket: "tenant.service" } };
    await core.presence.getPresence(bot, create(GetPresenceRequestSchema, { userIds: ["anna"] }));
    let told = 0;
    telemetry.on("limit.refused", () => told++);
    const sent = create(SendToRoomRequestSchema, { roomId: "r1", key: "k" });
    await expect(core.delivery.sendToRoom(bot, sent)).rejects.toMatchObject(refusal);
    await expect(core.delivery.signal(bot, create(SignalRequestSchema))).rejects.toMatchObject(refusal);
    const watched = core.presence.watchPresence(bot, create(WatchPresenceRequestSchema), NEVER);
    await expect(watched[Symbol.asyncIterator]().next()).rejects.toMatchObject(refusal);
    expect(told).toBe(3);
  });

  it("that a room's bucket refuses cost the caller nothing", async () => {
    const rates = {
      ...UNLIMITED_RATES,
      publish: { ...UNLIMITED_RATES.publish, room: { perSecond: 1, burst: 1 } },
      service: { ...UNLIMITED_RATES.service, user: { perSecond: 1, burst: 2 } },
    };
    const core = await useCore({ limits: { rates } });
    await core.room(await core.connect("anna"), "r1");
    const send = (key: string) =>
      core.core.delivery.sendToRoom(
        bot,
        create(SendToRoomRequestSchema, { roomId: "r1", key, body: { kind: { case: "text", value: "t" } } }),
      );
    await send("a");
    for (let count = 0; count < 5; count++) {
      await expect(send("b")).rejects.toMatchObject({ retryAfterMs: 1_000, details: { bucket: "room.publish" } });
    }
    core.clock.advance(1_000);
    expect(await send("b")).toMatchObject({ duplicate: false });
  });
});

describe("a room's bucket", () => {
  it.each(FRAMES.filter(([of]) => of === "edit" || of === "administer"))(
    "is not taken from by whoever may not, nor where nothing changes: %s, %s",
    async (of, _, frame) => {
      const core = await useCore(limited(of, "room"));
      const anna = await core.connect("anna");
      const eve = await core.connect("eve");
      await core.room(anna, "r1");
      core.clock.advance(60_000);
      const refused = core.record("limit.refused");
      for (let count = 0; count < 5; count++) await eve.ask(frame);
      expect(refused).toEqual([]);
    },
  );

  it("holds for all users together, and a refusal takes nothing of the session's", async () => {
    const rates = {
      ...UNLIMITED_RATES,
      publish: { ...UNLIMITED_RATES.publish, room: ONE, session: { perSecond: 1, burst: 2 } },
    };
    const core = await useCore({ limits: { rates } });
    const anna = await core.connect("anna");
    const bert = await core.connect("bert");
    await core.room(anna, "r1", "bert");
    await core.room(anna, "r2", "bert");
    expect((await anna.ask(text("r1", "a"))).case).toBe("published");
    for (let count = 0; count < 4; count++) {
      expect(await bert.ask(text("r1", "b"))).toMatchObject({ value: { details: { bucket: "room.publish" } } });
    }
    // Both of the session's own are there still.
    expect((await bert.ask(text("r2", "c"))).case).toBe("published");
    core.clock.advance(999);
    expect((await bert.ask(text("r1", "b"))).case).toBe("error");
    core.clock.advance(1);
    expect((await bert.ask(text("r1", "b"))).case).toBe("published");
  });

  it("limits the application's signals", async () => {
    const core = await useCore(limited("signal", "room"));
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    const frame: Frame = { case: "sendSignal", value: { target: { case: "roomId", value: "r1" }, type: "t" } };
    expect((await anna.ask(frame)).case).toBe("done");
    expect(await anna.ask(frame)).toMatchObject({ value: { details: { bucket: "room.signal" } } });
  });

  it("does not hold up what the system does by itself", async () => {
    const core = await useCore(limited("edit", "room"));
    const anna = await core.connect("anna");
    await core.room(anna, "r1");
    await anna.ask({ case: "subscribe", value: { roomId: "r1" } });
    for (const key of ["a", "b", "c"]) {
      const { value } = text("r1", key);
      await anna.ask({ case: "publish", value: { ...value, expiresAfterMs: 1_000 } });
    }
    await core.elapse(10_000);
    await settle();
    const deleted = anna
      .all("roomEvents")
      .flatMap(({ value }) => value.events.filter(({ kind }) => kind.case === "messageDeleted"));
    expect(deleted).toHaveLength(3);
  });
});

describe("a session that draws refusals and goes on", () => {
  it("is told of to whoever watches the node", async () => {
    const { limits } = limited("publish", "session");
    const core = await useCore({ limits: { ...limits, refusalRate: { perSecond: 1, burst: 3 } } });
    const anna = await core.connect("anna");
    const abusive = core.record("session.abusive");
    for (let key = 0; key < 5; key++) anna.send(text("r1", `k${key}`));
    await settle();
    expect(abusive).toMatchObject([{ tenantId: "acme", userId: "anna" }]);
    expect(anna.endedWith).toBe(4102);
  });
});
