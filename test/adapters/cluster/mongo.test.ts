// The archive over MongoDB, or over what stands in for it: behaviour, never speed.

import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { connectMongo } from "../../../src/adapters/cluster/mongo.js";
import { MongoArchive } from "../../../src/adapters/cluster/mongo-archive.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { describeArchive } from "../../contract/archive.js";
import { describeUserArchive } from "../../contract/user-archive.js";
import { describeWith } from "../../support/services/describe-with.js";

describeWith("mongo", "an archive in MongoDB", (url) => {
  const open = async () => {
    const connection = await connectMongo({ url, database: `t-${randomUUID()}` });
    return { archive: new MongoArchive(connection.collections), close: connection.close };
  };
  describeArchive("MongoDB", open);
  describeUserArchive("MongoDB", open);

  it("says UNAVAILABLE once the connection is closed", async () => {
    const { archive, close } = await open();
    await close();
    await expect(archive.archived(0)).rejects.toMatchObject({ code: ErrorCode.UNAVAILABLE });
  });
});
