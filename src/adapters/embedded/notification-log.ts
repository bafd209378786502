// The local log of notifications: the last ones, for an operator to look at.

import { clone, create, toBinary } from "@bufbuild/protobuf";
import { NotificationDocumentSchema } from "../../gen/trunkline/store/v1/documents_pb.js";
import { type Notification, NotificationSchema } from "../../gen/trunkline/v1/outlet_pb.js";
import type { Clock } from "../../ports/clock.js";
import type { Notifier } from "../../ports/notifier.js";
import type { GroupCommit, Write } from "./group-commit.js";
import { EVERYTHING, notificationKey } from "./keys.js";
import type { Tables } from "./tables.js";

/** Notifications kept; with more, the oldest go. */
export const NOTIFICATIONS = 1_000;

export class NotificationLog implements Notifier {
  readonly #tables: Tables;
  readonly #commit: GroupCommit;
  readonly #clock: Clock;
  /** One after the other: each looks at what is there. */
  #written: Promise<void> = Promise.resolve();

  constructor(tables: Tables, commit: GroupCommit, clock: Clock) {
    this.#tables = tables;
    this.#commit = commit;
    this.#clock = clock;
  }

  /** What the message says is left out: it may be deleted, and a log does not notice. */
  notify(notification: Notification): Promise<void> {
    const kept = clone(NotificationSchema, notification);
    kept.body = undefined;
    const written = this.#written.then(() => this.#commit.commit(this.#writes(kept)));
    this.#written = written.catch(() => {});
    return written;
  }

  #writes(notification: Notification): readonly Write[] {
    const table = this.#tables.notifications;
    const atMs = this.#clock.now();
    const kept = [...table.getKeys(EVERYTHING)];
    const removed = kept.slice(0, Math.max(0, kept.length + 1 - NOTIFICATIONS));
    const writes: Write[] = removed.map((key) => ({ table, key, value: undefined }));
    const value = toBinary(NotificationDocumentSchema, create(NotificationDocumentSchema, { atMs, notification }));
    writes.push({ table, key: notificationKey(atMs, notification.notificationId), value });
    return writes;
  }
}
