// The local log of notifications: the last ones, for an operator to look at.

import { clone, create, toBinary } from "@bufbuild/protobuf";
import { NotificationDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import { type Notification, NotificationSchema } from "../../gen/trunkline/v1/outlet_pb.js";
import type { Clock } from "../../ports/clock.js";
import type { Notifier } from "../../ports/notifier.js";
import type { GroupCommit, Write } from "./group-commit.js";
import { everything, notificationKey } from "./keys.js";
import type { Tables } from "./tables.js";

/** Notifications kept; with more, the oldest go. */
export const NOTIFICATIONS = 1_000;

export class NotificationLog implements Notifier {
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  readonly #clock: Clock;
  /** One commit after the other: each looks at what is there. */
  #written: Promise<void> = Promise.resolve();
  /** What the next commit writes, and its outcome. */
  #waiting: Notification[] = [];
  #next: Promise<void> | undefined;

  constructor(tables: Tables, commit: GroupCommit, clock: Clock) {
    this.#tables = tables;
    this.#commit = commit;
    this.#clock = clock;
  }

  /** What the message says is left out: it may be deleted, and a log does not notice. */
  notify(notification: Notification): Promise<void> {
    const kept = clone(NotificationSchema, notification);
    kept.body = undefined;
    this.#waiting.push(kept);
    if (this.#next !== undefined) return this.#next;
    const next = this.#written.then(() => {
      const waiting = this.#waiting;
      this.#waiting = [];
      this.#next = undefined;
      return this.#commit.commit(this.#writes(waiting));
    });
    this.#next = next;
    this.#written = next.catch(() => {});
    return next;
  }

  #writes(notifications: readonly Notification[]): readonly Write[] {
    const table = this.#tables.notifications;
    const atMs = this.#clock.now();
    const kept = [...table.getKeys(everything())];
    const removed = kept.slice(0, Math.max(0, kept.length + notifications.length - NOTIFICATIONS));
    const writes: Write[] = removed.map((key) => ({ table, key, value: undefined }));
    for (const notification of notifications.slice(-NOTIFICATIONS)) {
      const value = toBinary(NotificationDocumentSchema, create(NotificationDocumentSchema, { atMs, notification }));
      writes.push({ table, key: notificationKey(atMs, notification.notificationId), value });
    }
    return writes;
  }
}
