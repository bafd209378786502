// Commands and reads of a room at nodes that do not own it: as if they did.

import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import { JoinRule, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import type { Call } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { type ClusterOptions, type TestCluster, useCluster } from "../use-cluster.js";
import { type clientFrame, settle, type TestClient, text } from "../use-core.js";
import { openInbox, told } from "../user/use-inbox.js";

type CallInit = Exclude<NonNullable<Parameters<typeof clientFrame>[0]>, undefined>;
type RpcCase = Exclude<Call["rpc"]["case"], undefined>;

/** A cluster with a room of the first node, which ann of the second one has made with bob and cid, and clients of all three nodes. */
async function useRoom(options: ClusterOptions = {}) {
  const cluster = await useCluster(options);
  const roomId = cluster.roomIdOf(0);
  const ann = await cluster.node(1).connect("ann");
  await cluster.node(1).room(ann, roomId, "bob", "cid");
  const bob = await cluster.node(0).connect("bob");
  const cid = await cluster.node(2).connect("cid");
  return { cluster, roomId, ann, bob, cid };
}

async function subscribe(client: TestClient, roomId: string) {
  const answer = await client.ask({ case: "subscribe", value: { roomId } });
  if (answer.case !== "subscribed") throw new Error(`${roomId}: ${answer.case}`);
  return answer.value;
}

/** The answer to a call, or its refusal. */
async function call(client: TestClient, rpc: Extract<CallInit, { case: "call" }>["value"]["rpc"]) {
  const answer = await client.ask({ case: "call", value: { rpc } });
  if (answer.case === "error") return { refused: answer.value };
  if (answer.case !== "callResult") throw new Error(`a call was answered with ${answer.case}`);
  return { answered: answer.value.rpc };
}

async function answered<C extends RpcCase>(client: TestClient, rpc: { case: C; value: object }) {
  const { answered: result, refused } = await call(client, rpc as Parameters<typeof call>[1]);
  if (result === undefined) throw new Error(`${rpc.case} was refused: ${refused?.message}`);
  return result;
}

async function codeOf(client: TestClient, frame: Parameters<TestClient["ask"]>[0]) {
  const answer = await client.ask(frame);
  return answer.case === "error" ? answer.value.code : answer.case;
}

describe("a node that does not own a room", () => {
  it("publishes to it: members on all nodes get it in order, once", async () => {
    const { roomId, ann, bob, cid } = await useRoom();
    for (const client of [ann, bob, cid]) await subscribe(client, roomId);
    const refs = Array.from({ length: 5 }, (_, index) => ann.send(text(roomId, `k${index}`)));
    await settle();
    expect(refs.map((ref) => ann.reply(ref).case)).toEqual(refs.map(() => "published"));
    for (const client of [ann, bob, cid]) expect(client.seqs(roomId)).toEqual([2, 3, 4, 5, 6]);
  });

  it("refuses what the owner refuses, in the same words", async () => {
    const { cluster, roomId } = await useRoom();
    const here = await cluster.node(0).connect("eve");
    const there = await cluster.node(2).connect("eve", { device: { deviceId: "other" } });
    const asked = [
      text(roomId, "k"),
      text("nowhere", "k"),
      {
        case: "editMessage",
        value: { roomId, messageId: "none", key: "k", body: { kind: { case: "text", value: "x" } } },
      },
      { case: "subscribe", value: { roomId } },
      { case: "call", value: { rpc: { case: "getRoom", value: { roomId } } } },
      { case: "call", value: { rpc: { case: "joinRoom", value: { roomId, key: "j" } } } },
    ] as const;
    for (const frame of asked) {
      const [one, other] = [await here.ask(frame), await there.ask(frame)];
      expect(one.case).toBe("error");
      expect(other).toEqual(one);
    }
  });

  it("knows a repeat, wherever the first was said", async () => {
    const { cluster, roomId, ann } = await useRoom();
    const first = await ann.ask(text(roomId, "k"));
    expect(first).toMatchObject({ case: "published", value: { duplicate: false } });
    const again = await cluster.node(0).connect("ann", { device: { deviceId: "other" } });
    const repeat = await again.ask({ case: "publish", value: { ...text(roomId, "k").value, attempt: 2 } });
    const { position } = first.case === "published" ? first.value : {};
    expect(repeat).toMatchObject({ case: "published", value: { duplicate: true, position } });
  });

  it("tells who edits an older version that there is a newer one", async () => {
    const { roomId, ann } = await useRoom();
    const published = await ann.ask(text(roomId, "k"));
    const messageId = published.case === "published" ? published.value.messageId : "";
    const edit = (key: string, baseVersion: number) =>
      ({
        case: "editMessage",
        value: { roomId, messageId, key, baseVersion, body: { kind: { case: "text", value: key } } },
      }) as const;
    expect(await codeOf(ann, edit("e1", 1))).not.toBe(ErrorCode.CONFLICT);
    expect(await codeOf(ann, edit("e2", 1))).toBe(ErrorCode.CONFLICT);
  });

  it("shows its history, its events and its members", async () => {
    const { roomId, ann, cid } = await useRoom();
    for (const key of ["a", "b", "c"]) await ann.ask(text(roomId, key));
    const history = await answered(cid, { case: "getHistory", value: { roomId } });
    expect(history).toMatchObject({ value: { messages: [{}, {}, {}], asOf: { seq: 4 } } });
    const events = await answered(cid, { case: "getEvents", value: { roomId, fromSeq: 2 } });
    expect(events).toMatchObject({ value: { events: [{}, {}, {}], top: { seq: 4 } } });
    const members = await answered(cid, { case: "listMembers", value: { roomId } });
    expect(members).toMatchObject({ value: { members: [{ userId: "ann" }, { userId: "bob" }, { userId: "cid" }] } });
    const rooms = await answered(cid, { case: "listRooms", value: {} });
    expect(rooms).toMatchObject({ value: { rooms: [{ room: { roomId } }] } });
  });

  it("lets somebody join, hear, go and come back without missing anything", async () => {
    const { cluster, ann } = await useRoom();
    const roomId = cluster.roomIdOf(0, "open");
    await answered(ann, {
      case: "createRoom",
      value: { roomId, key: "make", kind: RoomKind.CHANNEL, joinRule: JoinRule.OPEN },
    });
    const dan = await cluster.node(2).connect("dan");
    await answered(dan, { case: "joinRoom", value: { roomId, key: "join" } });
    const { top } = await subscribe(dan, roomId);
    await ann.ask(text(roomId, "heard"));
    expect(dan.seqs(roomId)).toEqual([3]);
    const [pushed] = dan.all("roomEvents").slice(-1);
    const position = pushed?.value.events.at(-1)?.position;
    expect(top?.seq).toBe(2);
    dan.connection.gone(false);
    for (const key of ["x", "y"]) await ann.ask(text(roomId, key));
    const back = await cluster.node(1).connect("dan", { device: { deviceId: "device-of-dan" } });
    const resumed = await back.ask({ case: "subscribe", value: { roomId, after: position } });
    expect(resumed).toMatchObject({
      case: "subscribed",
      value: { outcome: { case: "replaying", value: { count: 2 } } },
    });
    expect(back.seqs(roomId)).toEqual([4, 5]);
  });

  it("ends what somebody reads who is taken out of it", async () => {
    const { roomId, ann, cid } = await useRoom();
    await subscribe(cid, roomId);
    await answered(ann, { case: "removeMember", value: { roomId, key: "out", userId: "cid" } });
    expect(cid.last("unsubscribed").roomId).toBe(roomId);
    expect(await codeOf(cid, text(roomId, "late"))).toBe(ErrorCode.NOT_A_MEMBER);
    await ann.ask(text(roomId, "unheard"));
    expect(cid.seqs(roomId)).toEqual([2]);
  });

  it("knows the rooms under it", async () => {
    const { cluster, roomId, ann, cid } = await useRoom();
    const made = await answered(ann, {
      case: "createRoom",
      value: { roomId: `${roomId}~corner`, parentId: roomId, key: "corner" },
    });
    expect(made.case).toBe("createRoom");
    await subscribe(cid, `${roomId}~corner`);
    await ann.ask(text(`${roomId}~corner`, "k"));
    expect(cid.seqs(`${roomId}~corner`)).toEqual([2]);
    const stranger = await cluster.node(2).connect("eve");
    expect(await codeOf(stranger, text(`${roomId}~corner`, "k"))).toBe(ErrorCode.NOT_A_MEMBER);
    await answered(ann, { case: "removeMember", value: { roomId, key: "out", userId: "cid" } });
    expect(await codeOf(cid, text(`${roomId}~corner`, "late"))).toBe(ErrorCode.NOT_A_MEMBER);
  });

  it("makes and finds the direct room of two users, and keeps it from those who block", async () => {
    const { cluster, ann, cid } = await useRoom();
    const create = (other: string, key: string) => ({
      case: "createRoom" as const,
      value: { key, kind: RoomKind.DIRECT, members: [{ userId: other }] },
    });
    const one = await answered(ann, create("cid", "d1"));
    const other = await answered(cid, create("ann", "d2"));
    const roomId = one.case === "createRoom" ? (one.value.room?.roomId ?? "") : "";
    expect(other).toMatchObject({ value: { room: { roomId } } });
    await subscribe(cid, roomId);
    expect(await codeOf(ann, text(roomId, "k"))).toBe("published");
    expect(cid.seqs(roomId).length).toBe(1);
    const blocking = cid.send({
      case: "call",
      value: { rpc: { case: "blockUser", value: { userId: "ann", blocked: true, key: "b" } } },
    });
    await cluster.elapse(6_000);
    expect(cid.reply(blocking).case).toBe("callResult");
    expect(await codeOf(ann, text(roomId, "blocked"))).toBe(ErrorCode.BLOCKED);
  });

  it("tells users of any node in their inboxes, and keeps what they set", async () => {
    const { cluster, roomId, ann } = await useRoom();
    const users = ["u1", "u2", "u3", "u4", "u5", "u6"];
    const clients = await Promise.all(users.map((userId, index) => cluster.node(index % 3).connect(userId)));
    await answered(ann, {
      case: "addMembers",
      value: { roomId, key: "add", members: users.map((userId) => ({ userId })) },
    });
    await cluster.elapse(1_000);
    for (const client of clients) {
      await openInbox(client);
      expect(told(client).map((kind) => kind.case)).toEqual(["addedToRoom"]);
      const settings = [{ key: "theme", value: new Uint8Array([7]) }];
      await answered(client, { case: "setSettings", value: { key: "s", settings } });
    }
    for (const [index, userId] of users.entries()) {
      const again = await cluster.node((index + 1) % 3).connect(userId, { device: { deviceId: "other" } });
      const kept = await answered(again, { case: "getSettings", value: {} });
      expect(kept).toMatchObject({ value: { settings: [{ key: "theme", version: 1 }] } });
    }
  });
});

describe("a node that leaves", () => {
  it("hands its shards over, and nobody is refused anything meanwhile", async () => {
    const { cluster, roomId, ann, bob, cid } = await useRoom();
    for (const client of [ann, bob, cid]) await subscribe(client, roomId);
    const refs = [ann.send(text(roomId, "before"))];
    const drained = cluster.node(0).core.drain(10_000);
    refs.push(ann.send(text(roomId, "meanwhile")));
    await cluster.elapse(1_000);
    await drained;
    refs.push(ann.send(text(roomId, "after")));
    await cluster.elapse(1_000);
    expect(refs.map((ref) => ann.reply(ref).case)).toEqual(["published", "published", "published"]);
    expect(cluster.node(0).placement.held.size).toBe(0);
    expect(cid.seqs(roomId)).toEqual([2, 3, 4]);
    expect(bob.endedWith).toBe(CloseCode.GOING_AWAY);
    const back = await cluster.node(2).connect("bob");
    const history = await answered(back, { case: "getHistory", value: { roomId } });
    expect(history).toMatchObject({ value: { messages: [{}, {}, {}] } });
  });

  it("takes no sessions any more", async () => {
    const { cluster } = await useRoom();
    await cluster.node(0).core.drain(0);
    const late = cluster.node(0).dial();
    await settle();
    expect(late.endedWith).toBe(CloseCode.GOING_AWAY);
  });
});

describe("a cluster whose shards never move", () => {
  it("asks nobody about rooms of the node itself", async () => {
    const { cluster, roomId, bob } = await useRoom();
    await subscribe(bob, roomId);
    const before = askedAbout(cluster, roomId);
    await bob.ask(text(roomId, "k"));
    await answered(bob, { case: "getHistory", value: { roomId } });
    expect(askedAbout(cluster, roomId) - before).toBe(0);
  });
});

function askedAbout(cluster: TestCluster, roomId: string): number {
  return cluster.asked.filter(({ from, question: { value } }) => {
    return from === "n1" && value !== undefined && "room" in value && value.room?.roomId === roomId;
  }).length;
}
