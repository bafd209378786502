// Reading a room under another: who may is said by the root's events, whatever order or loss they are announced with.

import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { MentionSchema, Permission } from "../../../src/gen/trunkline/v1/message_pb.js";
import { type Subscribed, UnsubscribeReason } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { heard, tick, typing } from "../signal/use-signals.js";
import { type CoreOptions, settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";
import { call, openInbox, told } from "../user/use-inbox.js";

const CORNER = "lobby~corner";

interface Corner {
  readonly core: TestCore;
  readonly ada: TestClient;
  readonly bob: TestClient;
}

/** A lobby of ada and bob, and a room under it that bob reads. */
async function useCorner(options: CoreOptions = {}): Promise<Corner> {
  const core = await useCore(options);
  const [ada, bob] = [await core.connect("ada"), await core.connect("bob")];
  await core.room(ada, "lobby", "bob");
  await call(ada, { case: "createRoom", value: { roomId: CORNER, parentId: "lobby", key: "make" } });
  return { core, ada, bob };
}

async function subscribe(client: TestClient, roomId = CORNER, after?: Subscribed["top"]): Promise<Subscribed> {
  const answer = await client.ask({ case: "subscribe", value: { roomId, ...(after && { after }) } });
  if (answer.case !== "subscribed") throw new Error(`refused: ${JSON.stringify(answer.value)}`);
  return answer.value;
}

function kick(ada: TestClient, userId: string) {
  return call(ada, { case: "removeMember", value: { roomId: "lobby", key: `kick-${userId}`, userId } });
}

const LOST = [{ roomId: CORNER, reason: UnsubscribeReason.ACCESS_LOST }];

function lost(client: TestClient) {
  return client.all("unsubscribed").map(({ value: { roomId, reason } }) => ({ roomId, reason }));
}

describe("a subscription of a room under another", () => {
  it("is opened with the root's membership and fed with the room's own events", async () => {
    const { ada, bob } = await useCorner();
    expect(await subscribe(bob)).toMatchObject({
      member: { userId: "bob" },
      room: { memberCount: 2 },
      top: { seq: 1 },
    });
    await ada.ask(text(CORNER, "m1"));
    await ada.ask(text("lobby", "m2"));
    expect(bob.seqs(CORNER)).toEqual([2]);
    expect(bob.seqs("lobby")).toEqual([]);
  });

  it("ends with the event of the root that takes the right away, and nothing after that is told", async () => {
    const { ada, bob } = await useCorner();
    await subscribe(bob);
    // All of one batch: what is said after the kick is announced together with what was said before.
    ada.send(text(CORNER, "before"));
    ada.send({
      case: "call",
      value: { rpc: { case: "removeMember", value: { roomId: "lobby", key: "k", userId: "bob" } } },
    });
    ada.send(text(CORNER, "after"));
    await settle();
    expect(lost(bob)).toEqual(LOST);
    expect(bob.seqs(CORNER)).not.toContain(3);
    const again = await bob.ask({ case: "subscribe", value: { roomId: CORNER } });
    expect(again).toMatchObject({ case: "error", value: { code: ErrorCode.NOT_A_MEMBER } });
  });

  it("ends where only the right to read is denied, and stays where another right changes", async () => {
    const { ada, bob } = await useCorner();
    await subscribe(bob);
    const deny = (key: string, denied: Permission[]) =>
      call(ada, { case: "setMember", value: { roomId: "lobby", userId: "bob", key, overrides: { denied } } });
    await deny("1", [Permission.PUBLISH]);
    await ada.ask(text(CORNER, "m1"));
    expect([bob.seqs(CORNER), lost(bob)]).toEqual([[2], []]);
    await deny("2", [Permission.READ]);
    await ada.ask(text(CORNER, "m2"));
    expect([bob.seqs(CORNER), lost(bob)]).toEqual([[2], LOST]);
  });

  it("tells nothing that came after a loss that was not announced here", async () => {
    const { core, ada, bob } = await useCorner();
    await subscribe(bob);
    await subscribe(ada);
    core.engine.lostAnnouncements = 1;
    await kick(ada, "bob");
    expect(lost(bob)).toEqual([]);
    await ada.ask(text(CORNER, "after"));
    expect([bob.seqs(CORNER), lost(bob), ada.seqs(CORNER)]).toEqual([[], LOST, [2]]);
  });

  it("finds a loss that was not announced by the hole it leaves in the root's announcements", async () => {
    const { core, ada, bob } = await useCorner();
    await subscribe(bob);
    core.engine.lostAnnouncements = 1;
    await kick(ada, "bob");
    await ada.ask(text("lobby", "m1"));
    expect(lost(bob)).toEqual(LOST);
  });

  it("tells nothing after a loss to a session that lags", async () => {
    const { core, ada, bob } = await useCorner({ limits: { outboxBytes: 1_024, ringBytes: 0 } });
    await subscribe(bob);
    bob.stall();
    for (let n = 0; n < 8; n++) await ada.ask(text(CORNER, `m${n}`, "x".repeat(400)));
    core.engine.lostAnnouncements = 1;
    await kick(ada, "bob");
    await ada.ask(text(CORNER, "after"));
    bob.read();
    await core.elapse(2_000);
    expect(lost(bob)).toEqual(LOST);
    expect(Math.max(0, ...bob.seqs(CORNER))).toBeLessThan(10);
  });

  it("counts from the position of the root at which it was opened: what was lost and given back before is past", async () => {
    const { ada, bob, core } = await useCorner();
    await kick(ada, "bob");
    await call(ada, { case: "addMembers", value: { roomId: "lobby", key: "back", members: [{ userId: "bob" }] } });
    await subscribe(bob);
    // The root's events again, as a fan-out may repeat them.
    const range = { from: 1, to: 99, limit: 99, maxBytes: 99_999 };
    core.engine.fanout.announce(
      roomRef("acme", "lobby"),
      await core.engine.archive.events(roomRef("acme", "lobby"), range),
    );
    await ada.ask(text(CORNER, "m1"));
    expect([bob.seqs(CORNER), lost(bob)]).toEqual([[2], []]);
  });

  it("is replayed what was missed, and goes on live", async () => {
    const { ada, bob } = await useCorner();
    const { top } = await subscribe(bob);
    await bob.ask({ case: "unsubscribe", value: { roomId: CORNER } });
    for (const key of ["m1", "m2"]) await ada.ask(text(CORNER, key));
    expect((await subscribe(bob, CORNER, top)).outcome).toMatchObject({ case: "replaying", value: { count: 2 } });
    await ada.ask(text(CORNER, "m3"));
    expect(bob.seqs(CORNER)).toEqual([2, 3, 4]);
  });

  it.each(["lobby", CORNER])("ends when %s is deleted, and the room is cleared away", async (roomId) => {
    const { core, ada, bob } = await useCorner();
    await subscribe(bob);
    await ada.ask(text(CORNER, "m1"));
    await call(ada, { case: "deleteRoom", value: { roomId, key: "delete" } });
    await core.elapse(1_000);
    expect(lost(bob)).toEqual([{ roomId: CORNER, reason: UnsubscribeReason.ROOM_DELETED }]);
    const range = { from: 1, to: 99, limit: 99, maxBytes: 99_999 };
    const left = await core.engine.archive.events(roomRef("acme", CORNER), range);
    expect(left.map(({ event }) => event.kind.case)).toEqual(["roomDeleted"]);
    expect(await core.engine.archive.subRooms(roomRef("acme", "lobby"), { after: "", limit: 9 })).toEqual([]);
  });

  it("leaves no fan-out subscription behind", async () => {
    const { core, ada, bob } = await useCorner();
    const { fanout } = core.engine;
    let open = 0;
    const subscribeRoom = fanout.subscribe.bind(fanout);
    fanout.subscribe = async (...asked) => {
      const subscription = await subscribeRoom(...asked);
      open++;
      return {
        close: () => {
          open--;
          subscription.close();
        },
      };
    };
    await subscribe(ada);
    await subscribe(bob);
    expect(open).toBe(2);
    await ada.ask({ case: "unsubscribe", value: { roomId: CORNER } });
    await kick(ada, "bob");
    expect(open).toBe(0);
  });
});

describe("in a room under another", () => {
  it("members of the root who do not read it hear that it has moved on, and nobody else", async () => {
    const { core, ada, bob } = await useCorner();
    await core.elapse(2_000);
    bob.sink.frames.length = 0;
    await ada.ask(text(CORNER, "m1"));
    await core.elapse(1_000);
    const tops = () => bob.all("signals").flatMap(({ value: { top } }) => (top?.roomId === CORNER ? [top] : []));
    expect(tops()).toMatchObject([{ top: { seq: 2 }, lastMessageIndex: 1 }]);
    await kick(ada, "bob");
    await ada.ask(text(CORNER, "m2"));
    await core.elapse(2_000);
    expect(tops().length).toBe(1);
  });

  it("a mention reaches the inbox of a member of the root", async () => {
    const { ada, bob, core } = await useCorner();
    await openInbox(bob);
    const eve = await core.connect("eve");
    await openInbox(eve);
    const mentions = ["bob", "eve"].map((userId) => create(MentionSchema, { userId }));
    await ada.ask({ case: "publish", value: { ...text(CORNER, "m1").value, mentions } });
    expect(told(bob).at(-1)).toMatchObject({ case: "mentioned", value: { roomId: CORNER, messageIndex: 1 } });
    expect(told(eve)).toEqual([]);
  });

  it("markers and receipts are those of the root's members, room by room", async () => {
    const { core, ada, bob } = await useCorner();
    await subscribe(ada);
    await ada.ask(text(CORNER, "m1"));
    const top = (await subscribe(bob)).top;
    if (top === undefined) throw new Error("no top");
    await bob.ask({ case: "mark", value: { roomId: CORNER, read: top } });
    await core.elapse(1_000);
    expect(ada.all("markers").at(-1)?.value).toMatchObject({
      roomId: CORNER,
      markers: [{ userId: "bob", readSeq: 2 }],
    });
    const listed = await call(ada, { case: "listMarkers", value: { roomId: CORNER } });
    expect(listed).toMatchObject({ value: { markers: [{ userId: "bob", readSeq: 2 }] } });
    const messageId = (await call(ada, { case: "getHistory", value: { roomId: CORNER } })).value;
    if (messageId?.$typeName !== "trunkline.v1.GetHistoryResponse") throw new Error("no history");
    const receipts = { roomId: CORNER, messageId: messageId.messages[0]?.messageId ?? "" };
    expect(await call(ada, { case: "getReceipts", value: receipts })).toMatchObject({
      value: { receipts: [{ userId: "bob" }] },
    });
    const { value } = await call(bob, { case: "listRooms", value: {} });
    expect(value).toMatchObject({ rooms: [{ readSeq: 0 }, { readSeq: 2, unreadCount: 0 }] });
  });

  it("who types is told, until the root takes the right away or is archived", async () => {
    const { core, ada, bob } = await useCorner();
    await subscribe(ada);
    expect((await bob.ask(typing(CORNER, true))).case).toBe("done");
    await tick(core);
    // What is said in the root ends nothing here.
    await bob.ask(text("lobby", "m1"));
    await tick(core);
    const device = "bob@device-of-bob";
    expect(heard(ada, CORNER)).toEqual([[`${device} types`]]);
    await kick(ada, "bob");
    await tick(core);
    expect(heard(ada, CORNER)).toEqual([[`${device} types`], [`${device} ends`]]);
  });

  it("presence is that of the root's members, and lost with them", async () => {
    const { core, ada, bob } = await useCorner();
    const watched = await bob.ask({ case: "watchPresence", value: { roomIds: [CORNER] } });
    expect(watched).toMatchObject({
      case: "presenceSnapshot",
      value: { presences: [{ userId: "ada" }, { userId: "bob" }] },
    });
    await kick(ada, "bob");
    await core.connect("eve");
    await call(ada, { case: "addMembers", value: { roomId: "lobby", key: "eve", members: [{ userId: "eve" }] } });
    await core.elapse(1_000);
    expect(bob.all("presenceChanges")).toEqual([]);
  });
});
