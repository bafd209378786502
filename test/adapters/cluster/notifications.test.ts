// Notifications of users who are away, as whoever reaches them reads them from Kafka.

import { randomUUID } from "node:crypto";
import { create, fromBinary } from "@bufbuild/protobuf";
import { expect, it, onTestFinished } from "vitest";
import { TopicError } from "../../../src/adapters/cluster/kafka/topic.js";
import { openNotifications } from "../../../src/adapters/cluster/notifications.js";
import { type Notification, NotificationSchema } from "../../../src/gen/trunkline/v1/outlet_pb.js";
import { createSystemClock } from "../../../src/ops/clock.js";
import { describeWith } from "../../support/services/describe-with.js";
import { kafkaOf } from "../../support/services/kafka-client.js";
import { until } from "./use-inbound.js";

const TIMEOUT_MS = 60_000;

interface Read {
  readonly partition: number;
  readonly key: string;
  readonly type: string;
  readonly id: string;
  readonly notification: Notification;
}

describeWith("kafka", "notifications on Kafka", (url) => {
  const kafka = kafkaOf(url);
  const options = () => ({
    brokers: url.split(","),
    topicPrefix: `test-${randomUUID()}`,
    partitions: 4,
    replication: 1,
    allowUnsafe: true,
    clock: createSystemClock(),
  });

  async function read(topic: string): Promise<readonly Read[]> {
    const seen: Read[] = [];
    const consumer = kafka.consumer({ groupId: randomUUID(), maxWaitTimeInMs: 100 });
    onTestFinished(() => consumer.disconnect());
    await consumer.connect();
    await consumer.subscribe({ topic, fromBeginning: true });
    await consumer.run({
      eachMessage: async ({ partition, message: { key, value, headers } }) => {
        const notification = fromBinary(NotificationSchema, value ?? Buffer.alloc(0));
        const [type, id] = [String(headers?.["content-type"]), String(headers?.["notification-id"])];
        seen.push({ partition, key: String(key), type, id, notification });
      },
    });
    return seen;
  }

  it("are kept for each user in order, with whom they are for and what they are", { timeout: TIMEOUT_MS }, async () => {
    const opened = options();
    const notifications = await openNotifications(opened);
    onTestFinished(() => notifications.close());
    const sent = Array.from({ length: 300 }, (_, index) =>
      create(NotificationSchema, {
        notificationId: `n-${index}`,
        tenantId: "acme",
        userId: `user-${index % 3}`,
        roomId: "r",
        count: index,
      }),
    );
    await Promise.all(sent.map((each) => notifications.notify(each)));
    const seen = await read(`${opened.topicPrefix}.notifications`);
    await until(() => expect(seen).toHaveLength(sent.length));
    for (const user of ["user-0", "user-1", "user-2"]) {
      const theirs = seen.filter(({ key }) => key === `acme/${user}`);
      expect(theirs.map(({ notification }) => notification)).toEqual(sent.filter(({ userId }) => userId === user));
      expect(new Set(theirs.map(({ partition }) => partition)).size).toBe(1);
    }
    expect(seen.every(({ id, notification }) => id === notification.notificationId)).toBe(true);
    expect(new Set(seen.map(({ type }) => type))).toEqual(new Set(["application/x-protobuf"]));
  });

  it("are refused a topic that would lose them", { timeout: TIMEOUT_MS }, async () => {
    const opened = options();
    (await openNotifications(opened)).close();
    await expect(openNotifications({ ...opened, allowUnsafe: false })).rejects.toThrow(TopicError);
  });
});
