// People on a real backbone: two users, a room of the two of them, and a large one.

import { expect, it, vi } from "vitest";
import type { Client } from "../../../../bridge/client/client.js";
import type { RoomEntry } from "../../../../bridge/client/rooms/entry.js";
import { live, useBackbone, useClient } from "../use-backbone.js";

/** Of the other members, beyond which a room is large. */
const CROWD = 120;

async function until(assertion: () => void): Promise<void> {
  await vi.waitFor(assertion, { timeout: 10_000, interval: 20 });
}

async function useTwo(): Promise<{ readonly ada: Client; readonly ben: Client; restart(): Promise<void> }> {
  const server = await useBackbone();
  const [ada, ben] = [useClient(server.url, "ada"), useClient(server.url, "ben")];
  await Promise.all([live(ada), live(ben)]);
  return { ada, ben, restart: server.restart };
}

async function useDirect(ada: Client): Promise<string> {
  const { createRoom } = await ada.call({
    createRoom: { key: "direct", kind: "ROOM_KIND_DIRECT", members: [{ userId: "ben" }] },
  });
  return createRoom?.room?.roomId ?? "";
}

async function useCrowd(ada: Client): Promise<void> {
  const members = Array.from({ length: CROWD }, (_, index) => ({ userId: `member-${index}` }));
  await ada.call({ createRoom: { roomId: "crowd", key: "crowd", members: [{ userId: "ben" }] } });
  for (let from = 0; from < CROWD; from += 60) {
    await ada.call({ addMembers: { roomId: "crowd", key: `add-${from}`, members: members.slice(from, from + 60) } });
  }
}

function seen({ roomId, unreadCount, mentions, lastMessage }: RoomEntry) {
  return { roomId, unreadCount, mentions, text: lastMessage?.body?.text };
}

it("shows who types, and how far a message has come, to the other of two", async () => {
  const { ada, ben } = await useTwo();
  const id = await useDirect(ada);
  const [ofAda, ofBen] = [ada.room(id), ben.room(id)];
  const texts: (string | undefined)[] = [];
  ofBen.on("event", ({ messageCreated }) => {
    if (messageCreated !== undefined) texts.push(messageCreated.body?.text);
  });
  ofAda.open();
  ofBen.open();
  await until(() => expect([ofAda.state.status, ofBen.state.status]).toEqual(["live", "live"]));

  ofAda.typing.start();
  await until(() => expect(ofBen.typing.users).toEqual([{ userId: "ada", name: "ada" }]));
  expect(ofAda.typing.users).toEqual([]);
  const { position } = await ofAda.send("hello");
  const seq = position?.seq ?? 0;
  await until(() => expect(texts).toEqual(["hello"]));
  expect(ofBen.typing.users).toEqual([]);

  await until(() => expect(ofAda.receipts.receiptOf(seq)).toMatchObject({ status: "delivered", byAll: true }));
  ofBen.markRead();
  await until(() =>
    expect(ofAda.receipts.receiptOf(seq)).toEqual({ status: "read", byAll: true, delivered: 1, read: 1, others: 1 }),
  );
  await ben.call({ setReceiptPrivacy: { privacy: { hidden: true } } });
  ofAda.markRead();
  await until(() => expect(ofAda.receipts.own?.readSeq).toBe(seq));
  expect(ofBen.receipts.receiptOf(seq).read).toBe(0);
}, 30_000);

it("does not show a user as gone whose client has dropped the connection, and at once one that was closed", async () => {
  const { ada, ben } = await useTwo();
  await useDirect(ada);
  ada.presence.watch({ users: ["ben"] });
  const statuses = new Set<string | number | undefined>();
  ada.presence.onChange(({ users }) => statuses.add(users.get("ben")?.status));
  await until(() => expect([...statuses]).toEqual(["PRESENCE_STATUS_ONLINE"]));
  ben.drop();
  await until(() => expect(ben.state.status).toBe("live"));
  await ben.presence.set({ status: "PRESENCE_STATUS_AWAY" });
  await until(() => expect(ada.presence.of("ben").status).toBe("PRESENCE_STATUS_AWAY"));
  expect([...statuses]).toEqual(["PRESENCE_STATUS_ONLINE", "PRESENCE_STATUS_AWAY"]);
  ben.close();
  await until(() => expect(ada.presence.of("ben").status).toBe("PRESENCE_STATUS_OFFLINE"));
}, 30_000);

it("follows who is there, over a restart of the server, and counts a large room", async () => {
  const { ada, ben, restart } = await useTwo();
  await useCrowd(ada);
  const id = await useDirect(ada);
  const watch = ada.presence.watch({ users: ["ben"], rooms: [id] });
  ada.presence.watch({ users: ["ben", "nobody"], rooms: ["crowd", "no-such-room"] });
  await until(() => expect(ada.presence.of("ben").status).toBe("PRESENCE_STATUS_ONLINE"));
  await until(() => expect(ada.presence.counts.get("crowd")).toBe(2));
  expect(ada.presence.of("nobody").status).toBe("PRESENCE_STATUS_OFFLINE");

  await ben.presence.set({ status: "PRESENCE_STATUS_AWAY", text: "lunch" });
  await until(() => expect(ada.presence.of("ben")).toMatchObject({ status: "PRESENCE_STATUS_AWAY", text: "lunch" }));
  watch.close();
  await restart();
  await Promise.all([live(ada), live(ben)]);
  await until(() => expect(ada.presence.of("ben")).toMatchObject({ status: "PRESENCE_STATUS_AWAY", text: "lunch" }));
  ben.close();
  await until(() => expect(ada.presence.of("ben").status).toBe("PRESENCE_STATUS_OFFLINE"));
}, 30_000);

it("keeps the list of rooms as it is, whether they are open or not", async () => {
  const { ada, ben, restart } = await useTwo();
  ben.rooms.open();
  await until(() => expect(ben.rooms.ready).toBe(true));
  expect(ben.rooms.all).toEqual([]);

  await ada.call({ createRoom: { roomId: "tea", key: "tea", name: "Tea", members: [{ userId: "ben" }] } });
  await useCrowd(ada);
  await until(() => expect(ben.rooms.all.map(({ roomId }) => roomId).sort()).toEqual(["crowd", "tea"]));

  await ada.room("tea").send("closed");
  await until(() =>
    expect(ben.rooms.all.slice(0, 1).map(seen)).toEqual([
      { roomId: "tea", unreadCount: 1, mentions: [], text: "closed" },
    ]),
  );
  await ada.room("crowd").send("@ben", { mentions: [{ userId: "ben" }] });
  await until(() => expect(ben.rooms.get("crowd")?.mentions).toEqual([1]));

  const tea = ben.room("tea");
  tea.open();
  await until(() => expect(tea.state.status).toBe("live"));
  await ada.room("tea").send("open");
  await until(() =>
    expect(ben.rooms.get("tea")).toMatchObject({ unreadCount: 2, lastMessage: { body: { text: "open" } } }),
  );
  tea.markRead();
  expect(ben.rooms.get("tea")?.unreadCount).toBe(0);
  await ben.room("tea").send("mine");
  await until(() => expect(ben.rooms.get("tea")?.lastMessage?.body?.text).toBe("mine"));
  expect(ben.rooms.get("tea")?.unreadCount).toBe(0);

  await until(() => expect(tea.receipts.own?.readMessageIndex).toBe(2));
  await restart();
  await Promise.all([live(ada), live(ben)]);
  await ada.change({ updateRoom: { roomId: "tea", name: "Coffee" } });
  await ada.change({ removeMember: { roomId: "crowd", userId: "ben" } });
  await until(() => expect(ben.rooms.all).toMatchObject([{ roomId: "tea", unreadCount: 0, room: { name: "Coffee" } }]));
}, 30_000);
