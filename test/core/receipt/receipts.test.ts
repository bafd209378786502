// Marks as clients of a session send them: what counts, what is refused, who is told of it and how often.

import { describe, expect, it } from "vitest";
import { Permission, Role, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle, type TestClient, TestCore, text, useCore } from "../use-core.js";
import { Receivers, told, useReceivers } from "./use-receipts.js";

/** The room's summary in the answer to ListRooms. */
async function summary(receivers: Receivers, client: TestClient) {
  const answer = await receivers.call(client, { case: "listRooms", value: {} });
  if (answer.case !== "callResult" || answer.value.rpc.case !== "listRooms") throw new Error("not answered");
  const [room] = answer.value.rpc.value.rooms;
  if (room === undefined) throw new Error("no room is listed");
  return room;
}

/** Who has received and read, as "user delivered/read" in milliseconds. */
async function receipts(receivers: Receivers, client: TestClient, messageId: string, pageToken = "", pageSize = 0) {
  const value = { roomId: "r", messageId, pageToken, pageSize };
  const answer = await receivers.call(client, { case: "getReceipts", value });
  if (answer.case !== "callResult" || answer.value.rpc.case !== "getReceipts") throw new Error(JSON.stringify(answer));
  const ms = (at: { readonly seconds: bigint; readonly nanos: number } | undefined) =>
    at === undefined ? "-" : String(Number(at.seconds) * 1_000 + at.nanos / 1e6);
  return answer.value.rpc.value.receipts.map((each) => `${each.userId} ${ms(each.deliveredAt)}/${ms(each.readAt)}`);
}

function hide(receivers: Receivers, client: TestClient, hidden: boolean) {
  return receivers.call(client, { case: "setReceiptPrivacy", value: { privacy: { hidden } } });
}

describe("a mark", () => {
  it("is answered, and told to everybody who is subscribed", async () => {
    const { receivers, clients } = await useReceivers(["bob", "eve"]);
    const [ada, bob, eve] = clients as [TestClient, TestClient, TestClient];
    const said = await receivers.say(ada);
    expect((await receivers.mark(bob, { delivered: said })).case).toBe("done");
    expect(told(ada)).toEqual([["bob 2/0"]]);
    expect(told(eve)).toEqual([["bob 2/0"]]);
    bob.post({ case: "mark", value: { roomId: "r", read: said } });
    await receivers.core.elapse(2_000);
    expect(told(ada).at(-1)).toEqual(["bob 2/2"]);
    expect(bob.all("done").every(({ replyTo }) => replyTo !== 0)).toBe(true);
  });

  it("of reading is one of delivery too, and neither goes back", async () => {
    const { receivers, clients, core } = await useReceivers(["bob"]);
    const [ada, bob] = clients as [TestClient, TestClient];
    const [first, second] = [await receivers.say(ada), await receivers.say(ada)];
    await receivers.mark(bob, { read: second });
    await core.elapse(2_000);
    expect((await receivers.mark(bob, { delivered: first, read: first })).case).toBe("done");
    await core.elapse(2_000);
    expect(told(ada)).toEqual([["bob 3/3"]]);
    expect((await summary(receivers, bob)).marker).toMatchObject({ deliveredSeq: 3, readSeq: 3, readMessageIndex: 2 });
  });

  it("is told at once, then at most once a second", async () => {
    const { receivers, clients, core } = await useReceivers(["bob"]);
    const [ada, bob] = clients as [TestClient, TestClient];
    const said = [];
    for (let n = 0; n < 20; n++) said.push(await receivers.say(ada));
    for (const place of said.slice(0, 10)) await receivers.mark(bob, { delivered: place });
    expect(told(ada)).toEqual([["bob 2/0"]]);
    await core.elapse(750);
    expect(told(ada)).toEqual([["bob 2/0"]]);
    await core.elapse(500);
    expect(told(ada)).toEqual([["bob 2/0"], ["bob 11/0"]]);
    for (const place of said.slice(10)) await receivers.mark(bob, { delivered: place });
    expect(told(ada)).toHaveLength(2);
    await core.elapse(1_250);
    expect(told(ada).at(-1)).toEqual(["bob 21/0"]);
    await core.elapse(5_000);
    expect(told(ada)).toHaveLength(3);
  });

  it("is told in one frame with those of others who mark in the same moment", async () => {
    const { receivers, clients } = await useReceivers(["bob", "eve"]);
    const [ada, bob, eve] = clients as [TestClient, TestClient, TestClient];
    const { seq, tag } = await receivers.say(ada);
    for (const client of [bob, eve]) client.post({ case: "mark", value: { roomId: "r", delivered: { seq, tag } } });
    await settle();
    expect(told(ada).map((frame) => frame.toSorted())).toEqual([["bob 2/0", "eve 2/0"]]);
  });

  it("is refused beyond the end, of another history, of nothing, and to who may not read", async () => {
    const { receivers, clients, core } = await useReceivers(["bob"]);
    const [ada, bob] = clients as [TestClient, TestClient];
    const said = [await receivers.say(ada), await receivers.say(ada)];
    const last = said[1];
    const refused = { case: "error", value: { code: ErrorCode.INVALID_ARGUMENT } };
    const read = { value: { field: "mark.read" } };
    const beyond = { seq: 4, tag: 1 };
    expect(await receivers.mark(bob, { read: beyond })).toMatchObject(refused);
    expect(await receivers.mark(bob, { delivered: beyond })).toMatchObject({ value: { field: "mark.delivered" } });
    expect(await receivers.mark(bob, { read: { seq: 3, tag: 7 } })).toMatchObject({ ...refused, ...read });
    expect(await receivers.mark(bob, { read: { seq: 2, tag: 7 } })).toMatchObject({ ...refused, ...read });
    expect(await receivers.mark(bob, {})).toMatchObject({ ...refused, value: { field: "mark" } });
    expect(await bob.ask({ case: "mark", value: { roomId: "", read: beyond } })).toMatchObject({
      value: { field: "mark.room_id" },
    });
    const stranger = await core.connect("mallory");
    expect(await receivers.mark(stranger, { read: last ?? {} })).toMatchObject({
      value: { code: ErrorCode.NOT_A_MEMBER },
    });
    const admin = await core.connect("root", {}, { grants: new Set(["admin"]) });
    expect(await receivers.mark(admin, { read: last ?? {} })).toMatchObject({
      value: { code: ErrorCode.NOT_A_MEMBER },
    });
    const mute = { roomId: "r", key: "deny", userId: "bob", overrides: { denied: [Permission.READ] } };
    await receivers.call(ada, { case: "setMember", value: mute });
    expect(await receivers.mark(bob, { read: last ?? {} })).toMatchObject({
      value: { code: ErrorCode.PERMISSION_DENIED },
    });
    await core.elapse(3_000);
    expect(told(ada)).toEqual([]);
  });

  it("counts the messages up to an event that is none", async () => {
    const { receivers, clients } = await useReceivers(["bob"]);
    const [ada, bob] = clients as [TestClient, TestClient];
    const said = [];
    for (let n = 0; n < 5; n++) said.push(await receivers.say(ada));
    const edit = { roomId: "r", messageId: said[1]?.messageId ?? "", key: "e", emoji: "+1", on: true };
    const reacted = await ada.ask({ case: "react", value: edit });
    if (reacted.case !== "changed") throw new Error("not reacted");
    await receivers.say(ada);
    await receivers.mark(bob, { read: reacted.value.position ?? {} });
    expect(await summary(receivers, bob)).toMatchObject({
      unreadCount: 1,
      readSeq: 7,
      marker: { readMessageIndex: 5 },
    });
  });
});

describe("a user's own devices", () => {
  it("follow each other, subscribed or not", async () => {
    const { receivers, clients, core } = await useReceivers(["bob"]);
    const [ada, bob] = clients as [TestClient, TestClient];
    const desk = await core.connect("bob", { device: { deviceId: "desk" } });
    const said = await receivers.say(ada);
    await receivers.mark(bob, { read: said });
    expect(told(desk)).toEqual([["bob 2/2"]]);
  });
});

describe("subscribing", () => {
  it("begins with the user's own marker and those of the others", async () => {
    const { receivers, clients, core } = await useReceivers(["bob", "eve", "zoe"]);
    const [ada, bob, eve, zoe] = clients as [TestClient, TestClient, TestClient, TestClient];
    const said = await receivers.say(ada);
    await receivers.mark(bob, { read: said });
    await receivers.mark(eve, { delivered: said });
    await receivers.mark(zoe, { delivered: said });
    expect(ada.last("subscribed").marker).toBeUndefined();
    expect(ada.last("subscribed").markers).toEqual([]);
    await receivers.call(zoe, { case: "leaveRoom", value: { roomId: "r", key: "go" } });
    const desk = await core.connect("bob", { device: { deviceId: "desk" }, rooms: [{ roomId: "r" }] });
    await settle();
    expect(desk.last("subscribed")).toMatchObject({
      marker: { userId: "bob", deliveredSeq: 2, readSeq: 2, readMessageIndex: 1 },
      markers: [{ userId: "eve", deliveredSeq: 2, readSeq: 0 }],
    });
    // Who comes back has the marker they left with.
    await receivers.call(ada, {
      case: "addMembers",
      value: { roomId: "r", key: "back", members: [{ userId: "zoe" }] },
    });
    const again = await zoe.ask({ case: "subscribe", value: { roomId: "r" } });
    expect(again).toMatchObject({ value: { marker: { userId: "zoe", deliveredSeq: 2 } } });
  });

  it("tells nothing of others to who may not see the members", async () => {
    const { receivers, clients, core } = await useReceivers(["bob"]);
    const [ada, bob] = clients as [TestClient, TestClient];
    const add = { roomId: "r", key: "add", members: [{ userId: "rhea", role: Role.READER }] };
    await receivers.call(ada, { case: "addMembers", value: add });
    const rhea = await core.connect("rhea", { rooms: [{ roomId: "r" }] });
    const said = await receivers.say(ada);
    await receivers.mark(bob, { read: said });
    expect(told(rhea)).toEqual([]);
    const other = await core.connect("rhea", { device: { deviceId: "other" }, rooms: [{ roomId: "r" }] });
    await settle();
    expect(other.last("subscribed").markers).toEqual([]);
    const raise = { roomId: "r", key: "raise", userId: "rhea", role: Role.MEMBER };
    await receivers.call(ada, { case: "setMember", value: raise });
    await core.elapse(2_000);
    await receivers.mark(bob, { read: await receivers.say(ada) });
    expect(told(rhea)).toEqual([["bob 5/5"]]);
    const lower = { roomId: "r", key: "lower", userId: "rhea", role: Role.READER };
    await receivers.call(ada, { case: "setMember", value: lower });
    await core.elapse(2_000);
    await receivers.mark(bob, { read: await receivers.say(ada) });
    expect(told(rhea)).toHaveLength(1);
    expect(told(ada)).toHaveLength(3);
    expect(await receivers.call(rhea, { case: "listMarkers", value: { roomId: "r" } })).toMatchObject({
      value: { code: ErrorCode.PERMISSION_DENIED },
    });
  });
});

describe("a room of more than 100 members", () => {
  async function crowd() {
    const { receivers, clients, core } = await useReceivers(["bob", "eve"]);
    const [ada, bob, eve] = clients as [TestClient, TestClient, TestClient];
    const members = Array.from({ length: 98 }, (_, n) => ({ userId: `crowd-${n}` }));
    await receivers.call(ada, { case: "addMembers", value: { roomId: "r", key: "crowd", members } });
    return { receivers, core, ada, bob, eve };
  }

  it("tells the authors of what was newly covered, and nobody else", async () => {
    const { receivers, core, ada, bob, eve } = await crowd();
    const desk = await core.connect("ada", { device: { deviceId: "desk" } });
    const hers = await receivers.say(ada);
    await receivers.mark(bob, { delivered: hers });
    const end = hers.seq;
    for (const client of [ada, desk]) expect(told(client)).toEqual([[`bob ${end}/0`]]);
    expect(told(eve)).toEqual([]);
    await core.elapse(2_000);
    const eves = await receivers.say(eve);
    await receivers.mark(bob, { delivered: eves });
    expect(told(ada)).toHaveLength(1);
    expect(told(eve)).toEqual([[`bob ${end + 1}/0`]]);
    await core.elapse(2_000);
    await receivers.mark(bob, { read: eves });
    expect(told(ada).at(-1)).toEqual([`bob ${end + 1}/${end + 1}`]);
    const page = await receivers.call(eve, { case: "listMarkers", value: { roomId: "r" } });
    expect(page).toMatchObject({
      value: { rpc: { value: { markers: [{ userId: "bob", readSeq: end + 1 }], nextPageToken: "crowd-97" } } },
    });
    const again = await eve.ask({ case: "subscribe", value: { roomId: "r" } });
    expect(again).toMatchObject({ value: { markers: [] } });
  });

  it("tells authors who have left, or hide their own reading, no more than they may know", async () => {
    const { receivers, core, ada, bob, eve } = await crowd();
    const [hers, eves] = [await receivers.say(ada), await receivers.say(eve)];
    await hide(receivers, ada, true);
    await receivers.call(eve, { case: "leaveRoom", value: { roomId: "r", key: "go" } });
    await receivers.mark(bob, { read: eves });
    expect(told(ada)).toEqual([[`bob ${hers.seq + 1}/0`]]);
    expect(told(eve)).toEqual([]);
    await core.elapse(2_000);
  });
});

describe("hidden reading", () => {
  it("is seen by nobody but the user's own devices, who see nobody's", async () => {
    const { receivers, clients, core } = await useReceivers(["bob", "eve"]);
    const [ada, bob, eve] = clients as [TestClient, TestClient, TestClient];
    const desk = await core.connect("bob", { device: { deviceId: "desk" }, rooms: [{ roomId: "r" }] });
    expect(await hide(receivers, bob, true)).toMatchObject({
      value: { rpc: { value: { privacy: { hidden: true } } } },
    });
    for (const device of [bob, desk]) expect(device.last("receiptPrivacy").hidden).toBe(true);
    const said = await receivers.say(ada);
    await receivers.mark(bob, { read: said });
    await receivers.mark(eve, { read: said });
    expect(told(ada)).toEqual([["bob 2/0"], ["eve 2/2"]]);
    expect(told(desk)).toEqual([["bob 2/2"], ["bob 2/0"], ["eve 2/0"]]);
    const now = core.clock.now();
    expect(await receipts(receivers, ada, said.messageId)).toEqual([`bob ${now}/-`, `eve ${now}/${now}`]);
    expect(await receipts(receivers, bob, said.messageId)).toEqual([`bob ${now}/${now}`, `eve ${now}/-`]);
    const fresh = async (name: string) => {
      const client = await core.connect(name, { device: { deviceId: "fresh" }, rooms: [{ roomId: "r" }] });
      await settle();
      return client.last("subscribed");
    };
    expect(await fresh("bob")).toMatchObject({ marker: { readSeq: 2 }, markers: [{ userId: "eve", readSeq: 0 }] });
    expect((await fresh("ada")).markers.map(({ userId, readSeq }) => `${userId} ${readSeq}`)).toEqual([
      "bob 0",
      "eve 2",
    ]);
    await hide(receivers, bob, false);
    expect(await receivers.call(desk, { case: "getReceiptPrivacy", value: {} })).toMatchObject({
      value: { rpc: { value: { privacy: { hidden: false } } } },
    });
    expect(await receipts(receivers, ada, said.messageId)).toEqual([`bob ${now}/${now}`, `eve ${now}/${now}`]);
    await core.elapse(2_000);
    await receivers.mark(eve, { read: await receivers.say(ada) });
    expect(told(desk).at(-1)).toEqual(["eve 3/3"]);
  });

  it("tells others nothing where only reading went on", async () => {
    const { receivers, clients, core } = await useReceivers(["bob"]);
    const [ada, bob] = clients as [TestClient, TestClient];
    await hide(receivers, bob, true);
    const said = await receivers.say(ada);
    await receivers.mark(bob, { delivered: said });
    await core.elapse(2_000);
    await receivers.mark(bob, { read: said });
    expect(told(ada)).toEqual([["bob 2/0"]]);
  });

  it("needs to be said one way or the other", async () => {
    const { receivers, clients } = await useReceivers([]);
    const [ada] = clients as [TestClient];
    expect(await receivers.call(ada, { case: "setReceiptPrivacy", value: {} })).toMatchObject({
      value: { code: ErrorCode.INVALID_ARGUMENT, field: "privacy" },
    });
  });
});

describe("a block", () => {
  it("keeps from each user of a direct room how far the other is", async () => {
    const core = await useCore();
    const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
    const ask = async (
      client: TestClient,
      value: Extract<Parameters<TestClient["ask"]>[0], { case: "call" }>["value"],
    ) => {
      const answer = await client.ask({ case: "call", value });
      if (answer.case !== "callResult") throw new Error(JSON.stringify(answer.value));
      return answer.value.rpc;
    };
    const direct = { key: "make", kind: RoomKind.DIRECT, members: [{ userId: "bob" }] };
    const made = await ask(ada, { rpc: { case: "createRoom", value: direct } });
    const roomId = made.case === "createRoom" ? (made.value.room?.roomId ?? "") : "";
    const said = await ada.ask(text(roomId, "hello"));
    if (said.case !== "published") throw new Error("not published");
    for (const client of [ada, bob]) await client.ask({ case: "subscribe", value: { roomId } });
    const block = (blocked: boolean) =>
      ask(ada, {
        rpc: { case: "blockUser", value: { userId: "bob", blocked, key: `block ${blocked}`.replace(" ", "-") } },
      });
    await block(true);
    const { position } = said.value;
    expect(await bob.ask({ case: "mark", value: { roomId, read: position ?? {} } })).toMatchObject({ case: "done" });
    expect([told(ada), told(bob)]).toEqual([[], [["bob 2/2"]]]);
    const markers = async () => {
      const again = await ada.ask({ case: "subscribe", value: { roomId } });
      const listed = await ask(ada, { rpc: { case: "listMarkers", value: { roomId } } });
      if (again.case !== "subscribed" || listed.case !== "listMarkers") throw new Error("not answered");
      return [again.value.markers, listed.value.markers].map((each) => each.map(({ userId }) => userId));
    };
    expect(await markers()).toEqual([[], []]);
    await block(false);
    expect(await markers()).toEqual([["bob"], ["bob"]]);
  });
});

describe("receipts of a message", () => {
  it("tell of each member but the sender when it was received and read", async () => {
    const { receivers, clients, core } = await useReceivers(["bob", "eve"]);
    const [ada, bob, eve] = clients as [TestClient, TestClient, TestClient];
    const [first, second] = [await receivers.say(ada), await receivers.say(bob)];
    await receivers.mark(bob, { read: first });
    await core.elapse(5_000);
    await receivers.mark(ada, { delivered: second });
    await core.elapse(5_000);
    await receivers.mark(eve, { read: second });
    expect(await receipts(receivers, ada, first.messageId)).toEqual(["bob 0/0", "eve 10000/10000"]);
    expect(await receipts(receivers, eve, second.messageId)).toEqual(["ada 5000/-", "eve 10000/10000"]);
    expect(await receipts(receivers, eve, first.messageId, "", 2)).toEqual(["bob 0/0"]);
    expect(await receipts(receivers, eve, first.messageId, "bob", 2)).toEqual(["eve 10000/10000"]);
  });

  it("are refused to strangers, and of what is no message", async () => {
    const { receivers, clients, core } = await useReceivers(["bob"]);
    const [ada] = clients as [TestClient];
    const { messageId } = await receivers.say(ada);
    const value = { roomId: "r", messageId };
    const mallory = await core.connect("mallory");
    expect(await receivers.call(mallory, { case: "getReceipts", value })).toMatchObject({
      value: { code: ErrorCode.NOT_A_MEMBER },
    });
    expect(await receivers.call(ada, { case: "getReceipts", value: { ...value, messageId: "none" } })).toMatchObject({
      value: { code: ErrorCode.NOT_FOUND, field: "message_id" },
    });
    expect(await receivers.call(ada, { case: "getReceipts", value: { ...value, pageSize: 501 } })).toMatchObject({
      value: { code: ErrorCode.TOO_LARGE, field: "page_size" },
    });
  });
});

describe("a restart", () => {
  it("takes no marker with it, and after a crash at most those of the last second", async () => {
    const engine = new MemoryEngine();
    // It dies, and is never stopped.
    const core = new TestCore({ engine });
    await core.core.start();
    const receivers = new Receivers(core);
    const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
    await core.room(ada, "r", "bob");
    const [first, second] = [await receivers.say(ada), await receivers.say(ada)];
    await receivers.mark(bob, { read: first });
    await core.elapse(1_500);
    await receivers.mark(bob, { read: second });
    engine.crash();
    const next = await useCore({ engine });
    const back = await next.connect("bob");
    const again = new Receivers(next);
    expect(await summary(again, back)).toMatchObject({ unreadCount: 1, readSeq: 2 });
    expect((await again.mark(back, { read: second })).case).toBe("done");
    await next.core.stop();
    const last = await useCore({ engine });
    const reader = await last.connect("ada");
    expect(await summary(new Receivers(last), await last.connect("bob"))).toMatchObject({ unreadCount: 0, readSeq: 3 });
    expect(await receipts(new Receivers(last), reader, first.messageId)).toEqual(["bob 0/0"]);
  });

  it("keeps trying to store markers while the archive is away, once a second for all", async () => {
    const engine = new MemoryEngine();
    const { receivers, clients, core } = await useReceivers(["bob"], engine);
    const [ada, bob] = clients as [TestClient, TestClient];
    const faults = core.record("fault");
    const said = await receivers.say(ada);
    await receivers.mark(bob, { read: said });
    engine.archiveDown = true;
    await core.elapse(3_250);
    expect(faults.filter(({ where }) => where === "storing markers").length).toBeGreaterThan(1);
    engine.archiveDown = false;
    await core.elapse(1_500);
    engine.crash();
    const next = await useCore({ engine });
    expect(await summary(new Receivers(next), await next.connect("bob"))).toMatchObject({ readSeq: 2 });
  });

  it("leaves no timer behind", async () => {
    const { receivers, clients, core } = await useReceivers(["bob"]);
    const [ada, bob] = clients as [TestClient, TestClient];
    for (const place of [await receivers.say(ada), await receivers.say(ada)])
      await receivers.mark(bob, { read: place });
    await core.core.stop();
    expect(core.clock.pending).toBe(0);
  });
});
