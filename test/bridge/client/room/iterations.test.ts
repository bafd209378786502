// Iterating over a room's events, fast and slowly.

import { expect, it } from "vitest";
import type { RoomEvent } from "../../../../bridge/client/gen/types.js";
import { useLiveClient } from "../support/use-client.js";
import { settled } from "../support/world.js";

async function useRoom(count: number) {
  const used = await useLiveClient();
  used.server.limits.recoveryLimit = 10_000;
  for (let i = 1; i <= count; i++) used.server.say("tea", String(i));
  return { ...used, room: used.client.room("tea") };
}

async function take(events: AsyncIterator<RoomEvent>, count: number): Promise<string[]> {
  const texts: string[] = [];
  for (let i = 0; i < count; i++) {
    const { value } = await events.next();
    texts.push(value?.messageCreated?.body?.text ?? "");
  }
  return texts;
}

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => String(from + i));

it("gives what was missed and what is said from then on", async () => {
  const { server, room, run } = await useRoom(2);
  const events = room.events({ after: {} });
  await run();
  server.say("tea", "3");
  await run();
  expect(await take(events, 3)).toEqual(["1", "2", "3"]);
});

it("leaves the room while a thousand events wait, and goes on where it was once they are taken", async () => {
  const { server, room, run } = await useRoom(2_500);
  const events = room.events({ after: {} });
  await run();
  expect(room.state.status).toBe("paused");
  expect(room.position?.seq).toBe(1_000);
  expect(server.session.rooms).toEqual([]);
  const taken = await take(events, 999);
  expect(room.state.status).toBe("paused");
  taken.push(...(await take(events, 1)));
  expect(room.state.status).toBe("waiting");
  await run();
  server.network.cut();
  taken.push(...(await take(events, 1_000)));
  await run(1_000);
  taken.push(...(await take(events, 500)));
  expect(taken).toEqual(numbers(1, 2_500));
});

it("a room that is left while events wait is not stated by a hello", async () => {
  const { server, room, run } = await useRoom(1_500);
  const events = room.events({ after: {} });
  await run();
  server.network.cut();
  await run(1_000);
  expect(server.session.hello?.rooms).toEqual([]);
  expect(await take(events, 1_000)).toEqual(numbers(1, 1_000));
});

it("the slowest of several sets the pace, and each is given every event once", async () => {
  const { room, run } = await useRoom(1_500);
  const heard: string[] = [];
  room.on("event", ({ messageCreated }) => heard.push(messageCreated?.body?.text ?? ""));
  const [slow, fast] = [room.events({ after: {} }), room.events()];
  await run();
  const texts = await take(fast, 1_000);
  await run();
  expect(heard).toHaveLength(1_000);
  expect(await take(slow, 1_000)).toEqual(numbers(1, 1_000));
  await run();
  expect([...texts, ...(await take(fast, 500))]).toEqual(numbers(1, 1_500));
  expect(await take(slow, 500)).toEqual(numbers(1_001, 1_500));
  expect(heard).toEqual(numbers(1, 1_500));
});

it("whoever joins while the room is left for somebody else does not wake it", async () => {
  const { room, run } = await useRoom(1_500);
  const slow = room.events({ after: {} });
  await run();
  room.open();
  room.events();
  await run();
  expect(room.state.status).toBe("paused");
  await slow.return?.();
  await run();
  expect(room.state.status).toBe("live");
});

it("whoever leaves the loop last closes the room, unless it was opened otherwise", async () => {
  const { server, room, run } = await useRoom(1);
  const [one, two] = [room.events({ after: {} }), room.events()];
  await run();
  await one.return?.();
  expect(room.state.status).toBe("live");
  await two.return?.();
  expect(room.state.status).toBe("off");
  await run();
  expect(server.session.rooms).toEqual([]);
  room.open();
  const three = room.events();
  await run();
  await three.return?.();
  expect(room.state.status).toBe("live");
});

it("a room that is closed ends the loop, after what waits", async () => {
  const { room, run } = await useRoom(3);
  const events = room.events({ after: {} });
  await run();
  room.close();
  const texts: string[] = [];
  for await (const { messageCreated } of events) texts.push(messageCreated?.body?.text ?? "");
  expect(texts).toEqual(["1", "2", "3"]);
});

it("a room that is gone ends the loop", async () => {
  const { server, room, run } = await useRoom(0);
  const next = room.events().next();
  await run();
  server.session.unsubscribe("tea", "UNSUBSCRIBE_REASON_ROOM_DELETED");
  await run();
  expect(await next).toEqual({ done: true, value: undefined });
});

it("a room that may not be read throws, and so does a position that cannot be continued from", async () => {
  const { server, room, client, run } = await useRoom(1);
  const beyond = room.events({ after: { seq: 9, tag: 901 } }).next();
  beyond.catch(() => {});
  await run();
  await expect(beyond).rejects.toThrow("RESET_REASON_BEYOND_END");
  server.refuse = () => ({ code: "ERROR_CODE_NOT_A_MEMBER" });
  const refused = client.room("cup").events().next();
  refused.catch(() => {});
  await run();
  await expect(refused).rejects.toMatchObject({ code: "ERROR_CODE_NOT_A_MEMBER" });
});

it("an iteration that was left is given nothing, and one event is asked for at a time", async () => {
  const { server, room, run } = await useRoom(0);
  const events = room.events();
  const next = events.next();
  await expect(events.next()).rejects.toThrow("one at a time");
  await events.return?.();
  expect(await next).toEqual({ done: true, value: undefined });
  server.say("tea", "late");
  await run();
  await settled();
  expect(await events.next()).toEqual({ done: true, value: undefined });
});
