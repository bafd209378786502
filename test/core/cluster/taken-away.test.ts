// What is taken away from a user on one node is taken away on all: sessions that a service ends, rooms they are no longer in.

import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { CloseCode } from "../../../src/gen/trunkline/v1/error_pb.js";
import * as rpc from "../../../src/gen/trunkline/v1/presence_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { useCluster } from "../use-cluster.js";
import { identity, settle, text } from "../use-core.js";
import { call } from "../user/use-inbox.js";

const SERVICE = { identity: identity("bot", { grants: new Set(["service"]) }), deviceId: "" };

function device(deviceId: string) {
  return { device: { deviceId } };
}

describe("sessions of a user", () => {
  it("are listed and closed by a service at any node, wherever they are", async () => {
    const cluster = await useCluster();
    const clients = [
      await cluster.node(0).connect("ada", device("a")),
      await cluster.node(1).connect("ada", device("b")),
      await cluster.node(2).connect("ada", device("c")),
    ];
    const { presence } = cluster.node(0).core;
    const list = create(rpc.ListSessionsRequestSchema, { userId: "ada" });
    const { sessions } = await presence.listSessions(SERVICE, list);
    expect(sessions.map((session) => session.device?.deviceId).sort()).toEqual(["a", "b", "c"]);
    const { sessionId = "" } = sessions.find((session) => session.device?.deviceId === "b") ?? {};
    await presence.closeSession(SERVICE, create(rpc.CloseSessionRequestSchema, { sessionId }));
    expect(clients.map(({ endedWith }) => endedWith)).toEqual([undefined, CloseCode.KICKED, undefined]);
    await presence.closeUser(SERVICE, create(rpc.CloseUserRequestSchema, { userId: "ada" }));
    expect(clients.map(({ endedWith }) => endedWith)).toEqual([CloseCode.KICKED, CloseCode.KICKED, CloseCode.KICKED]);
  });

  it("are closed by the user's own other device on another node", async () => {
    const cluster = await useCluster();
    const phone = await cluster.node(0).connect("ada", device("phone"));
    const lost = await cluster.node(1).connect("ada", device("lost"));
    await call(phone, { case: "closeDevice", value: { deviceId: "lost" } });
    expect(lost.endedWith).toBe(CloseCode.KICKED);
    expect(phone.endedWith).toBeUndefined();
  });

  it("hear signals from any node", async () => {
    const cluster = await useCluster();
    const ada = await cluster.node(0).connect("ada");
    const bob = await cluster.node(1).connect("bob");
    await cluster.node(0).room(ada, "shared", "bob");
    await ada.ask({ case: "sendSignal", value: { target: { case: "userId", value: "bob" }, type: "wave" } });
    await cluster.elapse(250);
    expect(bob.last("signals").signals).toMatchObject([{ kind: { case: "custom", value: { type: "wave" } } }]);
  });
});

/** What is said after the room was made and Bob was taken out of it. */
const AFTER_SEQ = 3;

/** Ada and Bob are at different nodes, in a room of a third, to which Bob is subscribed. */
async function useRoom() {
  const cluster = await useCluster();
  const ada = await cluster.node(0).connect("ada");
  const bob = await cluster.node(1).connect("bob");
  const roomId = await cluster.node(0).room(ada, cluster.roomIdOf(2), "bob");
  expect((await bob.ask({ case: "subscribe", value: { roomId } })).case).toBe("subscribed");
  const kick = () => call(ada, { case: "removeMember", value: { roomId, userId: "bob", key: "kick" } });
  const speak = async () => {
    const said = await ada.ask(text(roomId, "after"));
    expect(said).toMatchObject({ value: { position: { seq: AFTER_SEQ } } });
  };
  return { cluster, bob, roomId, kick, speak };
}

describe("who is taken out of a room by somebody at another node", () => {
  it("is told so, and nothing of what came after", async () => {
    const { bob, roomId, kick, speak } = await useRoom();
    await kick();
    await speak();
    await settle();
    expect(bob.seqs(roomId)).not.toContain(AFTER_SEQ);
    expect(bob.last("unsubscribed").roomId).toBe(roomId);
    expect(await bob.ask(text(roomId, "m"))).toMatchObject({ value: { code: ErrorCode.NOT_A_MEMBER } });
  });

  it("is told nothing of what came after though the node has not heard of it", async () => {
    const { cluster, bob, roomId, kick, speak } = await useRoom();
    cluster.engine.lostAnnouncements = 1;
    await kick();
    expect(bob.all("unsubscribed")).toEqual([]);
    await speak();
    await cluster.elapse(250);
    expect(bob.seqs(roomId)).not.toContain(AFTER_SEQ);
    expect(bob.last("unsubscribed").roomId).toBe(roomId);
  });

  it("is told so within seconds though nothing more is heard of the room", async () => {
    const { cluster, bob, roomId, kick } = await useRoom();
    cluster.engine.lostAnnouncements = 1;
    await kick();
    await cluster.elapse(2_500);
    expect(bob.last("unsubscribed").roomId).toBe(roomId);
  });

  it("is told so when the node has lost its connection to what is announced, and everything since", async () => {
    const { cluster, bob, roomId, kick, speak } = await useRoom();
    cluster.engine.lostAnnouncements = 2;
    await kick();
    await speak();
    cluster.engine.loseConnections();
    await settle();
    expect(bob.seqs(roomId)).not.toContain(AFTER_SEQ);
    expect(bob.last("unsubscribed").roomId).toBe(roomId);
  });
});
