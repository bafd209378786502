// MongoDB is lost, and restored from a copy that was taken a while ago: what is younger comes from Kafka.

import { MongoClient } from "mongodb";
import { afterAll, expect, test } from "vitest";
import { describeCluster } from "../support/cluster/describe-cluster.js";
import { TestCluster } from "../support/cluster/test-cluster.js";
import { Person } from "../support/story/person.js";

const START_MS = 120_000;

describeCluster("a cluster whose MongoDB was restored", (services) => {
  const cluster = new TestCluster({ services });
  const copy = `${cluster.name}-copy`;
  afterAll(() => cluster.dispose(), START_MS);

  /** All collections as they are, while no node writes. */
  async function copyArchive(): Promise<void> {
    const client = await new MongoClient(services.mongo).connect();
    try {
      const from = client.db(cluster.name);
      for (const { name } of await from.listCollections().toArray()) {
        const documents = await from.collection(name).find().toArray();
        if (documents.length > 0) await client.db(copy).collection(name).insertMany(documents);
      }
    } finally {
      await client.close();
    }
  }

  test("has what was said after the copy was taken, each once and in order", { timeout: START_MS }, async () => {
    const rooms = ["harbour", "market", "yard", "pier"];
    const node = cluster.node("one");
    await node.start();
    await node.ready();
    const ada = await new Person(node, "ada").comes();
    for (const room of rooms) {
      await ada.makes(room, { members: [{ userId: "bob" }, { userId: "carl" }] });
      await ada.says(room, "before");
    }
    expect(await node.stop()).toBe(0);
    await copyArchive();
    await node.start();
    await node.ready();
    const bob = await new Person(node, "bob").comes();
    for (const room of rooms) await bob.says(room, "after");
    expect(await node.stop()).toBe(0);

    const restored = cluster.node("restored", { environment: { TRUNKLINE_MONGODB_DATABASE: copy } });
    await restored.start();
    await restored.ready();
    const carl = await new Person(restored, "carl").comes();
    for (const room of rooms) {
      await carl.reads(room);
      await carl.says(room, "now");
      await carl.sees(room, "ada: before", "bob: after", "carl: now");
    }
    expect(cluster.faults).toEqual([]);
  });
});
