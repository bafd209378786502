// Nodes of one process ask each other as they would over a network.

import { describe, expect, it } from "vitest";
import { ErrorCode, TrunklineError } from "../../src/ports/error.js";
import type { PeerQuestion } from "../../src/ports/peers.js";
import type { ClusterNode } from "../../src/ports/placement.js";
import { MemoryPeerNetwork } from "./memory-peers.js";
import { StoppedClock } from "./stopped-clock.js";

const OTHER: ClusterNode = { nodeId: "other", address: "other:1", since: 0, leaving: false };

function look(roomId: string): PeerQuestion {
  const room = { $typeName: "trunkline.cluster.v1.Room" as const, tenantId: "acme", roomId };
  return { case: "look", value: { $typeName: "trunkline.cluster.v1.Look", room, userIds: [] } };
}

function useNetwork() {
  const network = new MemoryPeerNetwork();
  const clock = new StoppedClock();
  const asked: string[] = [];
  network.serve(OTHER.nodeId, async (question) => {
    const roomId = question.case === "look" ? (question.value.room?.roomId ?? "") : "";
    asked.push(roomId);
    if (roomId === "mine") throw new TrunklineError(ErrorCode.NOT_FOUND, "no such room", { field: "room_id" });
    if (roomId === "slow") return new Promise(() => {});
    return { case: "looked", value: { $typeName: "trunkline.cluster.v1.Looked", members: [], membersSeq: 7 } };
  });
  return { network, clock, asked, peers: network.node("one", clock) };
}

describe("nodes in memory", () => {
  it("answer each other, and refuse as they are refused", async () => {
    const { peers, clock } = useNetwork();
    await expect(peers.ask(OTHER, look("r"))).resolves.toMatchObject({ case: "looked", value: { membersSeq: 7 } });
    await expect(peers.ask(OTHER, look("mine"))).rejects.toMatchObject({ code: ErrorCode.NOT_FOUND, field: "room_id" });
    expect(clock.pending).toBe(0);
  });

  it("are asked in the order of the calls, also when a question takes its time and another is lost", async () => {
    const { network, peers, asked } = useNetwork();
    const slow = Promise.withResolvers<void>();
    const ways = [slow.promise, Promise.reject(new TrunklineError(ErrorCode.UNAVAILABLE, "cut"))];
    network.way = (from) => (from === "one" ? (ways.shift() ?? Promise.resolve()) : Promise.resolve());
    const answers = ["first", "lost", "last"].map((roomId) => peers.ask(OTHER, look(roomId)));
    const settled = Promise.allSettled(answers);
    slow.resolve();
    expect((await settled).map(({ status }) => status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
    expect(asked).toEqual(["first", "last"]);
  });

  it("are not waited for for ever, nor after a stop", async () => {
    const { peers, clock } = useNetwork();
    const late = peers.ask(OTHER, look("slow"));
    const refused = expect(late).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    clock.advance(5_000);
    await refused;
    const waiting = expect(peers.ask(OTHER, look("slow"))).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    peers.stop();
    await waiting;
    await expect(peers.ask(OTHER, look("r"))).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    expect(clock.pending).toBe(0);
  });

  it("do not reach one that is gone", async () => {
    const { network, peers } = useNetwork();
    network.end(OTHER.nodeId);
    await expect(peers.ask(OTHER, look("r"))).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });
});
