import { create } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { Caller } from "../../../src/core/room/calls.js";
import type { Command } from "../../../src/core/room/command.js";
import { BodySchema, type Message, Role } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { administrator, expectRefusal, TENANT, type TestRooms, useRooms, user } from "./use-rooms.js";

const ada = user("ada");
const bob = user("bob");
const carl = user("carl");
const eve = user("eve");

const text = (words: string) => create(BodySchema, { kind: { case: "text", value: words } });

let keys = 0;
const key = () => ({ key: `k${++keys}`, attempt: 1 });
const edit = (messageId: string, words: string, more: { baseVersion?: number } = {}): Command => ({
  kind: "edit",
  ...key(),
  messageId,
  body: text(words),
  mentions: [],
  metadata: undefined,
  baseVersion: 0,
  ...more,
});
const remove = (messageId: string): Command => ({ kind: "deleteMessage", ...key(), messageId, expired: false });
const react = (messageId: string, emoji = "+1", on = true): Command => ({
  kind: "react",
  ...key(),
  messageId,
  emoji,
  on,
});
const pin = (messageId: string, pinned = true): Command => ({ kind: "pin", ...key(), messageId, pinned });
const reply = (to: { replyTo?: string; threadRoot?: string }, words = "reply"): Command => ({
  kind: "publish",
  ...key(),
  body: text(words),
  replyTo: "",
  threadRoot: "",
  mentions: [],
  metadata: undefined,
  ...to,
});

/** A group of ada (owner), bob and carl (members) with a message of bob. */
async function talk(engine?: MemoryEngine): Promise<{ rooms: TestRooms; said: string }> {
  const rooms = await useRooms(engine === undefined ? {} : { engine });
  await rooms.room("r", { members: [bob, carl].map(({ identity: { userId } }) => ({ userId, role: Role.MEMBER })) });
  const { eventId } = await rooms.publish(bob, "r", `said-${++keys}`, 1, "first words");
  return { rooms, said: eventId };
}

async function history(rooms: TestRooms, caller: Caller = ada): Promise<readonly Message[]> {
  return (await rooms.ask(caller, "getHistory", { roomId: "r" })).messages;
}

async function shown(rooms: TestRooms, messageId: string): Promise<Message | undefined> {
  return (await history(rooms)).find((message) => message.messageId === messageId);
}

/** Everything that is stored of the room and its messages, as text. */
async function stored(rooms: TestRooms): Promise<string> {
  const ref = roomRef(TENANT, "r");
  const messages = await rooms.engine.archive.messages(ref, { afterIndex: 0, limit: 1_000 });
  const log = await Promise.all(
    Array.from({ length: rooms.engine.shards }, (_, shard) => rooms.engine.log.read(shard, 0, 10_000)),
  );
  return JSON.stringify([await rooms.events("r"), messages, log], (_, value) =>
    typeof value === "bigint"
      ? String(value)
      : value instanceof Uint8Array
        ? Buffer.from(value).toString("latin1")
        : value,
  );
}

/** Time passes, and what follows from it is done. */
async function pass(rooms: TestRooms, milliseconds: number): Promise<void> {
  rooms.clock.advance(milliseconds);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

describe("editing a message", () => {
  it("replaces what it says, raises its version and keeps its place", async () => {
    const { rooms, said } = await talk();
    const before = await shown(rooms, said);
    const outcome = await rooms.submit(bob, "r", edit(said, "better words"));
    expect(outcome).toMatchObject({ version: 2, seq: 3, duplicate: false });
    const after = await shown(rooms, said);
    expect(after).toMatchObject({ body: { kind: { value: "better words" } }, version: 2, messageIndex: 1 });
    expect(after?.position).toEqual(before?.position);
    expect(after?.editedAt).toBeDefined();
    expect(await rooms.kinds("r")).toEqual(["roomCreated", "messageCreated", "messageEdited"]);
  });

  it("is judged on the version it was based on", async () => {
    const { rooms, said } = await talk();
    await rooms.submit(bob, "r", edit(said, "two", { baseVersion: 1 }));
    await expectRefusal(rooms.submit(bob, "r", edit(said, "three", { baseVersion: 1 })), ErrorCode.CONFLICT, {
      field: "base_version",
      details: { current_version: "2" },
    });
    expect((await rooms.submit(bob, "r", edit(said, "three", { baseVersion: 2 }))).version).toBe(3);
  });

  it("of two that are based on the same version, one wins", async () => {
    const { rooms, said } = await talk();
    const both = await Promise.allSettled([
      rooms.submit(bob, "r", edit(said, "one", { baseVersion: 1 })),
      rooms.submit(bob, "r", edit(said, "other", { baseVersion: 1 })),
    ]);
    expect(both.map(({ status }) => status)).toEqual(["fulfilled", "rejected"]);
  });

  it("is one's own right, or needs one over others' messages", async () => {
    const { rooms, said } = await talk();
    await expectRefusal(rooms.submit(carl, "r", edit(said, "x")), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(rooms.submit(eve, "r", edit(said, "x")), ErrorCode.NOT_A_MEMBER);
    await expectRefusal(rooms.submit(eve, "r", edit("no-such", "x")), ErrorCode.NOT_A_MEMBER);
    expect((await rooms.submit(ada, "r", edit(said, "by the owner"))).version).toBe(2);
    expect((await rooms.submit(administrator("root"), "r", edit(said, "by the tenant"))).version).toBe(3);
  });

  it("answers a repeat with the place and version of the first time", async () => {
    const { rooms, said } = await talk();
    const command = edit(said, "two");
    const first = await rooms.submit(bob, "r", command);
    await rooms.submit(bob, "r", edit(said, "three"));
    expect(await rooms.submit(bob, "r", command)).toMatchObject({ seq: first.seq, version: 2, duplicate: true });
    await rooms.restart();
    expect(await rooms.submit(bob, "r", { ...command, attempt: 2 })).toMatchObject({
      seq: first.seq,
      version: 2,
      duplicate: true,
    });
    expect((await shown(rooms, said))?.version).toBe(3);
  });

  it("works on a message that is not durable yet, after a restart, and over an archive that answers later", async () => {
    for (const answersLater of [false, true]) {
      const engine = new MemoryEngine({ answersLater });
      const { rooms, said } = await talk(engine);
      const publishing = rooms.submit(bob, "r", reply({}, "fresh"));
      const { eventId } = await publishing;
      const [sent, edited] = await Promise.all([
        rooms.submit(bob, "r", reply({}, "sent")),
        rooms.submit(bob, "r", edit(eventId, "edited at once")),
      ]);
      expect(edited.seq).toBe(sent.seq + 1);
      await rooms.restart();
      expect((await rooms.submit(bob, "r", edit(said, "after the restart"))).version).toBe(2);
      const words = (await history(rooms)).map(({ body }) => body?.kind.value);
      expect(words).toEqual(["after the restart", "edited at once", "sent"]);
    }
  });
});

describe("deleting a message", () => {
  it("leaves its place and takes its words away wherever they are kept", async () => {
    const { rooms, said } = await talk();
    await rooms.submit(bob, "r", edit(said, "second words"));
    await rooms.submit(carl, "r", react(said));
    expect(await stored(rooms)).toContain("first words");
    const before = await rooms.events("r");
    expect(await rooms.submit(bob, "r", remove(said))).toMatchObject({ version: 3 });
    expect(await shown(rooms, said)).toMatchObject({ deleted: true, version: 3, messageIndex: 1, reactions: [] });
    const all = await stored(rooms);
    expect(all).not.toContain("first words");
    expect(all).not.toContain("second words");
    const after = await rooms.events("r");
    expect(after.slice(0, before.length).map(({ position, eventId }) => ({ position, eventId }))).toEqual(
      before.map(({ position, eventId }) => ({ position, eventId })),
    );
  });

  it("takes the words of a message away that was sent, edited and deleted before any of it was durable", async () => {
    const { rooms } = await talk();
    const sent = rooms.submit(bob, "r", reply({}, "never mind"));
    // The id of a message follows from its key, so a client that knows its own ids may name it at once.
    const messageId = rooms.deps.ids.digest(`${TENANT}/r/bob/k${keys}`);
    const edited = rooms.submit(bob, "r", edit(messageId, "never ever"));
    const deleted = rooms.submit(bob, "r", remove(messageId));
    expect((await sent).eventId).toBe(messageId);
    await edited;
    await deleted;
    const all = await stored(rooms);
    expect(all).not.toContain("never mind");
    expect(all).not.toContain("never ever");
    expect(await shown(rooms, messageId)).toMatchObject({ deleted: true });
  });

  it("is done once: again changes nothing", async () => {
    const { rooms, said } = await talk();
    await rooms.submit(bob, "r", remove(said));
    const top = (await rooms.events("r")).length;
    await rooms.submit(bob, "r", remove(said));
    expect((await rooms.events("r")).length).toBe(top);
    await expectRefusal(rooms.submit(bob, "r", edit(said, "x")), ErrorCode.NOT_FOUND, { field: "message_id" });
    await expectRefusal(rooms.submit(bob, "r", react(said)), ErrorCode.NOT_FOUND);
    await expectRefusal(rooms.submit(ada, "r", pin(said)), ErrorCode.NOT_FOUND);
  });

  it("is one's own right, or needs one over others' messages", async () => {
    const { rooms, said } = await talk();
    await expectRefusal(rooms.submit(carl, "r", remove(said)), ErrorCode.PERMISSION_DENIED);
    await expectRefusal(rooms.submit(eve, "r", remove(said)), ErrorCode.NOT_A_MEMBER);
    await expectRefusal(rooms.submit(bob, "r", remove("no-such")), ErrorCode.NOT_FOUND, { field: "message_id" });
    await rooms.submit(ada, "r", remove(said));
    expect(await shown(rooms, said)).toMatchObject({ deleted: true });
  });

  it("answers the repeat of a publish whose message was deleted with its place", async () => {
    const { rooms } = await talk();
    const command = reply({}, "gone soon");
    const first = await rooms.submit(bob, "r", command);
    await rooms.submit(bob, "r", remove(first.eventId));
    await rooms.restart();
    expect(await rooms.submit(bob, "r", { ...command, attempt: 2 })).toMatchObject({ seq: first.seq, duplicate: true });
  });
});

describe("reactions", () => {
  it("are counted, with who set them, in the order they were first set", async () => {
    const { rooms, said } = await talk();
    await rooms.submit(carl, "r", react(said, "wave"));
    await rooms.submit(ada, "r", react(said, "+1"));
    await rooms.submit(bob, "r", react(said, "wave"));
    expect((await shown(rooms, said))?.reactions).toMatchObject([
      { emoji: "wave", count: 2, userIds: ["carl", "bob"] },
      { emoji: "+1", count: 1, userIds: ["ada"] },
    ]);
    await rooms.submit(carl, "r", react(said, "wave", false));
    await rooms.submit(ada, "r", react(said, "+1", false));
    expect((await shown(rooms, said))?.reactions).toMatchObject([{ emoji: "wave", count: 1, userIds: ["bob"] }]);
  });

  it("change nothing when they are as asked", async () => {
    const { rooms, said } = await talk();
    await rooms.submit(carl, "r", react(said, "+1", false));
    await rooms.submit(carl, "r", react(said));
    await rooms.submit(carl, "r", react(said));
    expect(await rooms.kinds("r")).toEqual(["roomCreated", "messageCreated", "reactionSet"]);
  });

  it("leave the message's version as it is", async () => {
    const { rooms, said } = await talk();
    expect(await rooms.submit(carl, "r", react(said))).toMatchObject({ version: 1 });
    await rooms.submit(bob, "r", edit(said, "two", { baseVersion: 1 }));
  });

  it("have a bound", async () => {
    const { rooms, said } = await talk();
    for (let n = 0; n < 50; n++) await rooms.submit(carl, "r", react(said, `e${n}`));
    await expectRefusal(rooms.submit(carl, "r", react(said, "one-more")), ErrorCode.LIMIT_EXCEEDED, {
      details: { limit: "50" },
    });
    await rooms.submit(ada, "r", react(said, "e7"));
  });
});

describe("replies and threads", () => {
  it("name messages of the room", async () => {
    const { rooms, said } = await talk();
    const { eventId } = await rooms.submit(carl, "r", reply({ replyTo: said }));
    expect(await shown(rooms, eventId)).toMatchObject({ replyTo: said });
    for (const field of ["replyTo", "threadRoot"]) {
      await expectRefusal(rooms.submit(carl, "r", reply({ [field]: "no-such" })), ErrorCode.NOT_FOUND);
    }
  });

  it("count the messages of a thread at its root", async () => {
    const { rooms, said } = await talk();
    const [first] = await Promise.all([
      rooms.submit(carl, "r", reply({ threadRoot: said })),
      rooms.submit(ada, "r", reply({ threadRoot: said })),
    ]);
    expect(await shown(rooms, said)).toMatchObject({ replyCount: 2, version: 1 });
    await rooms.restart();
    await rooms.submit(carl, "r", remove(first.eventId));
    expect(await shown(rooms, said)).toMatchObject({ replyCount: 1 });
  });

  it("have one level", async () => {
    const { rooms, said } = await talk();
    const { eventId } = await rooms.submit(carl, "r", reply({ threadRoot: said }));
    await expectRefusal(rooms.submit(ada, "r", reply({ threadRoot: eventId })), ErrorCode.INVALID_ARGUMENT, {
      field: "publish.thread_root",
    });
  });
});

describe("pins", () => {
  it("are a list of the room, oldest first", async () => {
    const { rooms, said } = await talk();
    const { eventId } = await rooms.submit(bob, "r", reply({}));
    await rooms.submit(ada, "r", pin(eventId));
    await rooms.submit(ada, "r", pin(said));
    const pins = async () => (await rooms.ask(bob, "getRoom", { roomId: "r" })).room?.pinnedMessageIds;
    expect(await pins()).toEqual([eventId, said]);
    expect(await shown(rooms, said)).toMatchObject({ pinned: true });
    await rooms.restart();
    await rooms.submit(ada, "r", pin(eventId, false));
    expect(await pins()).toEqual([said]);
    await rooms.submit(bob, "r", remove(said));
    expect(await pins()).toEqual([]);
  });

  it("need their right and have a bound", async () => {
    const { rooms, said } = await talk();
    await expectRefusal(rooms.submit(bob, "r", pin(said)), ErrorCode.PERMISSION_DENIED);
    for (let n = 0; n < 50; n++) {
      const { eventId } = await rooms.submit(bob, "r", reply({}));
      await rooms.submit(ada, "r", pin(eventId));
    }
    await expectRefusal(rooms.submit(ada, "r", pin(said)), ErrorCode.LIMIT_EXCEEDED);
  });
});

describe("a message that expires", () => {
  const fleeting = (expiresAfterMs: number): Command => ({ ...reply({}, "fleeting"), expiresAfterMs }) as Command;

  it("vanishes from history at its time, and is announced and scrubbed", async () => {
    const { rooms } = await talk();
    const { eventId } = await rooms.submit(bob, "r", fleeting(5_000));
    expect(await shown(rooms, eventId)).toBeDefined();
    await pass(rooms, 5_000);
    await pass(rooms, 2_000);
    expect((await rooms.kinds("r")).at(-1)).toBe("messageDeleted");
    expect((await rooms.events("r")).at(-1)).toMatchObject({ kind: { value: { messageId: eventId, expired: true } } });
    expect((await rooms.events("r")).at(-1)?.actor).toBeUndefined();
    expect(await stored(rooms)).not.toContain("fleeting");
    expect(await rooms.engine.archive.expired([0, 1, 2, 3], rooms.clock.now(), 10)).toEqual([]);
  });

  it("cannot be changed after its time, though its end was not announced yet", async () => {
    const { rooms } = await talk();
    const { eventId } = await rooms.submit(bob, "r", fleeting(5_000));
    rooms.owner.close();
    rooms.clock.advance(6_000);
    await rooms.restart();
    await expectRefusal(rooms.submit(bob, "r", edit(eventId, "x")), ErrorCode.NOT_FOUND);
    expect(await shown(rooms, eventId)).toBeUndefined();
  });

  it("is found after a restart, also in a room that was archived meanwhile", async () => {
    const { rooms } = await talk();
    await rooms.submit(bob, "r", fleeting(5_000));
    await rooms.ask(ada, "updateRoom", { roomId: "r", key: "archive", status: 2 });
    await rooms.restart();
    await pass(rooms, 7_000);
    expect((await rooms.kinds("r")).at(-1)).toBe("messageDeleted");
  });

  it("ends with its room, where that is deleted first", async () => {
    const { rooms } = await talk();
    const { eventId: messageId } = await rooms.submit(bob, "r", fleeting(5_000));
    rooms.clock.advance(6_000);
    await rooms.ask(ada, "deleteRoom", { roomId: "r", key: "gone" });
    const system = user("", { displayName: "" });
    await rooms.submit(system, "r", { kind: "deleteMessage", ...key(), messageId, expired: true });
    expect((await rooms.kinds("r")).at(-1)).toBe("roomDeleted");
  });

  it("takes its time from the room where it states none", async () => {
    const { rooms } = await talk();
    await rooms.ask(ada, "updateRoom", { roomId: "r", key: "retention", settings: { retentionMs: 60_000 } });
    const { eventId } = await rooms.submit(bob, "r", reply({}));
    expect((await shown(rooms, eventId))?.expiresAt).toBeDefined();
  });
});
