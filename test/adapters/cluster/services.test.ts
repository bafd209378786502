// The services that the cluster's tests stand on are there, and are what they say.

import { Redis } from "ioredis";
import { MongoClient } from "mongodb";
import { expect, it } from "vitest";
import { describeWith } from "../../support/services/describe-with.js";
import { kafkaOf } from "../../support/services/kafka-client.js";

describeWith("redis", "the Redis of the tests", (url) => {
  it("takes a script", async () => {
    const redis = new Redis(url);
    expect(await redis.eval("return redis.call('incr', KEYS[1])", 1, "services:count")).toBeGreaterThan(0);
    await redis.quit();
  });
});

describeWith("kafka", "the Kafka of the tests", (url) => {
  it("has a broker", async () => {
    const admin = kafkaOf(url).admin();
    await admin.connect();
    expect((await admin.describeCluster()).brokers).not.toHaveLength(0);
    await admin.disconnect();
  });
});

describeWith("mongo", "the MongoDB of the tests", (url) => {
  it("replaces a document only by a newer one", async () => {
    const client = await MongoClient.connect(url);
    const things = client.db("services").collection<{ _id: string; seq: number }>("things");
    await things.deleteMany({});
    await things.insertOne({ _id: "a", seq: 2 });
    await things.updateOne({ _id: "a", seq: { $lt: 1 } }, { $set: { seq: 1 } });
    expect(await things.findOne({ _id: "a" })).toEqual({ _id: "a", seq: 2 });
    await client.close();
  });
});
