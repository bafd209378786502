// Who is in a room where the application says so, whatever happens in which order: held against the room's own events.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Role } from "../../../src/gen/trunkline/v1/message_pb.js";
import { settle, type TestClient, text, useCore } from "../use-core.js";
import { ScriptedAccessHook } from "./scripted-access-hook.js";

const USERS = ["ann", "bob"] as const;
const TTL_MS = 4_000;

const who = fc.constantFrom(...USERS);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constantFrom("publish" as const, "subscribe" as const), who }) },
  {
    weight: 4,
    arbitrary: fc.record({ does: fc.constantFrom("put" as const, "put" as const, "remove" as const), who }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ does: fc.constantFrom("kick" as const, "leave" as const, "unsubscribe" as const), who }),
  },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom("hold" as const, "release" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom("break" as const, "mend" as const) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("wait" as const), ms: fc.constantFrom(500, 1_000, 3_000) }) },
);

/** What happened, by the seq of the room's event. */
interface Told {
  readonly seq: number;
  readonly case: string | undefined;
  readonly user: string | undefined;
}

function told(client: TestClient): Told[] {
  return client
    .all("roomEvents")
    .flatMap(({ value }) => value.events)
    .map(({ position, kind, actor }) => {
      const user =
        kind.case === "memberJoined"
          ? kind.value.member?.userId
          : kind.case === "memberLeft"
            ? kind.value.userId
            : actor?.userId;
      return { seq: position?.seq ?? 0, case: kind.case, user };
    });
}

test("nobody speaks or hears in a room but between joining and leaving it, and it ends as the application says", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 40, size: "max" }),
      fc.constantFrom("open" as const, "closed" as const),
      async (steps, failure) => {
        const hook = new ScriptedAccessHook();
        hook.ttlMs = TTL_MS;
        const test = await useCore({ accessHook: hook.rules({ failure }) });
        const admin = await test.connect("admin", {}, { grants: new Set(["admin"]) });
        await test.room(admin, "room");
        await admin.ask({ case: "subscribe", value: { roomId: "room" } });
        const clients = { ann: await test.connect("ann"), bob: await test.connect("bob") };
        const inRoom = new Set<string>();
        let count = 0;
        for (const each of steps) {
          const key = `k${++count}`;
          switch (each.does) {
            case "publish":
              clients[each.who].send(text("room", key));
              break;
            case "subscribe":
            case "unsubscribe":
              clients[each.who].send({ case: each.does, value: { roomId: "room" } });
              break;
            case "leave": {
              const value = { roomId: "room", key };
              clients[each.who].send({ case: "call", value: { rpc: { case: "leaveRoom", value } } });
              break;
            }
            case "put":
              hook.put(each.who, "room", Role.MEMBER);
              inRoom.add(each.who);
              break;
            case "remove":
              hook.remove(each.who, "room");
              inRoom.delete(each.who);
              break;
            case "kick": {
              const value = { roomId: "room", userId: each.who, key };
              admin.send({ case: "call", value: { rpc: { case: "removeMember", value } } });
              break;
            }
            case "hold":
              hook.holding = true;
              break;
            case "release":
              hook.holding = false;
              hook.release();
              break;
            case "break":
              hook.failing = new Error("away");
              break;
            case "mend":
              hook.failing = undefined;
              break;
            case "wait":
              await test.elapse(each.ms);
              break;
          }
          await settle(3);
        }
        // Everything answers again, and every allow runs out.
        hook.failing = undefined;
        hook.holding = false;
        hook.release();
        await test.elapse(TTL_MS + 2_000);
        const probe = await admin.ask(text("room", "probe"));
        await test.elapse(500);
        const probeSeq = probe.case === "published" ? probe.value.position?.seq : undefined;
        for (const user of USERS) {
          if (told(clients[user]).some(({ seq }) => seq === probeSeq)) expect(inRoom).toContain(user);
        }
        // Everybody asks for something.
        for (const user of USERS) await clients[user].ask({ case: "subscribe", value: { roomId: "room" } });
        await test.elapse(1_000);

        const all = told(admin);
        const members = new Set<string>(["admin"]);
        const spans = new Map<string, number[]>(USERS.map((user) => [user, []]));
        for (const { seq, case: kind, user = "" } of all) {
          if (kind === "memberJoined") members.add(user);
          if (kind === "messageCreated") expect(members).toContain(user);
          for (const each of members) spans.get(each)?.push(seq);
          if (kind === "memberLeft") members.delete(user);
        }
        for (const user of USERS) {
          const may = new Set(spans.get(user));
          for (const { seq } of told(clients[user])) expect(may).toContain(seq);
          expect(members.has(user)).toBe(inRoom.has(user));
        }
      },
    ),
    { numRuns: 80 },
  );
});
