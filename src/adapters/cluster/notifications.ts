// Notifications on Kafka: whoever reaches users who are away reads them from a topic.

import { toBinary } from "@bufbuild/protobuf";
import { type Notification, NotificationSchema } from "../../gen/trunkline/v1/outlet_pb.js";
import type { Clock } from "../../ports/clock.js";
import type { Notifier } from "../../ports/notifier.js";
import { DEFAULT_TOPIC_PREFIX } from "./kafka/names.js";
import type { KafkaConnectionOptions } from "./kafka/options.js";
import type { TopicSettings } from "./kafka/topic.js";
import { openTopicWriter, type TopicWriter } from "./kafka/topic-writer.js";
import { CONTENT_TYPE, PROTOBUF } from "./message-headers.js";

export interface NotificationsOptions
  extends KafkaConnectionOptions,
    Omit<TopicSettings, "partitions" | "maxMessageBytes"> {
  /** Begins the name of each topic of the cluster. Default "trunkline". */
  readonly topicPrefix?: string;
  /** Partitions of the topic, where it is made. Default 16. */
  readonly partitions?: number;
  readonly clock: Clock;
}

const DEFAULT_PARTITIONS = 16;
/** The longest: all that a body and a hundred devices may take. */
const MAX_MESSAGE_BYTES = 1024 * 1024;
/** Names the notification: the same whenever it is written again. */
const NOTIFICATION_ID = "notification-id";

export function notificationsTopic(prefix = DEFAULT_TOPIC_PREFIX): string {
  return `${prefix}.notifications`;
}

/** Makes the topic where it is missing. Rejects with a TopicError where it does not fit, and with Kafka's error where it cannot be asked. */
export async function openNotifications(options: NotificationsOptions): Promise<Notifications> {
  const { partitions = DEFAULT_PARTITIONS } = options;
  const topic = notificationsTopic(options.topicPrefix);
  return new Notifications(
    await openTopicWriter({ ...options, topic, partitions, maxMessageBytes: MAX_MESSAGE_BYTES }),
  );
}

export class Notifications implements Notifier {
  readonly #writer: Pick<TopicWriter, "write" | "close">;

  constructor(writer: Pick<TopicWriter, "write" | "close">) {
    this.#writer = writer;
  }

  /** The key is `tenant/user`, so that a user's notifications keep their order. */
  notify(notification: Notification): Promise<void> {
    const { tenantId, userId, notificationId } = notification;
    return this.#writer.write({
      key: `${tenantId}/${userId}`,
      value: toBinary(NotificationSchema, notification),
      headers: [
        { name: CONTENT_TYPE, value: PROTOBUF },
        { name: NOTIFICATION_ID, value: notificationId },
      ],
    });
  }

  /** What is not written yet is refused. */
  close(): void {
    this.#writer.close();
  }
}
