// Who hears that a room has moved on, when the room's owner changes.

import { describe, expect, it } from "vitest";
import { useCluster } from "../use-cluster.js";
import { type TestClient, text } from "../use-core.js";
import { call } from "../user/use-inbox.js";

function tops(client: TestClient): unknown[] {
  return client.all("signals").flatMap(({ value: { top } }) => (top === undefined ? [] : [top]));
}

describe("the top of a room whose owner changes", () => {
  it("is not told to who was removed while another node owned it", async () => {
    const cluster = await useCluster();
    const roomId = cluster.roomIdOf(0);
    const shard = cluster.shardOf(roomId);
    const [ada, bob] = [await cluster.node(2).connect("ada"), await cluster.node(2).connect("bob")];
    await cluster.node(2).room(ada, roomId, "bob");
    await ada.ask(text(roomId, "m1"));
    await cluster.elapse(2_000);
    const before = tops(bob).length;
    expect(before).toBeGreaterThan(0);
    await cluster.move(shard, cluster.node(1));
    await cluster.elapse(1_000);
    await call(ada, { case: "removeMember", value: { roomId, key: "remove", userId: "bob" } });
    await cluster.elapse(2_000);
    await cluster.move(shard, cluster.node(0));
    await cluster.elapse(1_000);
    await ada.ask(text(roomId, "m2"));
    await cluster.elapse(2_000);
    expect(tops(bob).length).toBe(before);
  });

  it("is no fault of the node that had it, and is told by the one that has it", async () => {
    const cluster = await useCluster();
    const roomId = cluster.roomIdOf(0);
    const faults: unknown[] = [];
    for (const { telemetry } of cluster.nodes) telemetry.on("fault", (fault) => faults.push(fault));
    const [ada, bob] = [await cluster.node(2).connect("ada"), await cluster.node(2).connect("bob")];
    await cluster.node(2).room(ada, roomId, "bob");
    await ada.ask(text(roomId, "m1"));
    cluster.abandon(cluster.shardOf(roomId));
    await cluster.elapse(10_000);
    cluster.seize(cluster.shardOf(roomId), cluster.node(1));
    await cluster.elapse(2_000);
    await ada.ask(text(roomId, "m2"));
    await cluster.elapse(2_000);
    expect(tops(bob).at(-1)).toMatchObject({ roomId, lastMessageIndex: 2 });
    expect(faults).toEqual([]);
  });
});
