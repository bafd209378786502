// A timeline on a real backbone says what the server's history says.

import { expect, it, vi } from "vitest";
import type { Room } from "../../../../bridge/client/room/room.js";
import type { Timeline } from "../../../../bridge/client/timeline/timeline.js";
import { live, useBackbone, useClient } from "../use-backbone.js";

/** What is shown, but for what only the timeline has. */
function shown(timeline: Timeline) {
  return timeline.messages.map(({ key, sending, ...message }) => message);
}

async function agree(timeline: Timeline, room: Room): Promise<void> {
  await vi.waitFor(
    async () => {
      const { messages = [] } = await room.history({ limit: 200 });
      expect(shown(timeline)).toEqual(messages.slice(-timeline.messages.length));
      expect(timeline.loading).toBe(false);
    },
    { timeout: 10_000 },
  );
}

it("shows what is said and done, over a cut and a restart of the server, and pages back", async () => {
  const server = await useBackbone();
  const [ada, ben] = [useClient(server.url, "ada"), useClient(server.url, "ben")];
  await ada.change({ createRoom: { roomId: "tea", members: [{ userId: "ben" }] } });
  const [said, room] = [ada.room("tea"), ben.room("tea")];
  const old = await Promise.all(Array.from({ length: 25 }, (_, index) => said.send(`old ${index}`)));
  const timeline = room.timeline({ limit: 10 });
  const counts: number[] = [];
  timeline.onChange(({ messages }) => counts.push(messages.length));
  await agree(timeline, room);
  expect(timeline.messages).toHaveLength(10);
  expect(timeline.atStart).toBe(false);

  const { messageId: first = "" } = await said.send("first", {
    metadata: { colour: "red" },
    mentions: [{ userId: "ben" }],
  });
  room.send("mine", { replyTo: first, threadRoot: first });
  expect(timeline.messages.at(-1)).toMatchObject({ body: { text: "mine" }, sending: { state: "waiting" } });
  ben.drop();
  await said.edit(first, { custom: { type: "poll", data: "AQID" } });
  await said.react(first, "+1");
  await ada.change({ pinMessage: { roomId: "tea", messageId: first, pinned: true } });
  await said.delete(old[20]?.messageId ?? "");
  await live(ben);
  await agree(timeline, room);
  await server.restart();
  await said.send("after");
  await live(ben);
  await Promise.all([timeline.older(), timeline.older()]);
  await timeline.older();
  await agree(timeline, room);
  expect(timeline.atStart).toBe(true);
  expect(timeline.messages).toHaveLength(28);
  expect(timeline.messages.every(({ sending }) => sending === undefined)).toBe(true);
  await vi.waitFor(() => expect(counts.at(-1)).toBe(28));
  timeline.close();
  expect(room.state.status).toBe("off");
}, 30_000);

it("marks what was refused until it is retried or discarded", async () => {
  const server = await useBackbone();
  const [ada, ben] = [useClient(server.url, "ada"), useClient(server.url, "ben")];
  await ada.change({ createRoom: { roomId: "tea", members: [{ userId: "ben" }] } });
  const room = ben.room("tea");
  const timeline = room.timeline();
  await vi.waitFor(() => expect(timeline.loading).toBe(false));
  await ada.change({ setMember: { roomId: "tea", userId: "ben", muteForMs: 3_600_000 } });
  const told: unknown[] = [];
  ben.on("unsent", (sending) => told.push(sending));
  const [one, two] = [room.send("one"), room.send("two")];
  await expect(one).rejects.toMatchObject({ code: "ERROR_CODE_PERMISSION_DENIED" });
  await expect(two).rejects.toThrow();
  expect(told).toEqual([one, two]);
  expect(timeline.messages.map(({ body, sending }) => [body?.text, sending?.state])).toEqual([
    ["one", "failed"],
    ["two", "failed"],
  ]);
  await ada.change({ setMember: { roomId: "tea", userId: "ben", muteForMs: 0 } });
  two.discard();
  one.retry();
  await expect(one).resolves.toMatchObject({ messageIndex: 1 });
  await agree(timeline, room);
  expect(timeline.messages).toHaveLength(1);
});
