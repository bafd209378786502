// An operator's commands on what a cluster keeps, beside its nodes or without any.

import { randomUUID } from "node:crypto";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { beforeAll, expect, test } from "vitest";
import { connectMongo } from "../../src/adapters/cluster/mongo.js";
import { MongoOutletStore } from "../../src/adapters/cluster/mongo-outlet-store.js";
import { openNotifications } from "../../src/adapters/cluster/notifications.js";
import { backupCommand } from "../../src/cli/backup.js";
import { deadLettersCommand } from "../../src/cli/dead-letters.js";
import { notificationsCommand } from "../../src/cli/notifications.js";
import { replayCommand } from "../../src/cli/replay.js";
import { runCommandLine } from "../../src/cli/run.js";
import { DeadLetterDocumentSchema } from "../../src/gen/trunkline/store/v1/documents_pb.js";
import { NotificationSchema } from "../../src/gen/trunkline/v1/outlet_pb.js";
import { createSystemClock } from "../../src/ops/clock.js";
import { shardOf } from "../../src/ports/shard.js";
import { testTerminal } from "../cli/test-terminal.js";
import { describeCluster } from "../support/cluster/describe-cluster.js";

const COMMANDS = [notificationsCommand, deadLettersCommand, replayCommand, backupCommand];
const SHARDS = 4;
const START_MS = 120_000;
const AT_MS = 1_790_000_000_000;

describeCluster("commands of a cluster", (services) => {
  const name = `test-${randomUUID()}`;
  const environment = {
    TRUNKLINE_ENGINE: "cluster",
    TRUNKLINE_CLUSTER_NAME: name,
    TRUNKLINE_KAFKA_BROKERS: services.kafka,
    TRUNKLINE_MONGODB_URL: services.mongo,
    TRUNKLINE_MONGODB_DATABASE: name,
  };

  async function run(line: string, differing: Readonly<Record<string, string>> = {}) {
    const terminal = testTerminal({ environment: { ...environment, ...differing } });
    const code = await runCommandLine(COMMANDS, line.split(" "), terminal, "1.2.3");
    const lines = terminal.printed().split("\n").filter(Boolean);
    return { code, lines, err: terminal.complained() };
  }

  async function withStore<T>(use: (store: MongoOutletStore) => Promise<T>): Promise<T> {
    const mongo = await connectMongo({ url: services.mongo, database: name, shards: SHARDS });
    try {
      return await use(new MongoOutletStore(mongo.collections));
    } finally {
      await mongo.close();
    }
  }

  beforeAll(async () => {
    await withStore(async (store) => {
      for (const [outlet, letterId] of [
        ["orders", "b"],
        ["orders", "a"],
        ["audit", "c"],
      ] as const) {
        await store.bury(outlet, letter(letterId));
      }
    });
    const topics = { brokers: services.kafka.split(","), replication: 1, allowUnsafe: true, partitions: 3 };
    const notifications = await openNotifications({ ...topics, topicPrefix: name, clock: createSystemClock() });
    for (const index of [1, 3, 2]) {
      await notifications.notify(
        create(NotificationSchema, {
          notificationId: `n${index}`,
          tenantId: "acme",
          userId: `user-${index}`,
          sentAt: timestampFromMs(AT_MS + index),
          body: { kind: { case: "text", value: "a secret" } },
        }),
      );
    }
    notifications.close();
  }, START_MS);

  test("print the dead letters in MongoDB, by outlet, the oldest first", async () => {
    const { code, lines } = await run("dead-letters");
    expect(code).toBe(0);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      expect.objectContaining({ outlet: "audit", id: "c" }),
      expect.objectContaining({ outlet: "orders", id: "a", tenantId: "acme", roomId: "r", firstSeq: 3, reason: "500" }),
      expect.objectContaining({ outlet: "orders", id: "b" }),
    ]);
  });

  test("have a dead letter tried once more by the owner of its room", async () => {
    expect((await run("replay b")).lines).toEqual(["1 to be tried once more"]);
    const shard = shardOf("acme/r", SHARDS);
    expect(await withStore(async (store) => store.retries("orders", [shard], 10))).toEqual(["b"]);
    const { code, err } = await run("replay nobody");
    expect(code).not.toBe(0);
    expect(err).toContain("there is no dead letter nobody");
  });

  test("print the notifications in Kafka, the oldest first, without what was said", async () => {
    const { code, lines, err } = await run("notifications");
    expect(err).toBe("");
    expect(code).toBe(0);
    expect(lines.map((line) => JSON.parse(line).notification.notificationId)).toEqual(["n1", "n2", "n3"]);
    expect(lines.join()).not.toContain("secret");
  });

  test("make no topic where there is none, and say so", async () => {
    const { code, err } = await run("notifications", { TRUNKLINE_CLUSTER_NAME: `${name}-other` });
    expect(code).toBe(3);
    expect(err).toContain(`there is no topic ${name}-other.notifications`);
  });

  test("say what to back a cluster up with", async () => {
    const { code, err } = await run("backup ./anywhere");
    expect(code).not.toBe(0);
    expect(err).toContain("mongodump");
  });

  test("say in one line that MongoDB is not there", async () => {
    const { code, err } = await run("dead-letters", { TRUNKLINE_MONGODB_URL: "mongodb://127.0.0.1:1/" });
    expect(code).toBe(3);
    expect(err).toMatch(/^trunkline: MongoDB: .*ECONNREFUSED/);
  });
});

function letter(letterId: string) {
  return create(DeadLetterDocumentSchema, {
    letterId,
    tenantId: "acme",
    roomId: "r",
    firstSeq: 3,
    lastSeq: 4,
    reason: "500",
  });
}
