// Whatever is done to members of the announcements, whoever is neither set nor banned reads them, and nothing is kept of them.

import fc from "fast-check";
import { expect, it } from "vitest";
import { Role } from "../../../src/gen/trunkline/v1/message_pb.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { administrator, TENANT, type TestRooms, useRooms, user } from "./use-rooms.js";

const ROOM = "~announcements";
const ROOT = administrator("root");
const USERS = ["ann", "bob", "eve"] as const;

const step = fc.record({
  userId: fc.constantFrom(...USERS),
  what: fc.oneof(
    fc.constantFrom("add", "kick", "ban", "join", "leave", "restart"),
    fc.record({ role: fc.constantFrom(Role.ADMIN, Role.MEMBER, Role.READER) }),
  ),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** What somebody is as the steps say: a role somebody has given them, banned, or a reader as everybody. */
type Model = Map<string, Role | "banned">;

async function take(rooms: TestRooms, { userId, what }: Step, key: string): Promise<unknown> {
  if (typeof what === "object") return rooms.ask(ROOT, "setMember", { roomId: ROOM, userId, key, ...what });
  switch (what) {
    case "add":
      return rooms.ask(ROOT, "addMembers", { roomId: ROOM, key, members: [{ userId }] });
    case "kick":
    case "ban":
      return rooms.ask(ROOT, "removeMember", { roomId: ROOM, key, userId, ban: what === "ban" });
    case "join":
      return rooms.ask(user(userId), "joinRoom", { roomId: ROOM, key });
    case "leave":
      return rooms.ask(user(userId), "leaveRoom", { roomId: ROOM, key });
    case "restart":
      return rooms.restart();
  }
}

function follow(model: Model, { userId, what }: Step): void {
  const banned = model.get(userId) === "banned";
  if (typeof what === "object") {
    if (!banned) model.set(userId, what.role);
  } else if (what === "ban") model.set(userId, "banned");
  else if (what === "add" && (banned || !model.has(userId))) model.set(userId, Role.READER);
}

it("everybody stands in the announcements as they were set, banned, or as a reader", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const rooms = await useRooms({ engine: new MemoryEngine() });
      await rooms.ask(ROOT, "createRoom", { roomId: ROOM, key: "make" });
      const model: Model = new Map();
      for (const [index, each] of steps.entries()) {
        await take(rooms, each, `k${index}`).catch(() => undefined);
        follow(model, each);
        for (const userId of USERS) {
          const stands = await rooms.owner.view(roomRef(TENANT, ROOM), [userId], ({ state }) => state.standing(userId));
          const expected = model.get(userId) ?? Role.READER;
          expect(stands.banned ? "banned" : stands.member?.role).toBe(expected);
          const stored = await rooms.engine.archive.member(roomRef(TENANT, ROOM), userId);
          expect(stored !== undefined).toBe(model.has(userId));
        }
        const { room } = await rooms.ask(ROOT, "getRoom", { roomId: ROOM });
        expect(room?.memberCount).toBe(1 + [...model.values()].filter((set) => set !== "banned").length);
      }
    }),
    { numRuns: 60 },
  );
});
