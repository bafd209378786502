// The local log of notifications and the dead letters, as an operator sees them.

import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { EmbeddedStore } from "../../../src/adapters/embedded/lmdb.js";
import { NOTIFICATIONS } from "../../../src/adapters/embedded/notification-log.js";
import { OutletsFromOutside } from "../../../src/adapters/embedded/outlets-from-outside.js";
import { DeadLetterDocumentSchema } from "../../../src/gen/trunkline/store/v1/documents_pb.js";
import { NotificationSchema } from "../../../src/gen/trunkline/v1/outlet_pb.js";
import { StoppedClock, useDirectory, useStore } from "./use-store.js";

/** The store as another process would see it: LMDB wants an environment to be opened once by each. */
async function fromOutside<T>(store: EmbeddedStore, look: (outside: OutletsFromOutside) => T | Promise<T>): Promise<T> {
  await store.close();
  const outside = await OutletsFromOutside.open(store.directory);
  try {
    return await look(outside);
  } finally {
    await outside.close();
  }
}

test("the last notifications are kept, without what messages say", async () => {
  const [directory, clock] = [await useDirectory(), new StoppedClock()];
  const store = await useStore({ directory, clock });
  const body = { kind: { case: "text" as const, value: "secret" } };
  const notification = create(NotificationSchema, { notificationId: "n0", userId: "bob", count: 2, body });
  await store.notifications.notify(notification);
  expect(notification.body?.kind).toEqual(body.kind);
  const [first] = await fromOutside(store, (outside) => outside.notifications());
  expect(first).toMatchObject({ atMs: 0, notification: { notificationId: "n0", userId: "bob", count: 2 } });
  expect(first?.notification?.body).toBeUndefined();

  const again = await useStore({ directory, clock });
  const more = Array.from({ length: NOTIFICATIONS + 1 }, (_, index) => `m${index}`);
  for (let from = 0; from < more.length; from += 100) {
    clock.advance(1);
    const some = more.slice(from, from + 100).map((notificationId) => create(NotificationSchema, { notificationId }));
    await Promise.all(some.map((each) => again.notifications.notify(each)));
  }
  const kept = await fromOutside(again, (outside) => outside.notifications());
  const ids = new Set(kept.map((each) => each.notification?.notificationId));
  expect(ids.size).toBe(NOTIFICATIONS);
  expect(more.slice(100).every((id) => ids.has(id))).toBe(true);
});

test("dead letters of all outlets are listed from outside, and what is asked for there the server sees", async () => {
  const directory = await useDirectory();
  const store = await useStore({ directory });
  for (const [outlet, letterId] of [
    ["events.b", "2"],
    ["events.a", "1"],
    ["events.b", "1"],
  ] as const) {
    await store.outlets.bury(outlet, create(DeadLetterDocumentSchema, { letterId, roomId: "r" }));
  }
  const listed = await fromOutside(store, async (outside) => {
    const letters = outside.deadLetters();
    for (const letter of letters.slice(1)) await outside.retry(letter);
    return letters.map(({ outlet, letter }) => `${outlet} ${letter.letterId}`);
  });
  expect(listed).toEqual(["events.a 1", "events.b 1", "events.b 2"]);
  const { outlets, log } = await useStore({ directory });
  const shards = Array.from({ length: log.shards }, (_, shard) => shard);
  expect(await outlets.retries("events.b", shards, 10)).toEqual(["1", "2"]);
  expect(await outlets.retries("events.a", shards, 10)).toEqual([]);
});

test("a directory without a store is not made one", async () => {
  await expect(OutletsFromOutside.open(await useDirectory())).rejects.toThrow(/holds no store$/);
});
