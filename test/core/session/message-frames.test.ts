// Frames that change messages, as a client of a session sends them.

import { createHash } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import type { EditMessageSchema, PublishSchema } from "../../../src/gen/trunkline/v1/session_pb.js";
import { ErrorCode } from "../../../src/ports/error.js";
import { settle, type TestClient, type TestCore, text, useCore } from "../use-core.js";

type Of<T> = Exclude<T, { $typeName: string }>;

let keys = 0;

async function talk(): Promise<{ core: TestCore; ada: TestClient; bob: TestClient; said: string }> {
  const core = await useCore();
  const ada = await core.connect("ada");
  const bob = await core.connect("bob");
  await core.room(ada, "r", "bob");
  for (const client of [ada, bob]) await client.ask({ case: "subscribe", value: { roomId: "r" } });
  return { core, ada, bob, said: await say(bob) };
}

async function say(client: TestClient, more: Of<MessageInitShape<typeof PublishSchema>> = {}): Promise<string> {
  const { value } = text("r", `say-${++keys}`);
  const answer = await client.ask({ case: "publish", value: { ...(value as Of<typeof value>), ...more } });
  if (answer.case !== "published") throw new Error(`not published: ${JSON.stringify(answer.value)}`);
  return answer.value.messageId;
}

function edit(client: TestClient, messageId: string, more: Of<MessageInitShape<typeof EditMessageSchema>> = {}) {
  const body = { kind: { case: "text" as const, value: "better" } };
  return client.ask({ case: "editMessage", value: { roomId: "r", messageId, key: `e-${++keys}`, body, ...more } });
}

/** Cases of the room's events as the client saw them. */
function kinds(client: TestClient): (string | undefined)[] {
  return client.all("roomEvents").flatMap(({ value }) => value.events.map(({ kind }) => kind.case));
}

describe("changing messages", () => {
  it("is answered with place and version, and told to everybody in order", async () => {
    const { ada, bob, said } = await talk();
    expect(await edit(bob, said)).toMatchObject({ case: "changed", value: { version: 2, duplicate: false } });
    const react = { roomId: "r", messageId: said, key: "react", emoji: "+1", on: true };
    expect(await ada.ask({ case: "react", value: react })).toMatchObject({ case: "changed", value: { version: 2 } });
    const rpc = { case: "pinMessage" as const, value: { roomId: "r", messageId: said, key: "pin", pinned: true } };
    expect((await ada.ask({ case: "call", value: { rpc } })).case).toBe("callResult");
    const gone = { roomId: "r", messageId: said, key: "delete" };
    expect(await bob.ask({ case: "deleteMessage", value: gone })).toMatchObject({ value: { version: 3 } });
    expect(await bob.ask({ case: "deleteMessage", value: gone })).toMatchObject({ value: { duplicate: true } });
    const told = ["messageCreated", "messageEdited", "reactionSet", "messagePinned", "messageDeleted"];
    expect(kinds(ada)).toEqual(told);
    expect(kinds(bob)).toEqual(told);
  });

  it("keeps the order of a client's frames about a room", async () => {
    const { bob, said } = await talk();
    const refs = [2, 3, 4].map((version) => {
      const body = { kind: { case: "text" as const, value: `v${version}` } };
      const value = { roomId: "r", messageId: said, key: `o${version}`, body, baseVersion: version - 1 };
      return bob.send({ case: "editMessage", value });
    });
    await settle();
    expect(refs.map((ref) => bob.reply(ref))).toMatchObject([2, 3, 4].map((version) => ({ value: { version } })));
  });

  it("is refused with the field at fault", async () => {
    const { bob, said } = await talk();
    const refused = async (asked: Promise<unknown>) => {
      const answer = await asked;
      return answer as { case: string; value: { code: ErrorCode; field: string } };
    };
    expect(await refused(edit(bob, "no such"))).toMatchObject({ value: { field: "edit_message.message_id" } });
    expect(await refused(edit(bob, said, { key: "" }))).toMatchObject({ value: { field: "edit_message.key" } });
    expect(await refused(edit(bob, said, { body: { kind: { case: "text", value: "" } } }))).toMatchObject({
      value: { code: ErrorCode.INVALID_ARGUMENT, field: "edit_message.body.text" },
    });
    const react = (emoji: string) =>
      refused(bob.ask({ case: "react", value: { roomId: "r", messageId: said, key: "k", emoji, on: true } }));
    expect(await react("")).toMatchObject({ value: { field: "react.emoji" } });
    expect(await react("x".repeat(65))).toMatchObject({ value: { code: ErrorCode.TOO_LARGE, field: "react.emoji" } });
  });

  it("does not tell what a deleted message said to who comes back for it", async () => {
    const { core, ada, bob, said } = await talk();
    await bob.ask({ case: "deleteMessage", value: { roomId: "r", messageId: said, key: "gone" } });
    await say(bob);
    const carl = await core.connect("ada", { device: { deviceId: "other" }, rooms: [{ roomId: "r", after: {} }] });
    await settle();
    expect(carl.seqs("r")).toEqual([1, 2, 3, 4]);
    const created = carl.all("roomEvents").flatMap(({ value }) => value.events)[1];
    expect(created).toMatchObject({ eventId: said, kind: { case: "messageCreated", value: { messageIndex: 1 } } });
    expect(created?.kind.case === "messageCreated" ? created.kind.value.body : "another event").toBeUndefined();
    expect(ada.seqs("r")).toEqual([2, 3, 4]);
  });
});

describe("a message that is deleted before it was stored", () => {
  it("is told without what it said", async () => {
    const { ada, bob } = await talk();
    // The id of a message follows from its key, so a client that knows its own may name it at once.
    const messageId = createHash("sha256").update("acme/r/bob/slip").digest("base64url").slice(0, 22);
    bob.send(text("r", "slip", "unwise words"));
    const ref = bob.send({ case: "deleteMessage", value: { roomId: "r", messageId, key: "gone" } });
    await settle();
    expect(bob.reply(ref).case).toBe("changed");
    const told = ada.all("roomEvents").flatMap(({ value }) => value.events);
    expect(told.slice(-2)).toMatchObject([{ eventId: messageId }, { kind: { case: "messageDeleted" } }]);
    expect(told.at(-2)?.kind.value).not.toMatchObject({ body: { kind: { value: "unwise words" } } });
  });
});

describe("forwarding a message", () => {
  it("takes over what it says and names where it is from", async () => {
    const { core, ada, said } = await talk();
    await core.room(ada, "s");
    const forward = { roomId: "r", messageId: said };
    const sent = await ada.ask({ case: "publish", value: { roomId: "s", clientMessageId: "f", forward } });
    expect(sent.case).toBe("published");
    const rpc = { case: "getHistory" as const, value: { roomId: "s" } };
    expect(await ada.ask({ case: "call", value: { rpc } })).toMatchObject({
      value: {
        rpc: {
          value: {
            messages: [{ sender: { userId: "ada" }, forwardedFrom: { ...forward, sender: { userId: "bob" } } }],
          },
        },
      },
    });
  });

  it("needs the right to read it, and no body of its own", async () => {
    const { core, ada, said } = await talk();
    const eve = await core.connect("eve");
    await core.room(eve, "hers");
    const publish = (client: TestClient, more: Of<MessageInitShape<typeof PublishSchema>>) =>
      client.ask({ case: "publish", value: { roomId: "hers", clientMessageId: `f-${++keys}`, ...more } });
    const forward = { roomId: "r", messageId: said };
    expect(await publish(eve, { forward })).toMatchObject({ value: { code: ErrorCode.NOT_A_MEMBER } });
    const body = { kind: { case: "text" as const, value: "mine" } };
    expect(await publish(ada, { forward, body })).toMatchObject({ value: { field: "publish.body" } });
    expect(await publish(ada, { forward: { roomId: "r", messageId: "none" } })).toMatchObject({
      value: { code: ErrorCode.NOT_FOUND, field: "publish.forward.message_id" },
    });
  });
});

describe("a message with a lifetime", () => {
  it("is told to be over at its end", async () => {
    const { core, ada, bob } = await talk();
    const messageId = await say(bob, { expiresAfterMs: 2_000 });
    await core.elapse(4_000);
    const last = ada
      .all("roomEvents")
      .flatMap(({ value }) => value.events)
      .at(-1);
    expect(last).toMatchObject({ kind: { case: "messageDeleted", value: { messageId, expired: true } } });
  });

  it("lives a second at least", async () => {
    const { bob } = await talk();
    const { value } = text("r", "short");
    expect(
      await bob.ask({ case: "publish", value: { ...(value as Of<typeof value>), expiresAfterMs: 999 } }),
    ).toMatchObject({
      value: { code: ErrorCode.INVALID_ARGUMENT, field: "publish.expires_after_ms" },
    });
  });
});
