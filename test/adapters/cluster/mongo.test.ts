// The archive over MongoDB, or over what stands in for it: behaviour, never speed.

import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { MongoNetworkError } from "mongodb";
import { expect, it, onTestFinished, vi } from "vitest";
import { connectMongo } from "../../../src/adapters/cluster/mongo.js";
import { MongoArchive } from "../../../src/adapters/cluster/mongo-archive.js";
import { MongoOutletStore } from "../../../src/adapters/cluster/mongo-outlet-store.js";
import { DeadLetterDocumentSchema } from "../../../src/gen/trunkline/store/v1/documents_pb.js";
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
    /** As where the connection is lost, and the server carries out later what came over it. */
    const delayUnpark = () => {
      const written = collections.parked.bulkWrite.bind(collections.parked);
      let late: (() => Promise<unknown>) | undefined;
      vi.spyOn(collections.parked, "bulkWrite").mockImplementationOnce(async (...write) => {
        late = () => written(...write);
        throw new MongoNetworkError("the connection was lost");
      });
      return async () => void (await late?.());
    };
    return { archive, outlets, collections, shards: SHARDS, delayUnpark, close };
  };
  describeArchive("MongoDB", open);
  describeUserArchive("MongoDB", open);
  describeOutletStore("MongoDB", open);

  it("knows a server that is no member of a replica set", async () => {
    const connection = await connectMongo({ url, database: `t-${randomUUID()}`, shards: SHARDS });
    await connection.close();
    expect(connection.isAlone).toBe(!url.includes("replicaSet="));
  });

  it("has kept a dead letter, though it could not count how many there are", async () => {
    const { outlets, collections, close } = await open();
    onTestFinished(close);
    const counting = vi.spyOn(collections.deadLetters, "countDocuments").mockRejectedValueOnce(new Error("away"));
    const letter = create(DeadLetterDocumentSchema, {
      letterId: "a",
      tenantId: "acme",
      roomId: "r",
      firstSeq: 1,
      lastSeq: 1,
    });
    await outlets.bury("one", letter);
    expect(await outlets.deadLetters("one", { after: "", limit: 10 })).toEqual([letter]);
    await outlets.bury("one", create(DeadLetterDocumentSchema, { ...letter, letterId: "b" }));
    expect(counting).toHaveBeenCalledTimes(2);
  });

  it("says UNAVAILABLE once the connection is closed", async () => {
    const { archive, outlets, close } = await open();
    await close();
    await expect(archive.archived(0)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    await expect(outlets.forget("one", "a")).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
    await expect(outlets.parked("one", [0])).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });
});
