// Whatever becomes of a root's members, somebody may do in a room under it what they may do in the root, and nothing else.

import fc from "fast-check";
import { expect, it } from "vitest";
import { Permission, Role } from "../../../src/gen/trunkline/v1/message_pb.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { TENANT, type TestRooms, useRooms, user } from "./use-rooms.js";

const ADA = user("ada");
const USERS = ["bob", "eve"] as const;
const RIGHTS = [Permission.READ, Permission.PUBLISH, Permission.UPDATE_ROOM];

const step = fc.record({
  userId: fc.constantFrom(...USERS),
  what: fc.oneof(
    fc.constantFrom("add", "kick", "ban", "join", "leave", "mute", "unmute", "restart", "say", "refuse"),
    fc.record({ role: fc.constantFrom(Role.ADMIN, Role.MEMBER, Role.READER) }),
    fc.record({ denied: fc.subarray(RIGHTS) }),
  ),
});
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

async function take(rooms: TestRooms, { userId, what }: Step, key: string): Promise<unknown> {
  const roomId = "lobby";
  if (typeof what === "object") {
    const change = "role" in what ? { role: what.role } : { overrides: { granted: [], denied: what.denied } };
    return rooms.ask(ADA, "setMember", { roomId, userId, key, ...change });
  }
  switch (what) {
    case "add":
      return rooms.ask(ADA, "addMembers", { roomId, key, members: [{ userId }] });
    case "kick":
    case "ban":
      return rooms.ask(ADA, "removeMember", { roomId, key, userId, ban: what === "ban" });
    case "join":
      return rooms.ask(user(userId), "joinRoom", { roomId, key });
    case "leave":
      return rooms.ask(user(userId), "leaveRoom", { roomId, key });
    case "mute":
    case "unmute":
      return rooms.ask(ADA, "setMember", { roomId, userId, key, muteForMs: what === "mute" ? 60_000 : 0 });
    case "say":
      return rooms.publish(user(userId), "lobby~corner", key);
    case "refuse":
      rooms.engine.faultNextAppend({ kind: "refuse" });
      return undefined;
    case "restart":
      return rooms.restart();
  }
}

function standing(rooms: TestRooms, roomId: string, userId: string) {
  return rooms.owner.view(roomRef(TENANT, roomId), [userId], ({ state }) => {
    const { member, banned } = state.standing(userId);
    return { member, banned, memberCount: state.memberCount };
  });
}

it("somebody stands in a room under another as in that one, whatever happened", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      const rooms = await useRooms({ engine: new MemoryEngine() });
      await rooms.room("lobby", { joinRule: 1 });
      await rooms.room("lobby~corner", { parentId: "lobby" });
      for (const [index, each] of steps.entries()) {
        const taken = take(rooms, each, `k${index}`).catch(() => undefined);
        if (each.what === "restart") await taken;
        // While the step waits for the log, too: then the answer waits with it.
        for (const userId of USERS) {
          const seen = await Promise.allSettled(["lobby", "lobby~corner"].map((id) => standing(rooms, id, userId)));
          const [root, sub] = seen.map((one) => (one.status === "fulfilled" ? one.value : "refused"));
          expect(sub).toEqual(root);
        }
        await taken;
        rooms.clock.advance(10_000);
      }
    }),
    { numRuns: 60 },
  );
});
