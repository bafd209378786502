// Commands and reads of a room at nodes that do not own it.

import { describe, expect, it } from "vitest";
import { useCluster } from "../use-cluster.js";
import { settle, text } from "../use-core.js";

describe("a node that does not own a room", () => {
  it("publishes to it: members on all nodes get it in order, once", async () => {
    const cluster = await useCluster();
    const roomId = cluster.roomIdOf(0);
    const [one, two, three] = [cluster.node(0), cluster.node(1), cluster.node(2)];
    const ann = await two.connect("ann");
    await two.room(ann, roomId, "bob", "cid");
    const clients = [ann, await one.connect("bob"), await three.connect("cid")];
    for (const client of clients) {
      const answer = await client.ask({ case: "subscribe", value: { roomId } });
      expect(answer.case).toBe("subscribed");
    }
    const refs = Array.from({ length: 5 }, (_, index) => ann.send(text(roomId, `k${index}`)));
    await settle();
    expect(refs.map((ref) => ann.reply(ref).case)).toEqual(refs.map(() => "published"));
    for (const client of clients) expect(client.seqs(roomId)).toEqual([2, 3, 4, 5, 6]);
  });
});
