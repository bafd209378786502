// Who is there: what is watched together, what is said again, and what is shown meanwhile.

import { expect, it } from "vitest";
import type { ClientFrame, Presence, ServerFrame, Error as WireError } from "../../../../bridge/client/gen/types.js";
import { ClientPresence } from "../../../../bridge/client/people/presence.js";
import { usePeople } from "./use-people.js";

const ONLINE = "PRESENCE_STATUS_ONLINE";
const AWAY = "PRESENCE_STATUS_AWAY";
const OFFLINE = "PRESENCE_STATUS_OFFLINE";

function usePresence() {
  const people = usePeople();
  const online = new Set<string>();
  const refused = new Set<string>();
  people.server.answer = ({ watchPresence, setPresence }: ClientFrame): ServerFrame | WireError => {
    if (setPresence !== undefined) return { done: {} };
    const { userIds = [], roomIds = [] } = watchPresence ?? {};
    if (roomIds.some((id) => refused.has(id))) return { code: "ERROR_CODE_PERMISSION_DENIED" };
    return {
      presenceSnapshot: {
        presences: userIds.filter((id) => online.has(id)).map((userId) => ({ userId, status: ONLINE })),
        counts: roomIds.map((roomId) => ({ roomId, online: 1 })),
      },
    };
  };
  const presence = new ClientPresence(people.context);
  const watched = () => people.take().flatMap(({ watchPresence }) => watchPresence ?? []);
  const lose = (): void => {
    people.server.live = false;
    presence.disconnected();
  };
  const comeBack = (): void => {
    people.server.live = true;
    presence.welcomed({});
  };
  return { ...people, presence, online, refused, watched, lose, comeBack };
}

function user(userId: string, rest: Partial<Presence> = {}): Presence {
  return { userId, status: ONLINE, ...rest };
}

it("what several watch is asked for once, until the last of them leaves", async () => {
  const { presence, run, watched } = usePresence();
  const first = presence.watch({ users: ["ben", "cleo"] });
  const second = presence.watch({ users: ["ben"], rooms: ["tea"] });
  await run(1_000);
  expect(watched()).toEqual([{ userIds: ["ben", "cleo"], roomIds: ["tea"] }]);
  first.close();
  first.close();
  await run(1_000);
  expect(watched()).toEqual([{ userIds: ["ben"], roomIds: ["tea"] }]);
  second.close();
  await run(1_000);
  expect(watched()).toEqual([{ userIds: [], roomIds: [] }]);
});

it("watches that come and go quickly are asked for four times a second at most", async () => {
  const { presence, run, watched, online } = usePresence();
  online.add("user-99");
  for (let index = 0; index < 100; index++) {
    presence.watch({ users: [`user-${index}`] });
    await run(10);
  }
  await run(1_000);
  const all = watched();
  expect(all.length).toBeLessThanOrEqual(5);
  expect(all.at(-1)?.userIds).toHaveLength(100);
  expect(presence.of("user-99").status).toBe(ONLINE);
});

it("one is asked at a time, and what changed meanwhile afterwards", async () => {
  const { presence, server, run, watched } = usePresence();
  server.takesMs = 5_000;
  presence.watch({ users: ["ben"] });
  await run(1_000);
  presence.watch({ users: ["cleo"] });
  await run(3_999);
  expect(watched()).toHaveLength(1);
  await run(1_000);
  expect(watched()).toEqual([{ userIds: ["ben", "cleo"], roomIds: [] }]);
});

it("a room that is refused is found, and the others are watched", async () => {
  const { presence, run, watched, refused, lose, comeBack } = usePresence();
  const rooms = Array.from({ length: 20 }, (_, index) => `room-${index}`);
  refused.add("room-3").add("room-17");
  presence.watch({ users: ["ben"], rooms });
  await run(10_000);
  expect([...presence.counts.keys()].sort()).toEqual(rooms.filter((id) => !refused.has(id)).sort());
  expect(watched().length).toBeLessThanOrEqual(20);
  await run(60_000);
  expect(watched()).toEqual([]);

  lose();
  refused.clear();
  comeBack();
  await run(10_000);
  expect(presence.counts.size).toBe(20);
});

it("a room whose right is lost between two connections does not take the others with it", async () => {
  const { presence, run, refused, lose, comeBack } = usePresence();
  const rooms = Array.from({ length: 9 }, (_, index) => `room-${index}`);
  presence.watch({ rooms });
  await run(1_000);
  lose();
  refused.add("room-4");
  comeBack();
  await run(10_000);
  expect([...presence.counts.keys()].sort()).toEqual(rooms.filter((id) => id !== "room-4"));
});

it("what was watched is asked for again after a reconnect, and shown as it was until then", async () => {
  const { presence, run, watched, online, lose, comeBack } = usePresence();
  online.add("ben").add("cleo");
  presence.watch({ users: ["ben", "cleo", "dan"] });
  await run(10);
  presence.changed({ presences: [user("dan", { status: OFFLINE, lastSeen: "2026-01-01T00:00:00Z" })] });
  lose();
  online.delete("cleo");
  await run(10_000);
  expect(presence.of("cleo").status).toBe(ONLINE);
  watched();
  comeBack();
  await run(10);
  expect(watched()).toEqual([{ userIds: ["ben", "cleo", "dan"], roomIds: [] }]);
  expect([presence.of("ben").status, presence.of("cleo").status]).toEqual([ONLINE, OFFLINE]);
  expect(presence.of("dan").lastSeen).toBeUndefined();
});

it("an answer of an older connection changes nothing", async () => {
  const { presence, server, run, online, lose, comeBack } = usePresence();
  server.takesMs = 1_000;
  online.add("ben");
  presence.watch({ users: ["ben"] });
  await run(10);
  lose();
  await run(5_000);
  expect(presence.of("ben").status).toBe(OFFLINE);
  comeBack();
  await run(1_010);
  expect(presence.of("ben").status).toBe(ONLINE);
});

it("what the server is too busy for is asked for again when it says", async () => {
  const { presence, server, run, watched, online } = usePresence();
  const { answer } = server;
  online.add("ben");
  server.answer = () => ({ code: "ERROR_CODE_UNAVAILABLE", retryable: true, retryAfterMs: 3_000 });
  presence.watch({ users: ["ben"] });
  await run(2_999);
  expect(watched()).toHaveLength(1);
  server.answer = answer;
  await run(1_000);
  expect(watched()).toHaveLength(1);
  expect(presence.of("ben").status).toBe(ONLINE);
});

it("when somebody was last seen is kept over another watch", async () => {
  const { presence, run } = usePresence();
  presence.watch({ users: ["dan"] });
  await run(10);
  presence.changed({ presences: [user("dan", { status: OFFLINE, lastSeen: "2026-01-01T00:00:00Z" })] });
  presence.watch({ users: ["ben"] });
  await run(1_000);
  expect(presence.of("dan").lastSeen).toBe("2026-01-01T00:00:00Z");
});

it("changes are told together", async () => {
  const { presence, run } = usePresence();
  const told: number[] = [];
  presence.onChange(({ users }) => told.push(users.size));
  presence.changed({ presences: [user("ben")] });
  presence.changed({ presences: [user("cleo")], counts: [{ roomId: "tea", online: 120 }] });
  await run();
  expect(told).toEqual([2]);
  expect(presence.counts.get("tea")).toBe(120);
});

it("at `until`, by the server's clock, somebody is online without a text", async () => {
  const { presence, run, world } = usePresence();
  const serverAheadMs = 3_600_000;
  presence.welcomed({ serverTime: new Date(world.nowMs + serverAheadMs).toISOString() });
  const until = new Date(serverAheadMs + 5_000).toISOString();
  presence.changed({ presences: [user("ben", { status: AWAY, text: "lunch", until })] });
  await run(4_999);
  expect(presence.of("ben")).toMatchObject({ status: AWAY, text: "lunch" });
  await run(1);
  expect(presence.of("ben")).toEqual({ userId: "ben", status: ONLINE });
});

it("what was set is said again with each connection, and what is kept by the server is not", async () => {
  const { presence, run, take, lose, comeBack } = usePresence();
  const set = () => take().flatMap(({ setPresence }) => setPresence ?? []);
  lose();
  await presence.set({ status: AWAY, text: "lunch", lastSeenVisibility: "LAST_SEEN_VISIBILITY_NOBODY" });
  expect(set()).toEqual([]);
  comeBack();
  await run(10);
  expect(set()).toMatchObject([{ status: AWAY, text: "lunch", lastSeenVisibility: "LAST_SEEN_VISIBILITY_NOBODY" }]);
  lose();
  comeBack();
  await run(10);
  const [again] = set();
  expect(again).toMatchObject({ status: AWAY, text: "lunch" });
  expect(again?.lastSeenVisibility).toBeUndefined();
});

it("what was set until a time that is over is not said again", async () => {
  const { presence, run, take, lose, comeBack } = usePresence();
  const until = new Date(5_000).toISOString();
  const said = presence.set({ status: "PRESENCE_STATUS_DO_NOT_DISTURB", until });
  await run(10);
  await said;
  lose();
  await run(10_000);
  take();
  comeBack();
  await run(10);
  expect(take()).toMatchObject([{ setPresence: { status: ONLINE } }]);
});

it("what is refused is told, and not said again", async () => {
  const { presence, server, run, take, lose, comeBack } = usePresence();
  server.answer = () => ({ code: "ERROR_CODE_TOO_LARGE", field: "set_presence.text" });
  const set = presence.set({ status: AWAY, text: "x".repeat(129) });
  await Promise.all([expect(set).rejects.toMatchObject({ field: "set_presence.text" }), run(10)]);
  lose();
  take();
  comeBack();
  await run(10);
  expect(take()).toEqual([]);
});

it("more than can be watched is refused, and nothing of it is watched", async () => {
  const { presence, run, watched } = usePresence();
  const users = Array.from({ length: 500 }, (_, index) => `user-${index}`);
  const full = presence.watch({ users });
  expect(() => presence.watch({ users: ["ben"] })).toThrow(RangeError);
  expect(() => presence.watch({ users: ["user-1"], rooms: [""] })).toThrow(RangeError);
  full.close();
  presence.watch({ users: ["ben"] });
  await run(1_000);
  expect(watched()).toEqual([{ userIds: ["ben"], roomIds: [] }]);
});
