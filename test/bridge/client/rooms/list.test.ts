// The list of rooms: read once, and kept as it is by what is told, in whatever order that comes.

import fc from "fast-check";
import { expect, it } from "vitest";
import type { RoomEntry } from "../../../../bridge/client/rooms/entry.js";
import { useRooms } from "./scripted-rooms.js";

async function useOpenList(...ids: readonly string[]) {
  const used = useRooms();
  for (const id of ids) used.join(id, false);
  used.list.open();
  await used.run();
  used.asked();
  return used;
}

function ids(entries: readonly RoomEntry[]): readonly string[] {
  return entries.map(({ roomId }) => roomId);
}

it("an inbox that cannot be gone on in is opened anew, and the list read for what was told there", async () => {
  const { list, run, join, resetInbox, inbox } = await useOpenList("tea");
  resetInbox();
  join("den", true);
  await run(5_000);
  expect(inbox.state.status).toBe("live");
  expect(ids(list.all)).toEqual(["den", "tea"]);
  join("cup", true);
  await run(5_000);
  expect(ids(list.all)).toEqual(["cup", "den", "tea"]);
  list.close();
  expect(inbox.watchers.size).toBe(0);
});

it("an inbox that was reset while there was no connection, and one that is reset again, are opened anew with the next", async () => {
  const { list, run, resetInbox, lose, comeBack, inbox } = await useOpenList("tea");
  resetInbox();
  await run();
  resetInbox();
  await run(60_000);
  expect(inbox.state.status).toBe("reset");
  lose();
  comeBack();
  await run();
  expect(inbox.state.status).toBe("live");
  expect(ids(list.all)).toEqual(["tea"]);
});

it("all pages are read, and shown by their last activity", async () => {
  const { list, run, join, say } = useRooms();
  for (const id of ["a", "b", "c", "d", "e"]) join(id, false);
  say("b", "ben");
  await run(5_000);
  say("d", "ben", "hello");
  list.open();
  expect(list.ready).toBe(false);
  await run();
  expect(list.ready).toBe(true);
  expect(ids(list.all)).toEqual(["d", "b", "a", "c", "e"]);
  expect(list.get("d")).toMatchObject({ unreadCount: 1, lastMessage: { body: { text: "hello" } } });
});

it("a room that is not open shows its new last message, and counts those of others", async () => {
  const { list, run, say, asked } = await useOpenList("tea", "den");
  say("tea", "ben", "one");
  say("tea", "ada", "two, from the phone");
  await run();
  expect(list.get("tea")).toMatchObject({ unreadCount: 1, lastMessage: { body: { text: "two, from the phone" } } });
  expect(ids(list.all)).toEqual(["tea", "den"]);
  expect(asked()).toEqual(["getHistory tea"]);
});

it("without previews what is new is counted alone", async () => {
  const used = useRooms();
  used.join("tea", false);
  used.list.open({ previews: false });
  await used.run();
  used.say("tea", "ben", "one");
  await used.run();
  expect(used.list.get("tea")).toMatchObject({ unreadCount: 1, lastMessage: undefined });
  expect(used.asked()).toEqual(["listRooms"]);
});

it("previews of many rooms are fetched one after the other, and what is new is counted meanwhile", async () => {
  const many = Array.from({ length: 30 }, (_, index) => `room-${index}`);
  const { list, run, say, asked } = await useOpenList(...many);
  for (const id of many) say(id, "ben", id);
  await run();
  expect(asked().length).toBeLessThanOrEqual(6);
  expect(list.all.filter(({ unreadCount }) => unreadCount === 1).length).toBeGreaterThanOrEqual(25);
  await run(10_000);
  expect(list.all.every(({ roomId, lastMessage }) => lastMessage?.body?.text === roomId)).toBe(true);
});

it("an open room follows its events", async () => {
  const { list, run, say, open, rename, asked } = await useOpenList("tea");
  open("tea");
  say("tea", "ben", "one");
  say("tea", "ada", "mine");
  rename("tea", "Tea");
  await run();
  expect(list.get("tea")).toMatchObject({
    unreadCount: 1,
    lastMessage: { body: { text: "mine" } },
    room: { name: "Tea" },
  });
  expect(asked()).toEqual([]);
});

it("what came between the reading and the opening of a room is counted", async () => {
  const { list, run, say, open, lose, comeBack, server } = await useOpenList("tea");
  server.delayMs = 20;
  lose();
  say("tea", "ben", "missed");
  comeBack();
  open("tea");
  say("tea", "ben", "heard");
  await run();
  expect(list.get("tea")).toMatchObject({ unreadCount: 2, lastMessage: { body: { text: "heard" } } });
});

it("reading on any device takes what was read from what is unread", async () => {
  const { list, run, say, open, read } = await useOpenList("tea");
  open("tea");
  for (const userId of ["ben", "ada", "ben", "ben", "ada", "ben"]) say("tea", userId);
  await run();
  expect(list.get("tea")?.unreadCount).toBe(4);
  read("tea", 3);
  await run();
  expect(list.get("tea")?.unreadCount).toBe(2);
  list.read("tea", 6);
  expect(list.get("tea")?.unreadCount).toBe(0);
});

it("mentions are those after the read marker, the ones of before too", async () => {
  const used = useRooms();
  const { list, run, say, read, join } = used;
  join("tea", false);
  say("tea", "ben", "@ada", ["ada"]);
  say("tea", "ben", "@ada", ["ada"]);
  read("tea", 1);
  list.open();
  await run();
  say("tea", "ben", "@cleo", ["cleo"]);
  say("tea", "ben", "@ada", ["ada"]);
  await run();
  expect(list.get("tea")?.mentions).toEqual([2, 4]);
  read("tea");
  await run();
  expect(list.get("tea")?.mentions).toEqual([]);
});

it("rooms come and go as the inbox says", async () => {
  const { list, run, join, leave, say } = await useOpenList("tea");
  say("den", "ben", "welcome");
  join("den");
  await run();
  expect(ids(list.all)).toEqual(["den", "tea"]);
  leave("tea");
  await run(50);
  expect(ids(list.all)).toEqual(["den"]);
});

it("a room that was deleted, or is no longer to be read, goes", async () => {
  const used = await useOpenList("tea", "den", "bar");
  const { list, run, open, members } = used;
  open("tea");
  used.delete("tea");
  members.delete("den");
  list.pushed({ unsubscribed: { roomId: "den", reason: "UNSUBSCRIBE_REASON_ACCESS_LOST" } });
  list.pushed({ unsubscribed: { roomId: "bar", reason: "UNSUBSCRIBE_REASON_UNAVAILABLE" } });
  await run(50);
  expect(ids(list.all)).toEqual(["bar"]);
});

it("a room that went while the list was read does not come back with it", async () => {
  const { list, run, server, leave } = await useOpenList("a", "b", "c", "d");
  server.delayMs = 100;
  list.refresh();
  await run(500);
  leave("d");
  await run(100);
  expect(ids(list.all)).toEqual(["a", "b", "c"]);
  await run(5_000);
  expect(ids(list.all)).toEqual(["a", "b", "c"]);
});

it("a room that the list does not name is not asked for again and again", async () => {
  const { list, run, say, asked } = await useOpenList("tea");
  for (let index = 0; index < 60; index++) {
    say("hidden", "ben");
    await run(1_000);
  }
  expect(asked().length).toBeLessThanOrEqual(4);
  expect(ids(list.all)).toEqual(["tea"]);
});

it("nothing of another user is shown to who has the token now", async () => {
  const { list, run, lose, comeBack, user, members } = await useOpenList("tea");
  lose();
  user.userId = "ben";
  members.clear();
  comeBack();
  expect([list.all, list.ready]).toEqual([[], false]);
  await run();
  expect([list.all, list.ready]).toEqual([[], true]);
});

it("a call that may have changed which rooms there are has the list read again", async () => {
  const { list, run, join } = await useOpenList("tea");
  join("den", false);
  list.called({ joinRoom: { roomId: "den" } });
  await run();
  expect(ids(list.all)).toEqual(["den", "tea"]);
});

it("after a reconnect the list is read again, and never empty meanwhile", async () => {
  const { list, run, say, join, leave, lose, comeBack, server } = await useOpenList("a", "b", "c");
  const shown: (readonly string[])[] = [];
  list.onChange((entries) => shown.push(ids(entries)));
  server.delayMs = 200;
  lose();
  say("b", "ben");
  leave("c");
  join("d", false);
  expect(ids(list.all)).toEqual(["a", "b", "c"]);
  comeBack();
  await run(10_000);
  expect(ids(list.all)).toEqual(["b", "a", "d"]);
  expect(shown.every((entries) => entries.includes("a") && entries.includes("b"))).toBe(true);
});

it("changes are told together, and each time as another array", async () => {
  const { list, run, say, open } = await useOpenList("tea", "den");
  const shown: (readonly RoomEntry[])[] = [];
  open("tea");
  const stop = list.onChange((entries) => shown.push(entries));
  for (let index = 0; index < 20; index++) say("tea", "ben");
  await run();
  say("tea", "ben");
  await run();
  expect(shown.map((entries) => entries[0]?.unreadCount)).toEqual([20, 21]);
  stop();
  say("tea", "ben");
  await run();
  expect(shown).toHaveLength(2);
});

it("a closed list listens to nothing, and leaves the inbox", async () => {
  const { list, run, say, asked, inbox } = await useOpenList("tea");
  list.close();
  say("tea", "ben");
  await run(10_000);
  expect(asked()).toEqual([]);
  expect(list.get("tea")?.unreadCount).toBe(0);
  expect(inbox.state.status).toBe("off");
});

const step = fc.oneof(
  { weight: 6, arbitrary: fc.tuple(fc.constant("say" as const), fc.nat(2), fc.constantFrom("ada", "ben", "cleo")) },
  { weight: 2, arbitrary: fc.tuple(fc.constant("read" as const), fc.nat(2), fc.constant("")) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("rename" as const), fc.nat(2), fc.constantFrom("x", "y")) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("open" as const), fc.nat(2), fc.constant("")) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("lose" as const, "comeBack" as const), fc.nat(2), fc.constant("")) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom("refresh" as const), fc.nat(2), fc.constant("")) },
  { weight: 2, arbitrary: fc.tuple(fc.constantFrom("join" as const, "leave" as const), fc.nat(2), fc.constant("")) },
  { weight: 3, arbitrary: fc.tuple(fc.constant("wait" as const), fc.nat(400), fc.constant("")) },
);

it("whatever happens in whatever order, the list ends as the rooms are", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), fc.nat(120), async (steps, delayMs) => {
      const used = useRooms();
      const names = ["a", "b", "c"];
      for (const id of names) used.join(id, false);
      used.server.delayMs = delayMs;
      used.list.open();
      for (const [what, number, text] of steps) {
        const id = names[number] ?? "a";
        if (what === "say") used.say(id, text, text);
        else if (what === "read") used.read(id);
        else if (what === "rename") used.rename(id, text);
        else if (what === "open") used.open(id);
        else if (what === "join" && !used.members.has(id)) used.join(id);
        else if (what === "leave" && used.members.has(id)) used.leave(id);
        else if (what === "refresh") used.list.refresh();
        else if (what === "wait") await used.run(number);
        else if (what === "lose" || what === "comeBack") used[what]();
      }
      used.comeBack();
      await used.run(20_000);
      for (const id of names) {
        const { unread, name, messages, top } = used.room(id);
        const entry = used.list.get(id);
        expect(entry !== undefined).toBe(used.members.has(id));
        if (entry !== undefined) expect(entry).toMatchObject({ unreadCount: unread, room: { name, top } });
        if (entry !== undefined) expect(entry.lastMessage?.messageId).toBe(messages.at(-1)?.messageId);
      }
    }),
    { numRuns: 2000 },
  );
}, 60_000);
