// Who is in a room where the application keeps the memberships, through the session port.

import { describe, expect, test } from "vitest";
import type { AccessHookRules } from "../../../src/core/hook/rules.js";
import { Permission, Role, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { UnsubscribeReason } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { identity, settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";
import { ScriptedAccessHook } from "./scripted-access-hook.js";
import { ALLOW, ScriptedPublishHook } from "./scripted-publish-hook.js";

const AWAY = new TrunklineError(ErrorCode.UNAVAILABLE, "the access hook did not answer", { retryAfterMs: 700 });
const DENIED = { case: "error", value: { code: ErrorCode.PERMISSION_DENIED, details: { refused_by: "access_hook" } } };

interface Used {
  readonly test: TestCore;
  readonly hook: ScriptedAccessHook;
  /** Owns the room "room", as a token with the grant `admin`: the hook is not asked about her. */
  readonly admin: TestClient;
}

async function useHook(differing: Partial<AccessHookRules> = {}, kind = RoomKind.GROUP): Promise<Used> {
  const hook = new ScriptedAccessHook();
  const test = await useCore({ accessHook: hook.rules(differing) });
  const admin = await test.connect("admin", {}, { grants: new Set(["admin"]) });
  await admin.ask({
    case: "call",
    value: { rpc: { case: "createRoom", value: { roomId: "room", key: "make", kind } } },
  });
  return { test, hook, admin };
}

const subscribe = { case: "subscribe" as const, value: { roomId: "room" } };
const getRoom = { case: "call" as const, value: { rpc: { case: "getRoom" as const, value: { roomId: "room" } } } };

function call(rpc: Extract<Parameters<TestClient["ask"]>[0], { case: "call" }>["value"]["rpc"]) {
  return { case: "call" as const, value: { rpc } };
}

/** Removes them from the room, as the application does. */
function kick(admin: TestClient, userId: string, key = "kick") {
  return admin.ask(call({ case: "removeMember", value: { roomId: "room", userId, key } }));
}

/** Who is in the room, and as what. */
async function members({ admin }: Pick<Used, "admin">): Promise<string[]> {
  const answer = await admin.ask(call({ case: "listMembers", value: { roomId: "room" } }));
  const list =
    answer.case === "callResult" && answer.value.rpc.case === "listMembers" ? answer.value.rpc.value : undefined;
  return list?.members.map(({ userId, role }) => `${userId} ${Role[role]}`) ?? [];
}

describe("somebody whom the hook lets in", () => {
  test("subscribes and publishes without having been added, and is a member from then on", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room");
    await admin.ask(subscribe);
    const ann = await test.connect("ann");
    expect(await ann.ask(subscribe)).toMatchObject({ case: "subscribed", value: { member: { role: Role.MEMBER } } });
    expect(await ann.ask(text("room", "m1", "hello"))).toMatchObject({ case: "published" });
    expect(hook.asked).toEqual(["ann room READ", "ann room PUBLISH"]);
    expect(await members({ admin })).toEqual(["admin OWNER", "ann MEMBER"]);
    const events = admin.all("roomEvents").flatMap(({ value }) => value.events);
    expect(events.map(({ kind, actor }) => [kind.case, actor?.userId])).toEqual([
      ["memberJoined", "ann"],
      ["messageCreated", "ann"],
    ]);
  });

  test("may begin by publishing", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    const ann = await test.connect("ann");
    expect(await ann.ask(text("room", "m1"))).toMatchObject({ case: "published", value: { position: { seq: 3 } } });
    expect(hook.asked).toEqual(["ann room READ", "ann room PUBLISH"]);
  });

  test("joins a room that is otherwise joined by invitation", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    const ann = await test.connect("ann");
    const joined = await ann.ask(call({ case: "joinRoom", value: { roomId: "room", key: "j" } }));
    expect(joined).toMatchObject({
      case: "callResult",
      value: { rpc: { value: { member: { userId: "ann" }, position: { seq: 2 } } } },
    });
  });

  test("gets the role that it says, and another when it says another", async () => {
    const { test, hook, admin } = await useHook({}, RoomKind.CHANNEL);
    hook.put("ann", "room").put("bob", "room", Role.MEMBER);
    hook.ttlMs = 0;
    const ann = await test.connect("ann");
    const bob = await test.connect("bob");
    await ann.ask(subscribe);
    await bob.ask(subscribe);
    expect(await members({ admin })).toEqual(["admin OWNER", "ann READER", "bob MEMBER"]);
    expect(await ann.ask(text("room", "m1"))).toMatchObject({ value: { code: ErrorCode.PERMISSION_DENIED } });
    expect(await bob.ask(text("room", "m1"))).toMatchObject({ case: "published" });
    hook.put("ann", "room", Role.ADMIN);
    await ann.ask(getRoom);
    expect(await members({ admin })).toContain("ann ADMIN");
  });

  test("is asked about once however much they ask for at once, and not again while the answer holds", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 10_000;
    const ann = await test.connect("ann");
    for (const frame of [subscribe, getRoom]) ann.send(frame);
    const laptop = await test.connect("ann", { device: { deviceId: "laptop" } });
    laptop.send(subscribe);
    await settle();
    for (const key of ["a", "b"]) await ann.ask(text("room", key));
    expect(hook.asked).toEqual(["ann room READ", "ann room PUBLISH"]);
    await test.elapse(11_000);
    hook.asked.length = 0;
    await ann.ask(text("room", "c"));
    expect(hook.asked).toEqual(["ann room PUBLISH"]);
  });

  test("is not let in over a ban", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room");
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    await admin.ask(call({ case: "removeMember", value: { roomId: "room", userId: "ann", key: "ban", ban: true } }));
    hook.asked.length = 0;
    expect(await ann.ask(subscribe)).toMatchObject({ value: { code: ErrorCode.NOT_A_MEMBER } });
    expect(hook.asked).toEqual([]);
  });
});

describe("somebody whom the hook does not let in", () => {
  test("is refused whatever they ask for, and is asked about once while the denial holds", async () => {
    const { test, hook, admin } = await useHook();
    const eve = await test.connect("eve");
    const joining = call({ case: "joinRoom", value: { roomId: "room", key: "j" } });
    const history = call({ case: "getHistory", value: { roomId: "room" } });
    for (const frame of [subscribe, text("room", "m1"), getRoom, joining, history]) {
      expect(await eve.ask(frame)).toMatchObject(DENIED);
    }
    expect(await eve.ask({ case: "typing", value: { roomId: "room", typing: true } })).toMatchObject(DENIED);
    const watch = { roomIds: ["room"] };
    expect(await eve.ask({ case: "watchPresence", value: watch })).toMatchObject({ case: "error" });
    expect(hook.asked).toEqual(["eve room READ"]);
    expect(await members({ admin })).toEqual(["admin OWNER"]);
  });

  test("is not asked about in a room that is not there", async () => {
    const { test, hook } = await useHook();
    const eve = await test.connect("eve");
    expect(await eve.ask(text("nowhere", "m"))).toMatchObject({ value: { code: ErrorCode.NOT_FOUND } });
    expect(hook.asked).toEqual([]);
  });

  test("though a member, is one no longer: reading ends, and the room knows", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 0;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    hook.remove("ann", "room");
    expect(await ann.ask(getRoom)).toMatchObject(DENIED);
    expect(ann.last("unsubscribed")).toMatchObject({ roomId: "room", reason: UnsubscribeReason.ACCESS_LOST });
    expect(await members({ admin })).toEqual(["admin OWNER"]);
  });

  test("does not see the room in a list of theirs", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 0;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    const list = call({ case: "listRooms", value: {} });
    expect(await ann.ask(list)).toMatchObject({ value: { rpc: { value: { rooms: [{ room: { roomId: "room" } }] } } } });
    hook.remove("ann", "room");
    expect(await ann.ask(list)).toMatchObject({ value: { rpc: { value: { rooms: [] } } } });
  });
});

describe("a right that the hook takes away", () => {
  test("is refused, and the member stays", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room");
    hook.deny("ann", "room", Permission.PUBLISH);
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    expect(await ann.ask(text("room", "m1"))).toMatchObject({
      case: "error",
      value: {
        code: ErrorCode.PERMISSION_DENIED,
        message: "the application denies you this",
        details: { refused_by: "access_hook", permission: "PUBLISH" },
      },
    });
    expect(ann.all("unsubscribed")).toEqual([]);
    expect(await members({ admin })).toContain("ann MEMBER");
  });

  test("is not given where the role lacks it", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    const ann = await test.connect("ann");
    const update = call({ case: "updateRoom", value: { roomId: "room", key: "u", name: "mine" } });
    expect(await ann.ask(update)).toMatchObject({
      value: { code: ErrorCode.PERMISSION_DENIED, details: { permission: "UPDATE_ROOM" } },
    });
    expect(hook.asked).toContain("ann room UPDATE_ROOM");
  });

  test("is asked for by whose message it is that is to be changed", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room", Role.ADMIN);
    const ann = await test.connect("ann");
    const own = await ann.ask(text("room", "m1"));
    const others = await admin.ask(text("room", "m2"));
    for (const [index, answer] of [own, others].entries()) {
      const messageId = answer.case === "published" ? answer.value.messageId : "";
      const body = { kind: { case: "text" as const, value: "better" } };
      await ann.ask({ case: "editMessage", value: { roomId: "room", messageId, key: `e${index}`, body } });
      await ann.ask({ case: "deleteMessage", value: { roomId: "room", messageId, key: `d${index}` } });
    }
    expect(hook.asked.slice(2)).toEqual([
      "ann room EDIT_OWN",
      "ann room DELETE_OWN",
      "ann room EDIT_ANY",
      "ann room DELETE_ANY",
    ]);
  });
});

describe("a repeat", () => {
  test("of what was done while it was asked about is answered though the hook denies it", async () => {
    const access = new ScriptedAccessHook().put("ann", "room");
    access.ttlMs = 0;
    const publish = new ScriptedPublishHook();
    const test = await useCore({ accessHook: access.rules(), publishHook: publish.rules() });
    const ann = await test.connect("ann");
    await test.room(ann, "room");
    const first = ann.send(text("room", "m1"));
    await settle();
    access.remove("ann", "room");
    access.holding = true;
    const laptop = await test.connect("ann", { device: { deviceId: "laptop" } });
    const again = laptop.send({ case: "publish", value: { ...text("room", "m1").value, attempt: 2 } });
    await settle();
    publish.answer(0, ALLOW);
    await settle();
    access.release();
    await settle();
    expect(ann.reply(first)).toMatchObject({ case: "published", value: { duplicate: false } });
    expect(laptop.reply(again)).toMatchObject({ case: "published", value: { duplicate: true } });
  });

  test("of what was done is answered though the hook would deny it now", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 0;
    const ann = await test.connect("ann");
    await ann.ask(text("room", "m1"));
    hook.remove("ann", "room");
    const again = await ann.ask({ case: "publish", value: { ...text("room", "m1").value, attempt: 2 } });
    expect(again).toMatchObject({ case: "published", value: { duplicate: true } });
  });
});

test("a repeat of what was stored while it was asked about is answered as one, and the publish hook is not asked", async () => {
  const access = new ScriptedAccessHook().put("ann", "room");
  access.ttlMs = 0;
  const publish = new ScriptedPublishHook();
  const test = await useCore({ accessHook: access.rules(), publishHook: publish.rules() });
  const ann = await test.connect("ann");
  await test.room(ann, "room");
  ann.send(text("room", "m1"));
  await settle();
  publish.answer(0, ALLOW);
  await settle();
  const body = { kind: { case: "text" as const, value: "better" } };
  const { messageId } = ann.last("published");
  const edit = { roomId: "room", messageId, key: "e1", body, baseVersion: 1 };
  ann.send({ case: "editMessage", value: edit });
  await settle();
  access.holding = true;
  const laptop = await test.connect("ann", { device: { deviceId: "laptop" } });
  const again = laptop.send({ case: "editMessage", value: { ...edit, attempt: 2 } });
  await settle();
  publish.answer(1, ALLOW);
  await settle();
  access.release();
  await settle();
  expect(laptop.reply(again)).toMatchObject({ case: "changed", value: { version: 2, duplicate: true } });
  expect(publish.asked).toHaveLength(2);
});

describe("somebody who reads live", () => {
  test("is asked about before the allow runs out, again and again, and reads on", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 20_000;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    await test.elapse(14_000);
    expect(hook.asked).toEqual(["ann room READ"]);
    await test.elapse(2_000);
    expect(hook.asked).toEqual(["ann room READ", "ann room READ"]);
    await test.elapse(16_000);
    expect(hook.asked).toHaveLength(3);
    await admin.ask(text("room", "m1"));
    await test.elapse(100);
    expect(ann.seqs("room")).toContain(3);
  });

  test("loses the room when it is denied then, before whatever is said after that", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 20_000;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    hook.remove("ann", "room");
    await test.elapse(16_000);
    expect(ann.last("unsubscribed")).toMatchObject({ roomId: "room", reason: UnsubscribeReason.ACCESS_LOST });
    await admin.ask(text("room", "m1", "unheard"));
    await test.elapse(100);
    expect(ann.seqs("room")).toEqual([3]);
    expect(ann.all("roomEvents").at(-1)?.value.events).toMatchObject([{ kind: { case: "memberLeft" } }]);
    expect(await ann.ask(subscribe)).toMatchObject(DENIED);
  });

  test("is asked about once for all sessions of theirs", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 20_000;
    for (const deviceId of ["phone", "laptop", "tablet"]) {
      await (await test.connect("ann", { device: { deviceId } })).ask(subscribe);
    }
    expect(hook.asked).toHaveLength(1);
    await test.elapse(16_000);
    expect(hook.asked).toHaveLength(2);
  });

  test("is asked about at most once a second, however short the allow", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 1;
    await (await test.connect("ann")).ask(subscribe);
    await test.elapse(10_000);
    expect(hook.asked.length).toBeGreaterThanOrEqual(5);
    expect(hook.asked.length).toBeLessThanOrEqual(11);
  });

  test("is not asked about any more once they have unsubscribed, or are gone", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    hook.put("bob", "room");
    hook.ttlMs = 4_000;
    const ann = await test.connect("ann");
    const bob = await test.connect("bob");
    for (const client of [ann, bob]) await client.ask(subscribe);
    await ann.ask({ case: "unsubscribe", value: { roomId: "room" } });
    bob.connection.gone(true);
    hook.asked.length = 0;
    await test.elapse(20_000);
    expect(hook.asked).toEqual([]);
  });

  test("is not asked about any more once their token has a grant", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 4_000;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    test.verifier.answer("better", identity("ann", { grants: new Set(["admin"]) }));
    await ann.ask({ case: "refreshToken", value: { token: "better" } });
    hook.remove("ann", "room");
    await test.elapse(10_000);
    expect(hook.asked).toEqual(["ann room READ"]);
    expect(await members({ admin })).toContain("ann MEMBER");
    // And is again when it has none.
    await ann.ask({ case: "refreshToken", value: { token: "ann" } });
    expect(ann.last("unsubscribed")).toMatchObject({ reason: UnsubscribeReason.ACCESS_LOST });
  });

  test("reads on while the hook is briefly away", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 20_000;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    await test.elapse(14_000);
    hook.failing = AWAY;
    await test.elapse(3_000);
    hook.failing = undefined;
    await test.elapse(10_000);
    expect(ann.all("unsubscribed")).toEqual([]);
  });

  test("closed: is told to come back when the allow has run out without an answer", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 20_000;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    hook.failing = AWAY;
    await test.elapse(19_000);
    expect(ann.all("unsubscribed")).toEqual([]);
    await test.elapse(3_000);
    expect(ann.last("unsubscribed")).toMatchObject({ roomId: "room", reason: UnsubscribeReason.UNAVAILABLE });
    expect(ann.endedWith).toBeUndefined();
    // Still a member: nobody has said otherwise.
    expect(await members({ admin })).toContain("ann MEMBER");
    expect(await ann.ask(subscribe)).toMatchObject({
      case: "error",
      value: { code: ErrorCode.UNAVAILABLE, retryAfterMs: 700 },
    });
    hook.failing = undefined;
    expect(await ann.ask(subscribe)).toMatchObject({ case: "subscribed" });
  });

  test("open: reads on until there is an answer", async () => {
    const { test, hook } = await useHook({ failure: "open" });
    hook.put("ann", "room");
    hook.ttlMs = 20_000;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    hook.failing = AWAY;
    await test.elapse(30_000);
    expect(ann.all("unsubscribed")).toEqual([]);
    expect(await ann.ask(text("room", "m1"))).toMatchObject({ case: "published" });
    hook.failing = undefined;
    hook.remove("ann", "room");
    await test.elapse(6_000);
    expect(ann.last("unsubscribed")).toMatchObject({ reason: UnsubscribeReason.ACCESS_LOST });
  });
});

describe("without an answer", () => {
  test("nobody is let in, open or closed", async () => {
    for (const failure of ["open", "closed"] as const) {
      const { test, hook, admin } = await useHook({ failure });
      hook.failing = AWAY;
      const ann = await test.connect("ann");
      const refusal = { case: "error", value: { code: ErrorCode.UNAVAILABLE, retryable: true, retryAfterMs: 700 } };
      expect(await ann.ask(subscribe)).toMatchObject(refusal);
      expect(await ann.ask(text("room", "m1"))).toMatchObject(refusal);
      expect(await members({ admin })).toEqual(["admin OWNER"]);
    }
  });

  test("closed: a member is refused for now", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 0;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    hook.failing = new TypeError("a bug of the hook");
    const failed = test.record("hook.failed");
    expect(await ann.ask(text("room", "m1"))).toMatchObject({ case: "error", value: { code: ErrorCode.UNAVAILABLE } });
    expect(failed).toMatchObject([{ hook: "access", fault: "no-answer", letThrough: false }]);
  });
});

describe("somebody who is taken out", () => {
  test("comes back in only by an answer from after that", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room");
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    // The application changes its mind, and says so at once instead of waiting for the allow to run out.
    hook.remove("ann", "room");
    await kick(admin, "ann");
    expect(ann.last("unsubscribed")).toMatchObject({ reason: UnsubscribeReason.ACCESS_LOST });
    expect(await ann.ask(text("room", "m1"))).toMatchObject(DENIED);
    expect(await members({ admin })).toEqual(["admin OWNER"]);
  });

  test("is not let in by an answer about the member that they were", async () => {
    const { test, hook, admin } = await useHook();
    hook.put("ann", "room", Role.MEMBER);
    hook.ttlMs = 4_000;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    hook.holding = true;
    await test.elapse(4_000);
    expect(hook.asked).toHaveLength(2);
    hook.remove("ann", "room");
    await kick(admin, "ann");
    const ref = ann.send(getRoom);
    await settle();
    // The old question's answer, an allow, and the new one's, a denial.
    hook.release();
    await settle();
    expect(ann.reply(ref)).toMatchObject(DENIED);
    expect(await members({ admin })).toEqual(["admin OWNER"]);
  });

  test("may come back when the application says so", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    hook.ttlMs = 2_000;
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    hook.remove("ann", "room");
    await test.elapse(3_000);
    expect(await ann.ask(subscribe)).toMatchObject(DENIED);
    hook.put("ann", "room");
    await test.elapse(2_000);
    expect(await ann.ask(subscribe)).toMatchObject({ case: "subscribed" });
  });
});

describe("where it has no say, the hook is not asked", () => {
  test("about administrators, services, direct rooms, inboxes, other kinds and other tenants", async () => {
    for (const rules of [{ roomKinds: new Set([RoomKind.CHANNEL]) }, { tenants: new Set(["other"]) }, {}]) {
      const { test, hook, admin } = await useHook(rules);
      const ann = await test.connect("ann");
      const bot = await test.connect("bot", {}, { grants: new Set(["service"]) });
      if (Object.keys(rules).length > 0) await test.room(ann, "own");
      const make = { kind: RoomKind.DIRECT, members: [{ userId: "bob" }], key: "dm" };
      const direct = await ann.ask(call({ case: "createRoom", value: make }));
      const roomId =
        direct.case === "callResult" && direct.value.rpc.case === "createRoom"
          ? (direct.value.rpc.value.room?.roomId ?? "")
          : "";
      expect(await ann.ask(text(roomId, "m1"))).toMatchObject({ case: "published" });
      const { inboxRoomId } = ann.last("welcome");
      expect(await ann.ask({ case: "subscribe", value: { roomId: inboxRoomId } })).toMatchObject({
        case: "subscribed",
      });
      for (const client of [admin, bot]) {
        expect(await client.ask(subscribe)).toMatchObject({ case: "subscribed" });
        expect(await client.ask(text("room", "m1"))).toMatchObject({ case: "published" });
      }
      expect(hook.asked).toEqual([]);
    }
  });

  test("about leaving", async () => {
    const { test, hook } = await useHook();
    hook.put("ann", "room");
    const ann = await test.connect("ann");
    await ann.ask(subscribe);
    hook.asked.length = 0;
    expect(await ann.ask(call({ case: "leaveRoom", value: { roomId: "room", key: "l" } }))).toMatchObject({
      case: "callResult",
    });
    expect(hook.asked).toEqual([]);
  });
});
