// A core whose archive is written behind the log, as in a cluster: what is acknowledged is there for everybody, whatever the archive has.

import { describe, expect, it } from "vitest";
import { NO_LIMIT } from "../../../src/core/limit/rates.js";
import { Role } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { recordBytes } from "../../../src/ports/event-log.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { UNLIMITED_RATES } from "../../support/rates.js";
import { settle, type TestClient, type TestCore, useCore } from "../use-core.js";

const text = (value: string) => ({ kind: { case: "text", value } }) as const;

function publishing(n: number, more: object = {}) {
  const value = { roomId: "lobby", clientMessageId: `m${n}`, body: text(`text ${n}`), ...more };
  return { case: "publish", value } as const;
}

async function publish(client: TestClient, n: number, more: object = {}) {
  const answer = await client.ask(publishing(n, more));
  if (answer.case !== "published") throw new Error(`${answer.case}: ${JSON.stringify(answer.value)}`);
  return answer.value;
}

async function call(client: TestClient, rpc: object) {
  const answer = await client.ask({ case: "call", value: { rpc } as never });
  if (answer.case !== "callResult") throw new Error(`${answer.case}: ${JSON.stringify(answer.value)}`);
  return answer.value.rpc;
}

async function history(client: TestClient) {
  const rpc = await call(client, { case: "getHistory", value: { roomId: "lobby" } });
  if (rpc.case !== "getHistory") throw new Error("another answer");
  return rpc.value.messages;
}

async function events(client: TestClient) {
  const rpc = await call(client, { case: "getEvents", value: { roomId: "lobby" } });
  if (rpc.case !== "getEvents") throw new Error("another answer");
  return rpc.value.events;
}

const NOTHING = { events: [], rooms: [], members: [], messages: [], scrubs: [], hidden: [], idleLooks: [] };

/** As much as a test likes to ask. */
const UNLIMITED = { pingIntervalMs: 3_600_000, maxInFlight: 10_000, rates: UNLIMITED_RATES, frameRate: NO_LIMIT };

/** Longer than an owner must ask the archive for repeats, and not so long that it forgets the room. */
const OWNED_MS = 10 * 60_000 + 10_000;

async function lobby(): Promise<{ test: TestCore; engine: MemoryEngine; ada: TestClient; bob: TestClient }> {
  const engine = new MemoryEngine({ archivesOnAppend: false, shards: 1 });
  const test = await useCore({ engine, limits: UNLIMITED });
  const ada = await test.connect("ada");
  await test.room(ada, "lobby", "bob");
  const bob = await test.connect("bob");
  await bob.ask({ case: "subscribe", value: { roomId: "lobby" } });
  return { test, engine, ada, bob };
}

describe("what is acknowledged", () => {
  it("is in every history and list at once", async () => {
    const { ada, bob } = await lobby();
    const first = await publish(ada, 1);
    await ada.ask({
      case: "editMessage",
      value: { roomId: "lobby", messageId: first.messageId, key: "e", body: text("new") },
    });
    await publish(bob, 2, { replyTo: first.messageId, threadRoot: first.messageId });
    const messages = await history(bob);
    expect(messages.map(({ body, replyCount, version }) => [body?.kind.value, replyCount, version])).toEqual([
      ["new", 1, 2],
      ["text 2", 0, 1],
    ]);
    const rpc = await call(bob, { case: "listRooms", value: {} });
    expect(
      rpc.case === "listRooms" && rpc.value.rooms.map(({ room, unreadCount }) => [room?.roomId, unreadCount]),
    ).toEqual([["lobby", 1]]);
  });

  it("is delivered, acknowledged and read while the archive is away, up to a bound", async () => {
    const { test, engine, ada, bob } = await lobby();
    await publish(ada, 1);
    await test.elapse(OWNED_MS);
    engine.archiveDown = true;
    for (const n of [2, 3, 4]) await publish(ada, n);
    const seen = bob.all("roomEvents").flatMap(({ value }) => value.events.map(({ position }) => position?.seq));
    expect(seen.slice(-4)).toEqual([3, 4, 5, 6].map((seq) => seq + (seen.at(-1) ?? 0) - 6));
    const [from, top] = [seen.at(-2) ?? 0, seen.at(-1) ?? 0];
    const rpc = await call(bob, { case: "getEvents", value: { roomId: "lobby", fromSeq: from } });
    expect(rpc.case === "getEvents" && rpc.value.events.map(({ position }) => position?.seq)).toEqual([from, top]);
  });

  it("is refused beyond what the next owner could take over soon", async () => {
    const engine = new MemoryEngine({ archivesOnAppend: false, shards: 1 });
    const test = await useCore({ engine, limits: { archivePendingBytes: 500, pingIntervalMs: 3_600_000 } });
    const ada = await test.connect("ada");
    await test.room(ada, "lobby");
    await test.elapse(OWNED_MS);
    engine.archiveDown = true;
    let refused = 0;
    for (let n = 0; n < 20; n++) {
      const value = { roomId: "lobby", clientMessageId: `m${n}`, body: text("x".repeat(50)) };
      const answer = await ada.ask({ case: "publish", value });
      if (answer.case === "error" && answer.value.code === ErrorCode.UNAVAILABLE) refused++;
    }
    expect(refused).toBeGreaterThan(10);
    // As the next owner counts what it has to read.
    const archived = engine.state.shards[0]?.archived ?? 0;
    const tail = await engine.log.read(0, archived, 1_000);
    const bytes = tail.reduce((sum, record) => sum + recordBytes(record), 0);
    expect(test.core.shards()[0]?.lag).toMatchObject({ events: tail.length, bytes });
    engine.archiveDown = false;
    await test.elapse(10_000);
    await publish(ada, 99);
  });
});

describe("the next owner of a shard", () => {
  it("has everything that the log has, and writes the archive that the one before could not", async () => {
    const { test, engine, ada, bob } = await lobby();
    await publish(ada, 1);
    // The owner knows then how they stand, and need not ask.
    await call(ada, { case: "addMembers", value: { roomId: "lobby", key: "a0", members: [{ userId: "cem" }] } });
    await call(ada, { case: "removeMember", value: { roomId: "lobby", key: "r0", userId: "cem" } });
    await test.elapse(OWNED_MS);
    engine.archiveDown = true;
    const second = await publish(ada, 2);
    await ada.ask({
      case: "react",
      value: { roomId: "lobby", messageId: second.messageId, key: "r", emoji: "+", on: true },
    });
    const third = await publish(ada, 3);
    await ada.ask({ case: "deleteMessage", value: { roomId: "lobby", messageId: second.messageId, key: "d" } });
    // A change of members waits for the archive, for a while: lists of rooms are read there.
    const added = { roomId: "lobby", key: "a", members: [{ userId: "cem" }] };
    const ref = ada.send({ case: "call", value: { rpc: { case: "addMembers", value: added } } });
    await test.elapse(6_000);
    expect(ada.reply(ref)).toMatchObject({ case: "callResult" });
    const shown = bob.all("roomEvents").flatMap(({ value }) => value.events.map(({ eventId }) => eventId));
    engine.archiveDown = false;
    await test.core.stop();
    engine.crash();
    const next = await useCore({ engine });
    const again = await next.connect("ada", { attempt: 2 });
    const stored = await events(again);
    expect(stored.map(({ eventId }) => eventId).slice(-shown.length)).toEqual(shown);
    expect(stored.map(({ position }) => position?.seq)).toEqual(stored.map((_, index) => index + 1));
    expect((await history(again)).map(({ deleted, messageId }) => [deleted, messageId === third.messageId])).toEqual([
      [false, false],
      [true, false],
      [false, true],
    ]);
    const rpc = await call(again, { case: "listMembers", value: { roomId: "lobby" } });
    expect(rpc.case === "listMembers" && rpc.value.members.map(({ userId }) => userId)).toEqual(["ada", "bob", "cem"]);
    // A repeat of what was acknowledged is what it was.
    expect(await publish(again, 3, { attempt: 2 })).toMatchObject({ duplicate: true, messageId: third.messageId });
    expect((await publish(again, 4)).position?.seq).toBe(stored.length + 1);
  });

  it("takes what a deleted message said out of an archive that the one before wrote in part", async () => {
    const { test, engine, ada } = await lobby();
    await test.elapse(OWNED_MS);
    const { archive } = engine;
    const apply = archive.apply.bind(archive);
    archive.apply = async (shard, _end, changes) => {
      await apply(shard, 0, { ...NOTHING, events: changes.events });
      throw new Error("the archive went away");
    };
    const said = await publish(ada, 1);
    await test.elapse(6_000);
    engine.archiveDown = true;
    const deleting = { roomId: "lobby", messageId: said.messageId, key: "d" };
    expect(await ada.ask({ case: "deleteMessage", value: deleting })).toMatchObject({ case: "changed" });
    await test.core.stop();
    engine.archiveDown = false;
    archive.apply = apply;
    engine.crash();
    const next = await useCore({ engine, limits: UNLIMITED });
    const again = await next.connect("ada", { attempt: 2 });
    await next.elapse(6_000);
    const stored = (await events(again)).find(({ eventId }) => eventId === said.messageId);
    if (stored?.kind.case !== "messageCreated") throw new Error("it is gone");
    expect(stored.kind.value.body).toBeUndefined();
  });

  it("writes in several goes what the one before wrote in part, and each change stands", async () => {
    const { test, engine, ada } = await lobby();
    const first = await publish(ada, 1);
    await test.elapse(OWNED_MS);
    const edit = async (key: string) => {
      const value = { roomId: "lobby", messageId: first.messageId, key, body: text(key) };
      expect(await ada.ask({ case: "editMessage", value })).toMatchObject({ case: "changed" });
    };
    const setRole = (key: string, role: Role) =>
      call(ada, { case: "setMember", value: { roomId: "lobby", key, userId: "bob", role } });
    // The owner has the message then, and need not ask.
    await edit("before");
    engine.archiveDown = true;
    await edit("once");
    await setRole("up", Role.ADMIN);
    let last = 0;
    for (let n = 2; n < 1_100; n++) last = ada.send(publishing(n));
    while (ada.reply(last).case === undefined) await settle();
    expect(ada.reply(last).case).toBe("published");
    await edit("twice");
    await setRole("down", Role.READER);
    // Rooms are written first: the process dies right after.
    const { archive } = engine;
    const apply = archive.apply.bind(archive);
    archive.apply = async (shard, _end, changes) => {
      await apply(shard, 0, { ...NOTHING, rooms: changes.rooms });
      throw new Error("the process has died");
    };
    engine.archiveDown = false;
    await test.elapse(6_000);
    await test.core.stop();
    engine.crash();
    const next = await useCore({ engine, limits: UNLIMITED });
    await next.elapse(1_000);
    const again = await next.connect("ada", { attempt: 2 });
    const rpc = await call(again, {
      case: "getHistory",
      value: { roomId: "lobby", from: { case: "afterIndex", value: 0 } },
    });
    expect(rpc.case === "getHistory" && rpc.value.messages[0]?.body?.kind.value).toBe("twice");
    const members = await call(again, { case: "listMembers", value: { roomId: "lobby" } });
    expect(members.case === "listMembers" && members.value.members.map(({ userId, role }) => [userId, role])).toEqual([
      ["ada", Role.OWNER],
      ["bob", Role.READER],
    ]);
  });
});
