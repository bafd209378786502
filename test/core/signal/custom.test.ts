// The application's own signals: to a room's live subscribers, and to a user's sessions.

import { describe, expect, it } from "vitest";
import { NO_LIMIT, ratesWith } from "../../../src/core/limit/rates.js";
import { RoomKind, RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { UNLIMITED_RATES } from "../../support/rates.js";
import { settle, type TestClient, text, useCore } from "../use-core.js";
import { call, heard, outcome, tick, typing } from "./use-signals.js";

const bytes = (data: string) => new Uint8Array(Buffer.from(data));

function toRoom(roomId: string, type: string, data = "") {
  return { case: "sendSignal", value: { target: { case: "roomId", value: roomId }, type, data: bytes(data) } } as const;
}

function toUser(userId: string, type: string, data = "") {
  return { case: "sendSignal", value: { target: { case: "userId", value: userId }, type, data: bytes(data) } } as const;
}

async function useRoom(...settings: Parameters<typeof useCore>) {
  const core = await useCore(...settings);
  const [ada, bob, eve] = [await core.connect("ada"), await core.connect("bob"), await core.connect("eve")];
  await core.room(ada, "r", "bob", "eve");
  await eve.ask({ case: "subscribe", value: { roomId: "r" } });
  return { core, ada, bob, eve };
}

const answer = async (who: TestClient, frame: Parameters<TestClient["ask"]>[0]) => outcome(await who.ask(frame));

describe("a signal to a room", () => {
  it("reaches who is subscribed, with the sender as the session knows them, and takes no place among the events", async () => {
    const { core, ada, bob, eve } = await useRoom();
    expect(await answer(bob, toRoom("r", "cursor", "3,4"))).toBe("done");
    await tick(core);
    expect(heard(eve)).toEqual([["bob@device-of-bob cursor=3,4"]]);
    expect(heard(ada)).toEqual([]);
    expect(eve.seqs("r")).toEqual([]);
    await bob.ask(text("r", "next"));
    expect(eve.seqs("r")).toEqual([2]);
  });

  it("replaces the device's one before of the same type; others are told in the order in which they were sent", async () => {
    const { core, ada, bob, eve } = await useRoom();
    bob.post(toRoom("r", "cursor", "1"));
    bob.post(toRoom("r", "wave"));
    bob.post(toRoom("r", "cursor", "2"));
    await settle();
    await ada.ask(toRoom("r", "cursor", "ada's"));
    await tick(core);
    const bobs = "bob@device-of-bob";
    expect(heard(eve)).toEqual([[`${bobs} wave=`, `${bobs} cursor=2`, "ada@device-of-ada cursor=ada's"]]);
    await tick(core);
    expect(heard(eve)).toHaveLength(1);
  });

  it("keeps what was said though the transport uses its buffer again", async () => {
    const { core, bob, eve } = await useRoom();
    const frame = toRoom("r", "cursor", "before");
    await bob.ask(frame);
    frame.value.data.fill(0);
    await tick(core);
    expect(heard(eve)).toEqual([["bob@device-of-bob cursor=before"]]);
  });

  it("is refused to who is no member or muted, and in archived rooms", async () => {
    const { core, ada, bob } = await useRoom();
    const mallory = await core.connect("mallory");
    expect(await answer(mallory, toRoom("r", "wave"))).toBe(ErrorCode.NOT_A_MEMBER);
    expect(await answer(bob, toRoom("nowhere", "wave"))).toBe(ErrorCode.NOT_FOUND);
    await call(ada, { case: "setMember", value: { roomId: "r", key: "k", userId: "bob", muteForMs: 60_000 } });
    expect(await answer(bob, toRoom("r", "wave"))).toBe(ErrorCode.PERMISSION_DENIED);
    await call(ada, { case: "updateRoom", value: { roomId: "r", key: "a", status: RoomStatus.ARCHIVED } });
    expect(await answer(ada, toRoom("r", "wave"))).toBe(ErrorCode.PERMISSION_DENIED);
  });

  it.for<[string, Parameters<TestClient["ask"]>[0], ErrorCode, string]>([
    ["without a target", { case: "sendSignal", value: { type: "t" } }, ErrorCode.INVALID_ARGUMENT, "send_signal"],
    ["without a room's id", toRoom("", "t"), ErrorCode.INVALID_ARGUMENT, "send_signal.room_id"],
    ["to a user that cannot be", toUser("a b", "t"), ErrorCode.INVALID_ARGUMENT, "send_signal.user_id"],
    ["without a type", toRoom("r", ""), ErrorCode.INVALID_ARGUMENT, "send_signal.type"],
    ["with a type of 65 bytes", toRoom("r", "t".repeat(65)), ErrorCode.INVALID_ARGUMENT, "send_signal.type"],
    ["with 4,097 bytes", toRoom("r", "t", "x".repeat(4_097)), ErrorCode.TOO_LARGE, "send_signal.data"],
  ])("is refused %s", async ([, frame, code, field]) => {
    const { bob } = await useRoom();
    expect(await bob.ask(frame)).toMatchObject({ case: "error", value: { code, field } });
  });

  it("may have a type of 64 bytes and 4 KiB", async () => {
    const { bob } = await useRoom();
    expect(await answer(bob, toRoom("r", "t".repeat(64), "x".repeat(4_096)))).toBe("done");
  });

  it("is one of so many a second of its session, and the refusal says when the next is taken", async () => {
    const { core, ada, bob } = await useRoom({
      limits: { rates: ratesWith({ signal: { session: { perSecond: 10, burst: 2 } } }) },
    });
    const outcomes = [];
    for (const type of ["a", "b", "c"]) outcomes.push(await answer(bob, toRoom("r", type)));
    expect(outcomes).toEqual(["done", "done", ErrorCode.RATE_LIMITED]);
    expect(bob.last("error").retryAfterMs).toBe(100);
    expect(await answer(ada, toRoom("r", "a"))).toBe("done");
    core.clock.advance(100);
    expect(await answer(bob, toRoom("r", "c"))).toBe("done");
  });

  it("that is more than a frame holds follows with the next, and beyond what may wait the oldest are dropped", async () => {
    const { core, bob, eve } = await useRoom({
      limits: { rates: ratesWith({ signal: { session: { perSecond: 0, burst: 0 } } }) },
    });
    for (let n = 0; n < 80; n++) await bob.ask(toRoom("r", `t${n}`, "x".repeat(4_000)));
    for (let n = 0; n < 10; n++) await tick(core);
    const types = heard(eve).flatMap((frame) => frame.map((signal) => signal.split(/[ =]/)[1]));
    expect(types.at(-1)).toBe("t79");
    expect(types).toEqual(Array.from({ length: types.length }, (_, n) => `t${80 - types.length + n}`));
    expect(types.length).toBeGreaterThan(60);
    expect(types.length).toBeLessThan(80);
    expect(heard(eve).length).toBeGreaterThan(3);
  });
});

describe("a signal to a user", () => {
  it("reaches all the user's sessions once, whatever they are subscribed to, and names no room", async () => {
    const { core, bob, eve } = await useRoom();
    const phone = await core.connect("eve", { device: { deviceId: "phone" } });
    // Who reads the inbox hears by two ways what is said to it.
    await phone.ask({ case: "subscribe", value: { roomId: phone.last("welcome").inboxRoomId } });
    expect(await answer(bob, toUser("eve", "ring", "x"))).toBe("done");
    await tick(core);
    for (const session of [eve, phone]) expect(heard(session, "")).toEqual([["bob@device-of-bob ring=x"]]);
    expect(phone.all("signals")).toHaveLength(1);
    expect(heard(bob, "")).toEqual([]);
  });

  it("is refused between users that share no room, in the same words as to one that does not exist", async () => {
    const { core, ada } = await useRoom();
    const mallory = await core.connect("mallory");
    await core.room(mallory, "own");
    const refusal = (await mallory.ask(toUser("ada", "ring"))).value;
    expect(refusal).toMatchObject({ code: ErrorCode.PERMISSION_DENIED });
    expect((await mallory.ask(toUser("nobody", "ring"))).value).toEqual(refusal);
    await tick(core);
    expect(heard(ada, "")).toEqual([]);
  });

  it("is taken from services, and to oneself", async () => {
    const { core, ada } = await useRoom();
    const service = await core.connect("bot", {}, { grants: new Set(["service"]) });
    expect(await answer(service, toUser("ada", "ring"))).toBe("done");
    expect(await answer(ada, toUser("ada", "draft"))).toBe("done");
    await tick(core);
    expect(heard(ada, "")).toEqual([["bot@device-of-bot ring=", "ada@device-of-ada draft="]]);
  });

  it("is refused 10 s after the last common room was left, and taken 1 s after one was joined", async () => {
    const { core, ada, bob } = await useRoom();
    expect(await answer(bob, toUser("ada", "ring"))).toBe("done");
    await call(bob, { case: "leaveRoom", value: { roomId: "r", key: "k" } });
    await core.elapse(10_000);
    expect(await answer(bob, toUser("ada", "ring"))).toBe(ErrorCode.PERMISSION_DENIED);
    await core.room(ada, "again", "bob");
    await core.elapse(1_000);
    expect(await answer(bob, toUser("ada", "ring"))).toBe("done");
  });

  it("is refused where the only common room was deleted", async () => {
    const { ada, bob } = await useRoom();
    await call(ada, { case: "deleteRoom", value: { roomId: "r", key: "k" } });
    expect(await answer(bob, toUser("ada", "ring"))).toBe(ErrorCode.PERMISSION_DENIED);
  });

  it("is taken where the common room is one of many", async () => {
    const core = await useCore({ limits: { rates: UNLIMITED_RATES, frameRate: NO_LIMIT } });
    const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
    for (let n = 0; n < 600; n++) await core.room(ada, `a${n}`);
    await core.room(bob, "b", "ada");
    expect(await answer(ada, toUser("bob", "ring"))).toBe("done");
    expect(await answer(bob, toUser("ada", "ring"))).toBe("done");
  });

  it("is refused for now while the store is away, and taken when it is back", async () => {
    const { core, bob } = await useRoom();
    core.engine.archiveDown = true;
    expect(await answer(bob, toUser("ada", "ring"))).toBe(ErrorCode.UNAVAILABLE);
    core.engine.archiveDown = false;
    expect(await answer(bob, toUser("ada", "ring"))).toBe("done");
  });
});

describe("between users of whom one has blocked the other", () => {
  async function block(who: TestClient, userId: string, blocked = true): Promise<void> {
    await call(who, { case: "blockUser", value: { userId, blocked, key: `block-${userId}-${blocked}` } });
  }

  it("signals to each other are refused, also those of services, until the block is lifted; those to rooms are not", async () => {
    const { core, ada, bob } = await useRoom();
    const service = await core.connect("bot", {}, { grants: new Set(["service"]) });
    await block(ada, "bob");
    await block(ada, "bot");
    expect(await answer(bob, toUser("ada", "ring"))).toBe(ErrorCode.BLOCKED);
    expect(await answer(ada, toUser("bob", "ring"))).toBe(ErrorCode.BLOCKED);
    expect(await answer(service, toUser("ada", "ring"))).toBe(ErrorCode.BLOCKED);
    expect(await answer(bob, toRoom("r", "wave"))).toBe("done");
    await block(ada, "bob", false);
    expect(await answer(bob, toUser("ada", "ring"))).toBe("done");
  });

  it("nobody types in their direct room: not anew, and from the next repeat on not any more", async () => {
    const { core, ada, bob } = await useRoom();
    const made = await ada.ask({
      case: "call",
      value: { rpc: { case: "createRoom", value: { key: "d", kind: RoomKind.DIRECT, members: [{ userId: "bob" }] } } },
    });
    if (made.case !== "callResult" || made.value.rpc.case !== "createRoom") throw new Error("no room was made");
    const roomId = made.value.rpc.value.room?.roomId ?? "";
    await ada.ask({ case: "subscribe", value: { roomId } });
    expect(await answer(bob, typing(roomId, true))).toBe("done");
    await tick(core);
    await block(ada, "bob");
    expect(await answer(ada, typing(roomId, true))).toBe(ErrorCode.BLOCKED);
    await core.elapse(3_000);
    expect(await answer(bob, typing(roomId, true))).toBe(ErrorCode.BLOCKED);
    await tick(core);
    expect(heard(ada, roomId)).toEqual([["bob@device-of-bob types"], ["bob@device-of-bob ends"]]);
    expect(await answer(bob, toRoom(roomId, "wave"))).toBe(ErrorCode.BLOCKED);
  });
});
