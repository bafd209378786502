// Two nodes believe to own a room: the one that is behind keeps nothing from who reads there, and says nothing that is not so.

import { describe, expect, it, vi } from "vitest";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { useCluster } from "../use-cluster.js";
import { settle, text } from "../use-core.js";

/** A room whose first owner does not know of the second, with somebody at each. */
async function useTwoOwners() {
  const cluster = await useCluster();
  const roomId = cluster.roomIdOf(0);
  const [behind, ahead] = [cluster.node(0), cluster.node(1)];
  const ann = await behind.connect("ann");
  await behind.room(ann, roomId, "bob");
  ann.send({ case: "subscribe", value: { roomId } });
  await settle();
  const bob = await ahead.connect("bob");
  return { cluster, roomId, ahead, ann, bob };
}

describe("a reader at an owner that does not know of the other one", () => {
  it("is handed what the other has said once it can be read, and is not told to start over meanwhile", async () => {
    const { cluster, roomId, ahead, ann, bob } = await useTwoOwners();
    // What the other owner writes is archived late, and was announced while nobody listened.
    const archived = Promise.withResolvers<void>();
    const { archive, fanout } = cluster.engine;
    const apply = archive.apply.bind(archive);
    vi.spyOn(archive, "apply").mockImplementation(async (...changes) => {
      await archived.promise;
      return apply(...changes);
    });
    cluster.share(cluster.shardOf(roomId), ahead, false);
    await cluster.elapse(1_000);
    cluster.engine.lostAnnouncements = 1;
    const ref = bob.send(text(roomId, "k"));
    await settle();
    expect(bob.reply(ref)).toMatchObject({ case: "published", value: { position: { seq: 2 } } });
    fanout.top(roomRef("acme", roomId), 2);
    await cluster.elapse(2_000);
    expect(ann.all("subscribed")).toHaveLength(1);

    archived.resolve();
    await cluster.elapse(5_000);
    expect(ann.seqs(roomId)).toEqual([2]);
  });

  it("is not told that it knows more than there is where the archive does not have it yet either", async () => {
    const { cluster, roomId, ahead, ann, bob } = await useTwoOwners();
    const archived = Promise.withResolvers<void>();
    const { archive } = cluster.engine;
    const apply = archive.apply.bind(archive);
    vi.spyOn(archive, "apply").mockImplementation(async (...changes) => {
      await archived.promise;
      return apply(...changes);
    });
    cluster.share(cluster.shardOf(roomId), ahead, false);
    await cluster.elapse(1_000);
    cluster.engine.lostAnnouncements = 1;
    const published = await bob.ask(text(roomId, "k"));
    if (published.case !== "published") throw new Error(`it was answered with ${published.case}`);
    const { position } = published.value;
    await ann.ask({ case: "unsubscribe", value: { roomId } });
    const subscribe = (seq: number, tag: number) =>
      ann.ask({ case: "subscribe", value: { roomId, after: { seq, tag } } });
    const again = await subscribe(position?.seq ?? 0, position?.tag ?? 0);
    expect(again).toMatchObject({ case: "error", value: { code: ErrorCode.UNAVAILABLE, retryable: true } });
    const beyond = await subscribe(9, 9);
    expect(beyond).toMatchObject({ case: "subscribed", value: { outcome: { case: "reset" } } });
    archived.resolve();
    await cluster.elapse(5_000);
  });

  it("is shown what the other has said within some seconds, though nothing is said at this one", async () => {
    const { cluster, roomId, ahead, ann, bob } = await useTwoOwners();
    const shard = cluster.shardOf(roomId);
    cluster.share(shard, ahead, false);
    await cluster.elapse(1_000);
    cluster.engine.lostAnnouncements = Number.POSITIVE_INFINITY;
    expect(await bob.ask(text(roomId, "k"))).toMatchObject({ case: "published" });
    // The other one is not the owner any more, and nobody else has noticed.
    ahead.placement.lose(shard);
    await cluster.elapse(8_000);
    const history = await ann.ask({ case: "call", value: { rpc: { case: "getHistory", value: { roomId } } } });
    expect(history).toMatchObject({ value: { rpc: { value: { asOf: { seq: 2 } } } } });
  });

  it("is shown what the other has said while this one took long to open the shard", async () => {
    const { cluster, roomId, ahead, ann, bob } = await useTwoOwners();
    const shard = cluster.shardOf(roomId);
    const behind = cluster.node(0);
    const { archive } = cluster.engine;
    behind.placement.lose(shard);
    const archived = Promise.withResolvers<void>();
    const apply = archive.apply.bind(archive);
    vi.spyOn(archive, "apply").mockImplementation(async (...changes) => {
      await archived.promise;
      return apply(...changes);
    });
    cluster.share(shard, ahead, false);
    await cluster.elapse(1_000);
    expect(await bob.ask(text(roomId, "k1"))).toMatchObject({ case: "published" });
    // What this one has to fold waits for the archive, for longer than a lease lasts.
    const known = Promise.withResolvers<void>();
    const room = archive.room.bind(archive);
    const asked = vi.spyOn(archive, "room").mockImplementationOnce(async (ref) => {
      await known.promise;
      return room(ref);
    });
    cluster.share(shard, behind, false);
    await settle();
    expect(asked).toHaveBeenCalledOnce();
    cluster.engine.lostAnnouncements = Number.POSITIVE_INFINITY;
    // The first is refused to an owner that was displaced.
    expect(await bob.ask(text(roomId, "k2"))).toMatchObject({ case: "error" });
    await cluster.elapse(3_500);
    expect(await bob.ask(text(roomId, "k3"))).toMatchObject({ case: "published" });
    ahead.placement.lose(shard);
    known.resolve();
    archived.resolve();
    await cluster.elapse(100);
    const read = () => ann.ask({ case: "call", value: { rpc: { case: "getHistory", value: { roomId } } } });
    // It opens anew, and shows nothing until then.
    expect(await read()).toMatchObject({ case: "error", value: { retryable: true } });
    await cluster.elapse(1_000);
    expect(await read()).toMatchObject({ value: { rpc: { value: { asOf: { seq: 3 } } } } });
  });

  it("is not told that it knows more than there is", async () => {
    const { cluster, roomId, ahead, ann, bob } = await useTwoOwners();
    cluster.share(cluster.shardOf(roomId), ahead, false);
    await cluster.elapse(1_000);
    const published = await bob.ask(text(roomId, "k"));
    if (published.case !== "published") throw new Error(`it was answered with ${published.case}`);
    await cluster.elapse(1_000);
    expect(ann.seqs(roomId)).toEqual([2]);
    await ann.ask({ case: "unsubscribe", value: { roomId } });
    const { position } = published.value;
    const after = { seq: position?.seq ?? 0, tag: position?.tag ?? 0 };
    const again = await ann.ask({ case: "subscribe", value: { roomId, after } });
    expect(again).toMatchObject({ case: "error", value: { code: ErrorCode.UNAVAILABLE, retryable: true } });
    const beyond = await ann.ask({ case: "subscribe", value: { roomId, after: { seq: 9, tag: 9 } } });
    expect(beyond).toMatchObject({ case: "subscribed", value: { outcome: { case: "reset" } } });
  });
});

it("is told to start over where it knows more than there is, also where the log has let go of what is archived", async () => {
  const { cluster, roomId } = await useTwoOwners();
  await cluster.elapse(6_000);
  const shard = cluster.shardOf(roomId);
  const state = cluster.engine.state.shards[shard];
  if (state === undefined) throw new Error("no shard");
  // Void records, and what stood before them, are gone by their age.
  state.begins = state.end + 3;
  const eve = await cluster.node(2).connect("ann");
  const subscribed = await eve.ask({ case: "subscribe", value: { roomId, after: { seq: 9, tag: 1 } } });
  expect(subscribed).toMatchObject({ case: "subscribed", value: { outcome: { case: "reset" } } });
});

describe("a node that gives a shard up while it opens it", () => {
  it("knows nothing from then when it opens it again", async () => {
    const cluster = await useCluster();
    const { archive } = cluster.engine;
    const [owner, other] = [cluster.node(0), cluster.node(1)];
    const first = cluster.roomIdOf(0, "first");
    const shard = cluster.shardOf(first);
    let second = cluster.roomIdOf(0, "second");
    for (let index = 0; cluster.shardOf(second) !== shard; index++) second = cluster.roomIdOf(0, `second-${index}`);
    const ann = await owner.connect("ann");
    for (const roomId of [first, second]) await owner.room(ann, roomId);
    // The first one is refused to an owner that was displaced.
    const publish = async (roomId: string, key: string) => {
      for (let attempt = 1; ; attempt++) {
        const ref = ann.send({ case: "publish", value: { ...text(roomId, key).value, attempt } });
        await cluster.elapse(1_000);
        const reply = ann.reply(ref);
        if (reply.case === "published") return reply.value.position?.seq;
        if (attempt > 5) throw new Error(`${key} was answered with ${reply.case}`);
      }
    };
    const archived = Promise.withResolvers<void>();
    const apply = archive.apply.bind(archive);
    vi.spyOn(archive, "apply").mockImplementation(async (...changes) => {
      await archived.promise;
      return apply(...changes);
    });
    for (const roomId of [first, second]) await publish(roomId, "k1");

    // The other one folds what is not archived, and is about to learn who spoke in the first room when its lease ends.
    const known = Promise.withResolvers<void>();
    const member = archive.member.bind(archive);
    const asked = vi.spyOn(archive, "member").mockImplementation(async (...of) => {
      await known.promise;
      return member(...of);
    });
    cluster.share(shard, other, false);
    await cluster.elapse(100);
    expect(asked).toHaveBeenCalledOnce();
    other.placement.lose(shard);
    archived.resolve();
    known.resolve();
    await cluster.elapse(6_000);

    // The room goes on where it was, and is archived, and then the other one has the shard after all.
    expect([await publish(second, "k2"), await publish(second, "k3")]).toEqual([3, 4]);
    await cluster.elapse(6_000);
    await cluster.move(shard, other);
    await cluster.elapse(1_000);
    expect(await publish(second, "k4")).toBe(5);
  });
});

it("counts the members of a room right though its last owner's documents are written while it is taken over", async () => {
  const { cluster, roomId, ann } = await useTwoOwners();
  const { archive } = cluster.engine;
  const next = cluster.node(2);
  const archived = Promise.withResolvers<void>();
  const apply = archive.apply.bind(archive);
  const applied = vi.spyOn(archive, "apply").mockImplementationOnce(async (...changes) => {
    await archived.promise;
    return apply(...changes);
  });
  const adding = { roomId, key: "a", members: [{ userId: "cem" }] };
  ann.send({ case: "call", value: { rpc: { case: "addMembers", value: adding } } });
  await settle();
  expect(applied).toHaveBeenCalled();

  // The next owner has read the room, and is about to read who of its members is concerned.
  const read = Promise.withResolvers<void>();
  const member = archive.member.bind(archive);
  const asked = vi.spyOn(archive, "member").mockImplementationOnce(async (...of) => {
    await read.promise;
    return member(...of);
  });
  cluster.seize(cluster.shardOf(roomId), next);
  await settle();
  expect(asked).toHaveBeenCalled();
  archived.resolve();
  await settle();
  read.resolve();
  await cluster.elapse(3_000);

  const cem = await next.connect("cem");
  const seen = await cem.ask({ case: "call", value: { rpc: { case: "getRoom", value: { roomId } } } });
  expect(seen).toMatchObject({ value: { rpc: { value: { room: { memberCount: 3 } } } } });
});
