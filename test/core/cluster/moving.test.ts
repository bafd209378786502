// Shards that change hands while their rooms are used.

import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { LookSchema } from "../../../src/gen/trunkline/cluster/v1/peer_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { type TestCluster, useCluster } from "../use-cluster.js";
import { gate, settle, type TestClient, text } from "../use-core.js";

const KEYS = ["k0", "k1", "k2", "k3", "k4"];

/** A room of the first node, that ann has made from the second one and reads there. */
async function useRoom(cluster: TestCluster): Promise<{ roomId: string; shard: number; ann: TestClient }> {
  const roomId = cluster.roomIdOf(0);
  const ann = await cluster.node(1).connect("ann");
  await cluster.node(1).room(ann, roomId, "bob", "cid");
  await ann.ask({ case: "subscribe", value: { roomId } });
  return { roomId, shard: cluster.shardOf(roomId), ann };
}

/** What was said in the room, as its events tell. */
async function said(cluster: TestCluster, roomId: string, client: TestClient): Promise<string[]> {
  const answer = await client.ask({ case: "call", value: { rpc: { case: "getEvents", value: { roomId } } } });
  if (answer.case !== "callResult" || answer.value.rpc.case !== "getEvents") {
    throw new Error(`${cluster.ownerOf(roomId).nodeId}: ${JSON.stringify(answer.value)}`);
  }
  return answer.value.rpc.value.events.flatMap(({ kind }) =>
    kind.case === "messageCreated" && kind.value.body?.kind.case === "text" ? [kind.value.body.kind.value] : [],
  );
}

function cases(client: TestClient, refs: readonly number[]): (string | undefined)[] {
  return refs.map((ref) => client.reply(ref).case);
}

function publish(client: TestClient, roomId: string, keys = KEYS): number[] {
  return keys.map((key) => client.send(text(roomId, key)));
}

function errorOf(client: TestClient, ref: number) {
  const reply = client.reply(ref);
  if (reply.case !== "error") throw new Error(`ref ${ref} was answered with ${reply.case}`);
  return reply.value;
}

describe("a shard that is handed over", () => {
  it("refuses nothing and reorders nothing of what is said meanwhile", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    const first = publish(ann, roomId);
    const moved = cluster.move(shard, cluster.node(2));
    const second = publish(ann, roomId, ["l0", "l1", "l2"]);
    await moved;
    await settle();
    await cluster.elapse(500);
    expect(cases(ann, [...first, ...second])).toEqual(Array.from({ length: 8 }, () => "published"));
    expect(await said(cluster, roomId, ann)).toEqual([...KEYS, "l0", "l1", "l2"]);
    expect(ann.seqs(roomId)).toEqual([2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("is handed over to the very node that somebody speaks from, and back", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    const refs: number[] = [];
    for (const [round, to] of [1, 0, 1, 2].entries()) {
      refs.push(...publish(ann, roomId, [`${round}a`, `${round}b`]));
      const moved = cluster.move(shard, cluster.node(to));
      refs.push(...publish(ann, roomId, [`${round}c`]));
      await moved;
      refs.push(...publish(ann, roomId, [`${round}d`]));
      await cluster.elapse(500);
    }
    expect(new Set(cases(ann, refs))).toEqual(new Set(["published"]));
    const order = [0, 1, 2, 3].flatMap((round) => ["a", "b", "c", "d"].map((letter) => `${round}${letter}`));
    expect(await said(cluster, roomId, ann)).toEqual(order);
  });

  it("finishes what it has taken first, and takes nothing more meanwhile", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    const stored = gate<void>();
    cluster.engine.faultNextAppend({ kind: "hold", until: stored.promise }, shard);
    const [before = 0] = publish(ann, roomId, ["before"]);
    await settle();
    const moved = cluster.move(shard, cluster.node(2));
    await settle();
    const [after = 0] = publish(ann, roomId, ["after"]);
    await settle();
    expect(cases(ann, [before, after])).toEqual([undefined, undefined]);
    stored.resolve();
    await moved;
    await cluster.elapse(500);
    expect(cases(ann, [before, after])).toEqual(["published", "published"]);
    expect(await said(cluster, roomId, ann)).toEqual(["before", "after"]);
  });

  it("takes what is said while it archives what was said before", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    publish(ann, roomId, ["first"]);
    await settle();
    cluster.engine.archiveDown = true;
    publish(ann, roomId, ["before"]);
    await settle();
    const moved = cluster.move(shard, cluster.node(2));
    await settle();
    const refs = publish(ann, roomId, ["meanwhile"]);
    await settle();
    expect(cases(ann, refs)).toEqual(["published"]);
    cluster.engine.archiveDown = false;
    await cluster.elapse(1_000);
    await moved;
    expect(await said(cluster, roomId, ann)).toEqual(["first", "before", "meanwhile"]);
    expect(cluster.ownerOf(roomId)).toBe(cluster.node(2));
  });

  it("is archived by then, so that the next owner has nothing to make up for", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    publish(ann, roomId);
    await cluster.move(shard, cluster.node(2));
    const state = cluster.engine.state.shards[shard];
    expect(state?.archived).toBe(state?.end);
  });

  it("goes after a second though the log does not answer: what waited is refused as uncertain", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    cluster.engine.faultNextAppend({ kind: "hold", until: new Promise(() => {}) }, shard);
    const [ref = 0] = publish(ann, roomId, ["stuck"]);
    await settle();
    const moved = cluster.move(shard, cluster.node(2));
    await settle();
    await cluster.elapse(1_000);
    await moved;
    await cluster.elapse(500);
    expect(errorOf(ann, ref)).toMatchObject({ code: ErrorCode.UNAVAILABLE, retryable: true });
    const again = ann.send({ case: "publish", value: { ...text(roomId, "stuck").value, attempt: 2 } });
    await cluster.elapse(500);
    expect(ann.reply(again).case).toBe("published");
    expect(await said(cluster, roomId, ann)).toEqual(["stuck"]);
  });
});

describe("a shard whose owner is gone", () => {
  it("holds what is said until somebody owns it", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    cluster.abandon(shard);
    const refs = publish(ann, roomId);
    await cluster.elapse(1_000);
    expect(new Set(cases(ann, refs))).toEqual(new Set([undefined]));
    cluster.seize(shard, cluster.node(2));
    await settle();
    expect(new Set(cases(ann, refs))).toEqual(new Set(["published"]));
    expect(await said(cluster, roomId, ann)).toEqual(KEYS);
  });

  it("refuses it after two seconds, and says when to come back", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    cluster.abandon(shard);
    const refs = publish(ann, roomId);
    const read = ann.send({ case: "call", value: { rpc: { case: "getRoom", value: { roomId } } } });
    await cluster.elapse(2_000);
    for (const ref of [...refs, read]) {
      expect(errorOf(ann, ref)).toMatchObject({ code: ErrorCode.UNAVAILABLE, retryable: true, retryAfterMs: 500 });
    }
    cluster.seize(shard, cluster.node(2));
    await settle();
    expect(await said(cluster, roomId, ann)).toEqual([]);
  });

  it("loses nothing that was acknowledged, and knows what comes again", async () => {
    const cluster = await useCluster();
    const { roomId, ann } = await useRoom(cluster);
    const refs = publish(ann, roomId);
    await settle();
    expect(new Set(cases(ann, refs))).toEqual(new Set(["published"]));
    cluster.engine.archiveDown = true;
    const late = publish(ann, roomId, ["late"]);
    await settle();
    expect(cases(ann, late)).toEqual(["published"]);
    cluster.engine.archiveDown = false;
    cluster.kill(cluster.node(0));
    cluster.seize(cluster.shardOf(roomId), cluster.node(2));
    await cluster.elapse(1_000);
    const again = ann.send({ case: "publish", value: { ...text(roomId, "late").value, attempt: 2 } });
    await cluster.elapse(1_000);
    expect(ann.reply(again)).toMatchObject({ case: "published", value: { duplicate: true } });
    expect(await said(cluster, roomId, ann)).toEqual([...KEYS, "late"]);
  });

  it("tells subscribers of what its last owner stored and told nobody of", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    cluster.engine.lostAnnouncements = 1;
    cluster.engine.archiveDown = true;
    publish(ann, roomId, ["unheard"]);
    await settle();
    expect(ann.seqs(roomId)).toEqual([]);
    cluster.engine.archiveDown = false;
    cluster.seize(shard, cluster.node(2));
    await cluster.elapse(1_000);
    expect(ann.seqs(roomId)).toEqual([2]);
  });

  it("tells subscribers of what its last owner archived and told nobody of", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    cluster.engine.lostAnnouncements = 1;
    const [ref = 0] = publish(ann, roomId, ["unheard"]);
    await settle();
    expect([ann.reply(ref).case, ann.seqs(roomId)]).toEqual(["published", []]);
    // Before it says how far the room has come.
    cluster.kill(cluster.node(0));
    cluster.seize(shard, cluster.node(2));
    await cluster.elapse(1_000);
    expect(ann.seqs(roomId)).toEqual([2]);
  });

  it("shows no presence any more to who was removed, though its last owner told nobody", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    const bob = await cluster.node(1).connect("bob");
    expect(await bob.ask({ case: "watchPresence", value: { roomIds: [roomId] } })).toMatchObject({
      case: "presenceSnapshot",
    });
    cluster.engine.lostAnnouncements = 1;
    const rpc = { case: "removeMember" as const, value: { roomId, key: "r", userId: "bob" } };
    expect(await ann.ask({ case: "call", value: { rpc } })).toMatchObject({ case: "callResult" });
    cluster.kill(cluster.node(0));
    cluster.seize(shard, cluster.node(2));
    await cluster.elapse(2_000);
    await cluster.node(1).connect("cid");
    await cluster.elapse(2_000);
    const told = bob.all("presenceChanges").flatMap(({ value }) => value.presences);
    expect(told.filter(({ userId }) => userId === "cid")).toEqual([]);
  });

  it("keeps from who was removed from a room what is said under it, though its last owner told nobody", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    const under = `${roomId}~side`;
    const making = { roomId: under, parentId: roomId, key: "make" };
    await ann.ask({ case: "call", value: { rpc: { case: "createRoom", value: making } } });
    const bob = await cluster.node(1).connect("bob");
    expect(await bob.ask({ case: "subscribe", value: { roomId: under } })).toMatchObject({ case: "subscribed" });
    cluster.engine.lostAnnouncements = 1;
    const rpc = { case: "removeMember" as const, value: { roomId, key: "r", userId: "bob" } };
    expect(await ann.ask({ case: "call", value: { rpc } })).toMatchObject({ case: "callResult" });
    // The first question may be lost too.
    cluster.link(cluster.node(1), cluster.node(2), "cut");
    cluster.kill(cluster.node(0));
    cluster.seize(shard, cluster.node(2));
    await cluster.elapse(4_000);
    expect(bob.all("unsubscribed")).toEqual([]);
    cluster.link(cluster.node(1), cluster.node(2), "open");
    await cluster.elapse(4_000);
    expect(bob.all("unsubscribed")).toMatchObject([{ value: { roomId: under } }]);
  });
});

describe("a link between two nodes", () => {
  it("that loses answers leaves nothing done twice", async () => {
    const cluster = await useCluster();
    const { roomId, ann } = await useRoom(cluster);
    cluster.link(cluster.node(1), cluster.node(0), "deaf");
    const refs = publish(ann, roomId);
    await cluster.elapse(500);
    expect(new Set(cases(ann, refs))).toEqual(new Set([undefined]));
    cluster.openLinks();
    await cluster.elapse(500);
    expect(new Set(cases(ann, refs))).toEqual(new Set(["published"]));
    expect(await said(cluster, roomId, ann)).toEqual(KEYS);
  });

  it("that is cut leaves nothing done, and no order changed", async () => {
    const cluster = await useCluster();
    const { roomId, ann } = await useRoom(cluster);
    cluster.link(cluster.node(1), cluster.node(0), "cut");
    const refs = publish(ann, roomId);
    await cluster.elapse(500);
    refs.push(...publish(ann, roomId, ["l0"]));
    cluster.openLinks();
    await cluster.elapse(500);
    expect(new Set(cases(ann, refs))).toEqual(new Set(["published"]));
    expect(await said(cluster, roomId, ann)).toEqual([...KEYS, "l0"]);
  });

  it("that stays cut leads to a refusal after two seconds", async () => {
    const cluster = await useCluster();
    const { roomId, ann } = await useRoom(cluster);
    cluster.link(cluster.node(1), cluster.node(0), "cut");
    const [ref = 0] = publish(ann, roomId, ["never"]);
    await cluster.elapse(2_500);
    expect(errorOf(ann, ref)).toMatchObject({ code: ErrorCode.UNAVAILABLE, retryable: true });
  });

  it("keeps what was asked of the old owner ahead of what the new one is asked", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    cluster.link(cluster.node(1), cluster.node(0), "held");
    const refs = publish(ann, roomId, ["a", "b"]);
    await settle();
    cluster.seize(shard, cluster.node(2));
    refs.push(...publish(ann, roomId, ["c"]));
    await settle();
    expect(new Set(cases(ann, refs))).toEqual(new Set([undefined]));
    cluster.openLinks();
    await cluster.elapse(500);
    expect(new Set(cases(ann, refs))).toEqual(new Set(["published"]));
    expect(await said(cluster, roomId, ann)).toEqual(["a", "b", "c"]);
  });
});

describe("two nodes that both take themselves for the owner", () => {
  it("write one history", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    const bob = await cluster.node(2).connect("bob");
    const cid = await cluster.node(0).connect("cid");
    cluster.share(shard, cluster.node(2));
    await settle();
    const clients = [ann, bob, cid];
    const acknowledged: string[] = [];
    for (let round = 0; round < 10; round++) {
      const sent = clients.map((client, index) => ({ client, key: `${index}-${round}` }));
      const refs = sent.map(({ client, key }) => ({ client, key, ref: client.send(text(roomId, key)) }));
      await cluster.elapse(250);
      for (const { client, key, ref } of refs) if (client.reply(ref).case === "published") acknowledged.push(key);
    }
    cluster.seize(shard, cluster.node(2));
    await cluster.elapse(6_000);
    const events = await said(cluster, roomId, ann);
    expect(events).toEqual(expect.arrayContaining(acknowledged));
    expect(new Set(events).size).toBe(events.length);
    expect(acknowledged.length).toBeGreaterThan(5);
  });

  it("do not both answer: whose lease is over says nothing that no append confirms", async () => {
    const cluster = await useCluster();
    const { roomId, shard, ann } = await useRoom(cluster);
    const old = cluster.node(0);
    cluster.lapse(shard, old);
    cluster.share(shard, cluster.node(2));
    await settle();
    const look = { case: "look", value: create(LookSchema, { room: { tenantId: "acme", roomId } }) } as const;
    await expect(old.core.answerPeer(look)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE, retryable: true });
    await expect(cluster.node(2).core.answerPeer(look)).resolves.toMatchObject({ case: "looked" });
    // Somebody at the old owner is answered by the new one.
    publish(ann, roomId);
    await settle();
    const cid = await old.connect("cid");
    expect(await said(cluster, roomId, cid)).toEqual(KEYS);
  });

  it("a lease that is over where nobody else has one: reads are refused, and nothing is judged", async () => {
    const cluster = await useCluster();
    const { roomId, shard } = await useRoom(cluster);
    cluster.lapse(shard, cluster.node(0));
    const cid = await cluster.node(0).connect("cid");
    const history = cid.send({ case: "call", value: { rpc: { case: "getHistory", value: { roomId } } } });
    const stranger = await cluster.node(0).connect("eve");
    const publishing = stranger.send(text(roomId, "k"));
    await cluster.elapse(2_000);
    for (const [client, ref] of [
      [cid, history],
      [stranger, publishing],
    ] as const) {
      expect(errorOf(client, ref)).toMatchObject({ code: ErrorCode.UNAVAILABLE, retryable: true });
    }
  });
});
