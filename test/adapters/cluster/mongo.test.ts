// The archive over MongoDB, or over what stands in for it: behaviour, never speed.

import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { connectMongo } from "../../../src/adapters/cluster/mongo.js";
import { MongoArchive } from "../../../src/adapters/cluster/mongo-archive.js";
import { MongoOutletStore } from "../../../src/adapters/cluster/mongo-outlet-store.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { describeArchive } from "../../contract/archive.js";
import { describeOutletStore } from "../../contract/outlet-store.js";
import { describeUserArchive } from "../../contract/user-archive.js";
import { describeWith } from "../../support/services/describe-with.js";

const SHARDS = 3;

describeWith("mongo", "an archive in MongoDB", (url) => {
  const open = async () => {
    const connection = await connectMongo({ url, database: `t-${randomUUID()}`, shards: SHARDS });
    const { collections, close } = connection;
    const [archive, outlets] = [new MongoArchive(collections), new MongoOutletStore(collections)];
    return { archive, outlets, shards: SHARDS, close };
  };
  describeArchive("MongoDB", open);
  describeUserArchive("MongoDB", open);
  describeOutletStore("MongoDB", open);

  it("knows a server that is no member of a replica set", async () => {
    const connection = await connectMongo({ url, database: `t-${randomUUID()}`, shards: SHARDS });
    await connection.close();
    expect(connection.isAlone).toBe(!url.includes("replicaSet="));
  });

  it("says UNAVAILABLE once the connection is closed", async () => {
    const { archive, outlets, close } = await open();
    await close();
    await expect(archive.archived(0)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    await expect(outlets.forget("one", "a")).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    await expect(outlets.parked("one", [0])).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });
});
