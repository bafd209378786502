// Two nodes believe to own a room: the one that is behind keeps nothing from who reads there, and says nothing that is not so.

import { describe, expect, it, vi } from "vitest";
import { roomRef } from "../../../src/ports/room-ref.js";
import { useCluster } from "../use-cluster.js";
import { settle, text } from "../use-core.js";

describe("a reader at an owner that does not know of the other one", () => {
  it("is handed what the other has said once it can be read, and is not told to start over meanwhile", async () => {
    const cluster = await useCluster();
    const roomId = cluster.roomIdOf(0);
    const [behind, ahead] = [cluster.node(0), cluster.node(1)];
    const ann = await behind.connect("ann");
    await behind.room(ann, roomId, "bob");
    ann.send({ case: "subscribe", value: { roomId } });
    await settle();
    const bob = await ahead.connect("bob");

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
});
