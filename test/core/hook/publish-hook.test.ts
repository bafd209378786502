// What the application's publish hook has a say in, through the session port.

import { create } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import type { PublishHookRules } from "../../../src/core/hook/rules.js";
import { SendToUsersRequestSchema } from "../../../src/gen/trunkline/v1/delivery_pb.js";
import { MentionSchema, Permission, RoomKind } from "../../../src/gen/trunkline/v1/message_pb.js";
import { ErrorCode, TrunklineError } from "../../../src/ports/error.js";
import { identity, settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";
import { ALLOW, change, refuse, replace, ScriptedPublishHook } from "./scripted-publish-hook.js";

const AWAY = new TrunklineError(ErrorCode.UNAVAILABLE, "the publish hook did not answer", { retryAfterMs: 700 });

interface Used {
  readonly test: TestCore;
  readonly hook: ScriptedPublishHook;
  readonly ann: TestClient;
}

/** Ann in her group "room", which she reads, with bob a member. */
async function useHook(hook: ScriptedPublishHook, differing: Partial<PublishHookRules> = {}): Promise<Used> {
  const test = await useCore({ publishHook: hook.rules(differing) });
  const ann = await test.connect("ann");
  await test.room(ann, "room", "bob");
  await ann.ask({ case: "subscribe", value: { roomId: "room" } });
  return { test, hook, ann };
}

/** What is said in the room, as Ann receives it. */
function said(client: TestClient): string[] {
  return client
    .all("roomEvents")
    .flatMap(({ value }) => value.events)
    .flatMap(({ kind }) =>
      kind.case === "messageCreated" || kind.case === "messageEdited" ? [String(kind.value.body?.kind.value)] : [],
    );
}

function mention(userId: string) {
  return create(MentionSchema, { userId });
}

function edit(messageId: string, key: string, words: string) {
  return {
    case: "editMessage" as const,
    value: { roomId: "room", messageId, key, body: { kind: { case: "text" as const, value: words } } },
  };
}

describe("a publish hook", () => {
  test("is told who says what where, and what it allows is published as it was sent", async () => {
    const { hook, ann } = await useHook(new ScriptedPublishHook(() => ALLOW));
    const frame = text("room", "m1", "hello");
    const metadata = { mood: "good" };
    const answer = await ann.ask({
      case: "publish",
      value: { ...frame.value, mentions: [mention("bob")], metadata },
    });
    expect(answer.case).toBe("published");
    expect(hook.asked).toMatchObject([
      {
        tenantId: "acme",
        roomId: "room",
        roomKind: RoomKind.GROUP,
        sender: { userId: "ann", deviceId: "device-of-ann", displayName: "ann" },
        key: "m1",
        editedMessageId: "",
        message: {
          body: { kind: { case: "text", value: "hello" } },
          clientMessageId: "m1",
          messageIndex: 0,
          mentions: [{ userId: "bob" }],
          metadata,
        },
      },
    ]);
    expect(said(ann)).toEqual(["hello"]);
  });

  test("refuses with a reason and a code that the sender sees, and nobody else hears of it", async () => {
    const { ann } = await useHook(new ScriptedPublishHook(() => refuse("no swearing", "words.swearing")));
    const answer = await ann.ask(text("room", "m1", "darn"));
    expect(answer).toMatchObject({
      case: "error",
      value: {
        code: ErrorCode.PERMISSION_DENIED,
        message: "the application refuses the message: no swearing",
        retryable: false,
        details: { refused_by: "publish_hook", reason: "no swearing", reason_code: "words.swearing" },
      },
    });
    expect(said(ann)).toEqual([]);
  });

  test("replaces the body, the mentions and the metadata, each by itself", async () => {
    const answers = [
      replace("d***"),
      change({ mentions: ["bob"] }),
      change({ metadata: { lang: "en" } }),
      change({ text: "all", mentions: [], metadata: {} }),
    ];
    const { ann } = await useHook(new ScriptedPublishHook(({ key }) => answers[Number(key)] ?? ALLOW));
    for (const key of ["0", "1", "2", "3"]) {
      const { value } = text("room", key, `sent ${key}`);
      const metadata = { from: "ann" };
      await ann.ask({ case: "publish", value: { ...value, mentions: [mention("ann")], metadata } });
    }
    const created = ann
      .all("roomEvents")
      .flatMap(({ value }) => value.events)
      .flatMap(({ kind }) => (kind.case === "messageCreated" ? [kind.value] : []))
      .map(({ body, mentions, metadata }) => [body?.kind.value, mentions.map(({ userId }) => userId), metadata]);
    expect(created).toEqual([
      ["d***", ["ann"], { from: "ann" }],
      ["sent 1", ["bob"], { from: "ann" }],
      ["sent 2", ["ann"], { lang: "en" }],
      ["all", [], {}],
    ]);
  });

  test("has its say in edits, and sees what the message would say", async () => {
    const hook = new ScriptedPublishHook(({ editedMessageId, message }) => {
      if (editedMessageId === "") return ALLOW;
      return message.body?.kind.value === "worse" ? refuse("worse") : replace("edited by the hook");
    });
    const { ann } = await useHook(hook);
    const published = await ann.ask({
      case: "publish",
      value: { ...text("room", "m1", "first").value, metadata: { kept: true } },
    });
    const messageId = published.case === "published" ? published.value.messageId : "";
    expect(await ann.ask(edit(messageId, "e1", "better"))).toMatchObject({ case: "changed", value: { version: 2 } });
    expect(await ann.ask(edit(messageId, "e2", "worse"))).toMatchObject({
      case: "error",
      value: { code: ErrorCode.PERMISSION_DENIED },
    });
    expect(hook.asked[1]).toMatchObject({
      editedMessageId: messageId,
      key: "e1",
      message: { metadata: { kept: true } },
    });
    expect(said(ann)).toEqual(["first", "edited by the hook"]);
  });

  test("sees a message that is passed on, with whose it was", async () => {
    const { hook, ann, test } = await useHook(new ScriptedPublishHook(() => ALLOW));
    const published = await ann.ask(text("room", "m1", "pass it on"));
    const messageId = published.case === "published" ? published.value.messageId : "";
    await test.room(ann, "other");
    const forward = { roomId: "room", messageId };
    const answer = await ann.ask({ case: "publish", value: { roomId: "other", clientMessageId: "f1", forward } });
    expect(answer.case).toBe("published");
    expect(hook.asked[1]?.message).toMatchObject({
      body: { kind: { value: "pass it on" } },
      forwardedFrom: { roomId: "room", messageId, sender: { userId: "ann" } },
    });
  });

  test("is not asked about what the room refuses by itself", async () => {
    const { hook, test } = await useHook(new ScriptedPublishHook(() => ALLOW));
    const eve = await test.connect("eve");
    expect(await eve.ask(text("room", "m1"))).toMatchObject({ value: { code: ErrorCode.NOT_A_MEMBER } });
    expect(await eve.ask(text("nowhere", "m1"))).toMatchObject({ value: { code: ErrorCode.NOT_FOUND } });
    expect(hook.asked).toEqual([]);
  });

  test("cannot publish for somebody who has lost the right while it was asked", async () => {
    const { hook, ann, test } = await useHook(new ScriptedPublishHook());
    const bob = await test.connect("bob");
    const ref = bob.send(text("room", "m1"));
    await settle();
    const removal = { roomId: "room", userId: "bob", key: "out" };
    await ann.ask({ case: "call", value: { rpc: { case: "removeMember", value: removal } } });
    hook.answer(0, ALLOW);
    await settle();
    expect(bob.reply(ref)).toMatchObject({ value: { code: ErrorCode.NOT_A_MEMBER } });
  });

  test("that answers with what no client may send is at fault, and nothing is published, open or not", async () => {
    for (const failure of ["open", "closed"] as const) {
      const answers = [replace(""), replace("x".repeat(16_385)), change({ mentions: ["not an id"] })];
      const hook = new ScriptedPublishHook(({ key }) => answers[Number(key)] ?? ALLOW);
      const { ann, test } = await useHook(hook, { failure });
      const failed = test.record("hook.failed");
      for (const key of ["0", "1", "2"]) {
        expect(await ann.ask(text("room", key))).toMatchObject({
          case: "error",
          value: { code: ErrorCode.INTERNAL, message: "the application's answer cannot be published" },
        });
      }
      expect(said(ann)).toEqual([]);
      expect(failed).toHaveLength(3);
      expect(failed[0]).toMatchObject({ hook: "publish", fault: "bad-answer", letThrough: false });
    }
  });

  test("that answers with what is longer than the tenant may send is at fault too", async () => {
    const { ann, test } = await useHook(new ScriptedPublishHook(() => replace("12345")));
    expect((await ann.ask(text("room", "k", "1"))).case).toBe("published");
    test.tenants.replace(new Map([["acme", { maxTextBytes: 4 }]]));
    expect(await ann.ask(text("room", "l", "1"))).toMatchObject({ value: { code: ErrorCode.INTERNAL } });
  });
});

describe("a publish hook that gives no answer", () => {
  test("closed: the sender is told when to come back, and is then asked for anew", async () => {
    const hook = new ScriptedPublishHook();
    const { ann, test } = await useHook(hook);
    const failed = test.record("hook.failed");
    const ref = ann.send(text("room", "m1"));
    await settle();
    hook.answer(0, AWAY);
    await settle();
    expect(ann.reply(ref)).toMatchObject({
      case: "error",
      value: { code: ErrorCode.UNAVAILABLE, retryable: true, retryAfterMs: 700 },
    });
    expect(failed).toMatchObject([{ hook: "publish", fault: "no-answer", letThrough: false }]);
    const again = ann.send({ case: "publish", value: { ...text("room", "m1").value, attempt: 2 } });
    await settle();
    hook.answer(1, ALLOW);
    await settle();
    expect(ann.reply(again)).toMatchObject({ case: "published", value: { duplicate: false } });
  });

  test("open: the message is published as it was sent", async () => {
    const { ann, test } = await useHook(new ScriptedPublishHook(() => AWAY), { failure: "open" });
    const failed = test.record("hook.failed");
    expect(await ann.ask(text("room", "m1"))).toMatchObject({ case: "published" });
    expect(said(ann)).toEqual(["m1"]);
    expect(failed).toMatchObject([{ letThrough: true }]);
  });

  test("is no answer either when it fails in a way of its own", async () => {
    const { ann } = await useHook(new ScriptedPublishHook(() => new TypeError("a bug of the hook")));
    expect(await ann.ask(text("room", "m1"))).toMatchObject({ case: "error", value: { code: ErrorCode.UNAVAILABLE } });
  });
});

describe("a repeat", () => {
  test("of what was published is answered with the first place, whatever the hook would say now", async () => {
    const verdicts = [ALLOW];
    const { hook, ann } = await useHook(new ScriptedPublishHook(() => verdicts.shift() ?? refuse("not any more")));
    const first = await ann.ask(text("room", "m1"));
    const again = await ann.ask({ case: "publish", value: { ...text("room", "m1").value, attempt: 2 } });
    expect(again).toMatchObject({ case: "published", value: { duplicate: true } });
    expect(again.case === "published" && again.value.position).toEqual(
      first.case === "published" && first.value.position,
    );
    expect(hook.asked).toHaveLength(1);
  });

  test("from another connection shares the answer that the first waits for, and what the first says", async () => {
    const { hook, ann, test } = await useHook(new ScriptedPublishHook());
    const laptop = await test.connect("ann", { device: { deviceId: "laptop" } });
    const first = ann.send(text("room", "m1", "decent"));
    await settle();
    const second = laptop.send({ case: "publish", value: { ...text("room", "m1", "unseen").value, attempt: 2 } });
    await settle();
    expect(hook.texts).toEqual(["decent"]);
    hook.answer(0, ALLOW);
    await settle();
    expect(ann.reply(first)).toMatchObject({ case: "published", value: { duplicate: false } });
    expect(laptop.reply(second)).toMatchObject({ case: "published", value: { duplicate: true } });
    expect(said(ann)).toEqual(["decent"]);
  });

  test("of a key that is asked about as another change is refused", async () => {
    const hook = new ScriptedPublishHook();
    const { ann, test } = await useHook(hook);
    ann.send(text("room", "m1"));
    await settle();
    hook.answer(0, ALLOW);
    await settle();
    const { messageId } = ann.last("published");
    ann.send(text("room", "k"));
    const laptop = await test.connect("ann", { device: { deviceId: "laptop" } });
    expect(await laptop.ask(edit(messageId, "k", "edited"))).toMatchObject({
      case: "error",
      value: { code: ErrorCode.CONFLICT, field: "key" },
    });
    expect(hook.asked).toHaveLength(2);
  });

  test("that was asked about before the first was stored is a repeat all the same", async () => {
    const { hook, ann, test } = await useHook(new ScriptedPublishHook());
    const laptop = await test.connect("ann", { device: { deviceId: "laptop" } });
    ann.send(text("room", "m1"));
    await settle();
    hook.answer(0, AWAY);
    await settle();
    const second = ann.send({ case: "publish", value: { ...text("room", "m1").value, attempt: 2 } });
    await settle();
    const third = laptop.send({ case: "publish", value: { ...text("room", "m1").value, attempt: 3 } });
    hook.answer(1, ALLOW);
    await settle();
    expect(ann.reply(second)).toMatchObject({ case: "published", value: { duplicate: false } });
    expect(laptop.reply(third)).toMatchObject({ case: "published", value: { duplicate: true } });
  });
});

describe("a hook that is slow", () => {
  test("holds up neither other sessions nor the sender's other rooms", async () => {
    const { hook, ann, test } = await useHook(new ScriptedPublishHook());
    const bob = await test.connect("bob");
    await test.room(ann, "other");
    const slow = ann.send(text("room", "slow"));
    await settle();
    const others = [ann.send(text("other", "elsewhere")), bob.send(text("room", "of-bob"))];
    await settle();
    hook.answer(1, ALLOW);
    hook.answer(2, ALLOW);
    await settle();
    expect(ann.reply(others[0] ?? 0).case).toBe("published");
    expect(bob.reply(others[1] ?? 0).case).toBe("published");
    expect(ann.reply(slow).case).toBeUndefined();
  });

  test("is asked one question of a session and room at a time", async () => {
    const { hook, ann } = await useHook(new ScriptedPublishHook());
    for (const key of ["a", "b", "c"]) ann.send(text("room", key));
    await settle();
    expect(hook.texts).toEqual(["a"]);
    hook.answer(0, ALLOW);
    await settle();
    expect(hook.texts).toEqual(["a", "b"]);
  });

  test("is asked at most so many questions of one room, and what is over that is refused, open or not", async () => {
    const hook = new ScriptedPublishHook();
    const { ann, test } = await useHook(hook, { failure: "open" });
    const many = Array.from({ length: 256 }, (_, index) => `user-${index}`);
    for (let from = 0; from < many.length; from += 100) {
      const members = many.slice(from, from + 100).map((userId) => ({ userId }));
      const value = { roomId: "room", key: `add-${from}`, members };
      await ann.ask({ case: "call", value: { rpc: { case: "addMembers", value } } });
    }
    for (const userId of many) (await test.connect(userId)).send(text("room", "m"));
    await settle();
    expect(hook.asked).toHaveLength(256);
    expect(await ann.ask(text("room", "one-too-many"))).toMatchObject({
      case: "error",
      value: { code: ErrorCode.UNAVAILABLE, retryAfterMs: 500 },
    });
    await test.room(ann, "other");
    ann.send(text("other", "elsewhere"));
    await settle();
    expect(hook.asked).toHaveLength(257);
    hook.answer(0, ALLOW);
    await settle();
    ann.send(text("room", "now"));
    await settle();
    expect(hook.asked).toHaveLength(258);
  });
});

test("a message to many users waits for its turns and leaves places to what people say", async () => {
  const hook = new ScriptedPublishHook();
  const { test, ann } = await useHook(hook, {
    services: true,
    roomKinds: new Set([RoomKind.GROUP, RoomKind.INBOX]),
  });
  const caller = { identity: identity("bot", { grants: new Set(["service"]) }), deviceId: "" };
  const userIds = Array.from({ length: 200 }, (_, index) => `user-${index}`);
  const body = { kind: { case: "text" as const, value: "news" } };
  const sending = test.core.delivery.sendToUsers(caller, create(SendToUsersRequestSchema, { userIds, key: "k", body }));
  await settle();
  expect(hook.asked).toHaveLength(64);
  const ref = ann.send(text("room", "meanwhile"));
  await settle();
  expect(hook.texts.at(-1)).toBe("meanwhile");
  for (let index = 0; index < 201; index++) {
    if (index >= hook.asked.length) await settle();
    hook.answer(index, ALLOW);
  }
  const { results } = await sending;
  expect(results.map(({ userId, errorReason }) => [userId, errorReason])).toEqual(userIds.map((id) => [id, ""]));
  await settle();
  expect(ann.reply(ref)).toMatchObject({ case: "published" });
});

describe("where it has no say, the hook is not asked", () => {
  test("about what services send, unless it is to be", async () => {
    for (const services of [false, true]) {
      const { hook, test } = await useHook(new ScriptedPublishHook(() => refuse("no")), {
        services,
        roomKinds: new Set([RoomKind.GROUP, RoomKind.INBOX]),
      });
      const bot = await test.connect("bot", {}, { grants: new Set(["service"]) });
      const caller = { identity: identity("bot", { grants: new Set(["service"]) }), deviceId: "" };
      const users = await test.core.delivery.sendToUsers(
        caller,
        create(SendToUsersRequestSchema, {
          userIds: ["bob"],
          key: "k",
          body: { kind: { case: "text", value: "for you" } },
        }),
      );
      expect(await bot.ask(text("room", "m1"))).toMatchObject({ case: services ? "error" : "published" });
      expect(users.results).toMatchObject([{ userId: "bob", errorReason: services ? "PERMISSION_DENIED" : "" }]);
      expect(hook.asked.map(({ roomKind }) => roomKind)).toEqual(services ? [RoomKind.INBOX, RoomKind.GROUP] : []);
    }
  });

  test("in rooms of other kinds, about other bodies, and in other tenants", async () => {
    for (const rules of [
      { roomKinds: new Set([RoomKind.DIRECT]) },
      { bodies: new Set(["attachment"]) },
      { tenants: new Set(["other"]) },
    ]) {
      const { hook, ann } = await useHook(new ScriptedPublishHook(() => refuse("no")), rules);
      expect(await ann.ask(text("room", "m1"))).toMatchObject({ case: "published" });
      expect(hook.asked).toEqual([]);
    }
  });

  test("about reactions, deletions, pins and who is a member", async () => {
    const { hook, ann } = await useHook(new ScriptedPublishHook(() => ALLOW));
    const published = await ann.ask(text("room", "m1"));
    const messageId = published.case === "published" ? published.value.messageId : "";
    await ann.ask({ case: "react", value: { roomId: "room", messageId, key: "r", emoji: "+1", on: true } });
    const member = { roomId: "room", key: "s", userId: "bob", overrides: { granted: [Permission.PIN], denied: [] } };
    await ann.ask({ case: "call", value: { rpc: { case: "setMember", value: member } } });
    await ann.ask({ case: "deleteMessage", value: { roomId: "room", messageId, key: "d" } });
    expect(hook.asked).toHaveLength(1);
  });
});

test("how often the hook was asked, what it said and how long it took is told", async () => {
  const hook = new ScriptedPublishHook();
  const { ann, test } = await useHook(hook);
  const answered = test.record("hook.answered");
  ann.send(text("room", "m1"));
  await settle();
  await test.elapse(250);
  hook.answer(0, ALLOW);
  await settle();
  expect(answered).toEqual([{ hook: "publish", answer: "allow", tookMs: 250 }]);
});

test("a session that ends while the hook is asked leaves nothing behind, and what it sent is published once", async () => {
  const { hook, ann, test } = await useHook(new ScriptedPublishHook());
  const bob = await test.connect("bob");
  await bob.ask({ case: "subscribe", value: { roomId: "room" } });
  ann.send(text("room", "m1"));
  ann.send(text("room", "m2"));
  await settle();
  ann.connection.gone(false);
  hook.answer(0, ALLOW);
  await settle();
  const back = await test.connect("ann", { attempt: 2 });
  const again = back.send({ case: "publish", value: { ...text("room", "m1").value, attempt: 2 } });
  await settle();
  expect(back.reply(again)).toMatchObject({ case: "published", value: { duplicate: true } });
  expect(said(bob)).toEqual(["m1"]);
});

test("draining waits for the hook's answers", async () => {
  const { hook, ann, test } = await useHook(new ScriptedPublishHook());
  const ref = ann.send(text("room", "m1"));
  await settle();
  const drained = test.core.drain(0);
  await settle();
  hook.answer(0, ALLOW);
  await test.elapse(1_000);
  await drained;
  expect(ann.reply(ref)).toMatchObject({ case: "published" });
});
