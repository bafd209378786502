// The application's say in who is in a room, where the room's owner changes.

import { expect, it } from "vitest";
import { ScriptedAccessHook } from "../hook/scripted-access-hook.js";
import { useCluster } from "../use-cluster.js";
import { settle, text } from "../use-core.js";

it("lets in who has spoken before there was an owner, and answers them and whoever speaks after", async () => {
  const hook = new ScriptedAccessHook();
  const cluster = await useCluster({ accessHook: hook.rules() });
  const roomId = cluster.roomIdOf(0);
  hook.put("ann", roomId).put("bob", roomId);
  const ann = await cluster.node(0).connect("ann");
  await cluster.node(0).room(ann, roomId);
  const shard = cluster.shardOf(roomId);
  const bob = await cluster.node(1).connect("bob");
  cluster.abandon(shard);
  const first = bob.send(text(roomId, "m1"));
  const second = bob.send(text(roomId, "m2"));
  cluster.seize(shard, cluster.node(1));
  await settle();
  await cluster.elapse(500);
  expect([bob.reply(first).case, bob.reply(second).case]).toEqual(["published", "published"]);
});
