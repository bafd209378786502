// Whoever has blocked somebody looks offline to them, from then on and until they unblock them.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { type Presence, PresenceStatus } from "../../../src/gen/trunkline/v1/session_pb.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { settle, type TestClient, type TestCore, useCore } from "../use-core.js";

const { ONLINE, OFFLINE, AWAY, DO_NOT_DISTURB } = PresenceStatus;
/** Longer than changes are collected. */
const TICK_MS = 250;

let keys = 0;

/** `who` blocks, or unblocks, the other. */
async function block(who: TestClient, userId: string, blocked = true): Promise<void> {
  const value = { userId, blocked, key: `block-${++keys}` };
  const answer = await who.ask({ case: "call", value: { rpc: { case: "blockUser", value } } });
  if (answer.case !== "callResult") throw new Error(`not blocked: ${JSON.stringify(answer.value)}`);
}

interface Watching {
  readonly userIds?: string[];
  readonly roomIds?: string[];
}

async function snapshot(client: TestClient, value: Watching): Promise<Presence[]> {
  const answer = await client.ask({ case: "watchPresence", value });
  if (answer.case !== "presenceSnapshot") throw new Error(`not watched: ${JSON.stringify(answer.value)}`);
  return answer.value.presences;
}

async function watch(client: TestClient, value: Watching): Promise<string[]> {
  return (await snapshot(client, value)).map(({ userId, status }) => `${userId} ${PresenceStatus[status]}`).sort();
}

function changes(client: TestClient): Presence[] {
  return client.all("presenceChanges").flatMap(({ value }) => value.presences);
}

/** What the client was told of one user, in order. */
function toldOf(client: TestClient, userId: string): PresenceStatus[] {
  return changes(client)
    .filter((presence) => presence.userId === userId)
    .map(({ status }) => status);
}

async function set(client: TestClient, status: PresenceStatus): Promise<void> {
  await client.ask({ case: "setPresence", value: { status } });
}

interface Lobby {
  readonly test: TestCore;
  readonly ann: TestClient;
  readonly bob: TestClient;
  readonly cem: TestClient;
}

/** Ann, Bob and Cem share a room. */
async function lobby(engine = new MemoryEngine()): Promise<Lobby> {
  const test = await useCore({ engine });
  const ann = await test.connect("ann");
  const bob = await test.connect("bob");
  const cem = await test.connect("cem");
  await test.room(ann, "lobby", "bob", "cem");
  return { test, ann, bob, cem };
}

describe("who has blocked somebody", () => {
  it("is in no snapshot of theirs, goes on seeing them, and is seen by everybody else", async () => {
    const { ann, bob, cem } = await lobby();
    await block(ann, "bob");
    const everybody = { userIds: ["ann", "bob", "cem"] };
    expect(await watch(bob, everybody)).toEqual(["bob ONLINE", "cem ONLINE"]);
    expect(await watch(bob, { roomIds: ["lobby"] })).toEqual(["bob ONLINE", "cem ONLINE"]);
    for (const client of [ann, cem]) {
      expect(await watch(client, everybody)).toEqual(["ann ONLINE", "bob ONLINE", "cem ONLINE"]);
      expect(await watch(client, { roomIds: ["lobby"] })).toEqual(["ann ONLINE", "bob ONLINE", "cem ONLINE"]);
    }
    await bob.ask({ case: "subscribe", value: { roomId: "lobby", presence: true } });
    expect(toldOf(bob, "ann")).toEqual([]);
    expect(toldOf(bob, "cem")).toEqual([ONLINE]);
  });

  it.each([{ userIds: ["ann"] }, { roomIds: ["lobby"] }])("goes offline in a live watch of %o, once", async (what) => {
    const { test, ann, bob, cem } = await lobby();
    await watch(bob, what);
    await watch(cem, what);
    await block(ann, "bob");
    await test.elapse(TICK_MS);
    expect(changes(bob).map(({ userId, status, lastSeen }) => [userId, status, lastSeen])).toEqual([
      ["ann", OFFLINE, undefined],
    ]);
    await set(ann, AWAY);
    await test.elapse(TICK_MS);
    ann.connection.gone(true);
    await test.elapse(40_000);
    expect(changes(bob)).toHaveLength(1);
    expect(toldOf(cem, "ann")).toEqual([AWAY, OFFLINE]);
  });

  it.each([{ userIds: ["ann"] }, { roomIds: ["lobby"] }])(
    "is back in a watch of %o when they unblock",
    async (what) => {
      const { test, ann, bob, cem } = await lobby();
      await block(ann, "bob");
      await watch(bob, what);
      await watch(cem, what);
      await set(ann, DO_NOT_DISTURB);
      await test.elapse(TICK_MS);
      await block(ann, "bob", false);
      await test.elapse(TICK_MS);
      expect(toldOf(bob, "ann")).toEqual([DO_NOT_DISTURB]);
      await set(ann, AWAY);
      await test.elapse(TICK_MS);
      expect(toldOf(bob, "ann")).toEqual([DO_NOT_DISTURB, AWAY]);
      expect(toldOf(cem, "ann")).toEqual([DO_NOT_DISTURB, AWAY]);
    },
  );

  it("was last seen at no time that they are told, even if offline when it began", async () => {
    const { test, ann, bob } = await lobby();
    const phone = await test.connect("ann", { device: { deviceId: "phone" } });
    await watch(bob, { userIds: ["ann"] });
    await test.elapse(1_000);
    await set(ann, PresenceStatus.INVISIBLE);
    await test.elapse(TICK_MS);
    await block(phone, "bob");
    await test.elapse(TICK_MS);
    await block(phone, "bob", false);
    await test.elapse(TICK_MS);
    expect(changes(bob).map(({ status, lastSeen }) => [status, lastSeen !== undefined])).toEqual([
      [OFFLINE, true],
      [OFFLINE, false],
      [OFFLINE, true],
    ]);
  });

  it("is hidden after a restart too", async () => {
    const engine = new MemoryEngine();
    const before = await lobby(engine);
    await block(before.ann, "bob");
    await before.test.core.stop();
    engine.crash();
    const test = await useCore({ engine });
    await test.connect("ann");
    const bob = await test.connect("bob");
    expect(await watch(bob, { userIds: ["ann"] })).toEqual([]);
    expect(await watch(bob, { roomIds: ["lobby"] })).toEqual(["bob ONLINE"]);
  });

  it("is hidden though the log had stored the block without an answer", async () => {
    const engine = new MemoryEngine({ shards: 1 });
    const { test, ann, bob } = await lobby(engine);
    await watch(bob, { userIds: ["ann"], roomIds: ["lobby"] });
    engine.faultNextAppend({ kind: "lose-answer" });
    const value = { userId: "bob", blocked: true, key: "b" };
    ann.send({ case: "call", value: { rpc: { case: "blockUser", value } } });
    await test.elapse(2_000);
    expect(new Set(toldOf(bob, "ann"))).toEqual(new Set([OFFLINE]));
    expect(await watch(bob, { userIds: ["ann"] })).toEqual([]);
  });

  it("counts in a large room, and is seen by services until they are services no more", async () => {
    const { test, ann, bob } = await lobby();
    await block(ann, "bob");
    await block(ann, "bot");
    const members = Array.from({ length: 98 }, (_, index) => `member-${index}`);
    await test.room(ann, "hall", "bob", "bot", ...members);
    const answer = await bob.ask({ case: "watchPresence", value: { roomIds: ["hall"] } });
    expect(answer).toMatchObject({ value: { presences: [], counts: [{ roomId: "hall", online: 2 }] } });

    const bot = await test.connect("bot", {}, { grants: new Set(["service"]) });
    expect(await watch(bot, { userIds: ["ann"], roomIds: ["lobby"] })).toContain("ann ONLINE");
    await set(ann, AWAY);
    await test.elapse(TICK_MS);
    expect(new Set(toldOf(bot, "ann"))).toEqual(new Set([AWAY]));
    test.verifier.answer("demoted", { ...(await test.verifier.verify("bot")), grants: new Set() });
    await bot.ask({ case: "refreshToken", value: { token: "demoted" } });
    await test.elapse(TICK_MS);
    expect(toldOf(bot, "ann").at(-1)).toBe(OFFLINE);
  });

  it("is hidden while it cannot be read whom they have blocked, and seen once it can", async () => {
    const engine = new MemoryEngine();
    const { test, ann, bob } = await lobby(engine);
    await watch(bob, { roomIds: ["lobby"] });
    await test.connect("eve");
    const value = { roomId: "lobby", key: "a", members: [{ userId: "eve" }] };
    engine.answersLater = true;
    ann.send({ case: "call", value: { rpc: { case: "addMembers", value } } });
    await settle(1);
    engine.archiveDown = true;
    await test.elapse(1_000);
    expect(toldOf(bob, "eve")).toEqual([]);
    engine.archiveDown = false;
    await test.elapse(2_000);
    expect(toldOf(bob, "eve")).toEqual([ONLINE]);
  });
});

type Step =
  | { readonly do: "block"; readonly blocked: boolean }
  | { readonly do: "set"; readonly status: PresenceStatus }
  | { readonly do: "leave" | "come" | "watch" | "pass" };

const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant("block" as const), blocked: fc.boolean() }),
  fc.record({
    do: fc.constant("set" as const),
    status: fc.constantFrom(ONLINE, AWAY, DO_NOT_DISTURB, PresenceStatus.INVISIBLE),
  }),
  fc.record({ do: fc.constantFrom("leave" as const, "come" as const, "watch" as const, "pass" as const) }),
);

it("looks as they are to whom they have not blocked and offline to whom they have, in whatever order things happen", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 25, size: "max" }),
      fc.constantFrom<Watching>({ userIds: ["ann"] }, { roomIds: ["lobby"] }),
      fc.boolean(),
      async (steps, what, answersLater) => {
        const { test, bob, cem } = await lobby(new MemoryEngine({ answersLater }));
        const phone = await test.connect("ann", { device: { deviceId: "phone" } });
        await set(phone, AWAY);
        let desk: TestClient | undefined;
        let attempt = 1;
        let blocked = false;
        /** What each shows of Ann, by snapshots and changes. */
        const shown = new Map<TestClient, PresenceStatus>();
        const watchAgain = async (client: TestClient): Promise<void> => {
          const found = (await snapshot(client, what)).find(({ userId }) => userId === "ann");
          client.sink.frames.length = 0;
          shown.set(client, found?.status ?? OFFLINE);
        };
        for (const client of [bob, cem]) await watchAgain(client);
        for (const each of steps) {
          if (each.do === "block") {
            await block(phone, "bob", each.blocked);
            blocked = each.blocked;
          } else if (each.do === "set") await desk?.ask({ case: "setPresence", value: { status: each.status } });
          else if (each.do === "leave") {
            desk?.connection.gone(true);
            desk = undefined;
          } else if (each.do === "come") desk ??= await test.connect("ann", { attempt: ++attempt });
          else if (each.do === "watch") await watchAgain(bob);
          else await test.elapse(TICK_MS);
        }
        await test.elapse(TICK_MS);
        for (const client of [bob, cem])
          shown.set(client, toldOf(client, "ann").at(-1) ?? shown.get(client) ?? OFFLINE);
        const truth = (await snapshot(cem, { userIds: ["ann"] }))[0]?.status ?? OFFLINE;
        expect(shown.get(cem)).toBe(truth);
        expect(shown.get(bob)).toBe(blocked ? OFFLINE : truth);
        await test.core.stop();
      },
    ),
    { numRuns: 60 },
  );
}, 120_000);
