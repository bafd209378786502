// Whatever happens to a room, to its pages and to the connection: in the end a timeline shows what the server's history says.

import fc from "fast-check";
import { expect, it } from "vitest";
import { Client } from "../../../../bridge/client/client.js";
import type { Timeline } from "../../../../bridge/client/timeline/timeline.js";
import { jsonCodec } from "../../../../bridge/client/wire/codec.js";
import { MessageRoom } from "../support/message-room.js";
import { Page } from "../support/page.js";
import { useServer } from "../support/use-client.js";

const AN_HOUR_MS = 3_600_000;
const USERS = ["ada", "ben", "eve"];
const EMOJI = ["+1", "heart"];

const number = fc.nat({ max: 1_000 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("say" as const), number, thread: fc.boolean() }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("send" as const), number, thread: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("edit" as const, "react" as const, "pin" as const), number }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom("delete" as const, "expire" as const), number }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("older" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("cut" as const, "reset" as const, "forget" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("trim" as const, "reload" as const, "leave" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("refuse" as const), number }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("wait" as const), number }) },
);

/** What is shown of the room, but for what only the timeline has. */
function shown(timeline: Timeline) {
  return timeline.messages
    .filter(({ sending }) => sending === undefined)
    .map(({ key, sending, ...message }) => JSON.parse(JSON.stringify(message)));
}

it("shows in the end what the server's history says", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 60 }),
      fc.record({
        before: fc.nat({ max: 30 }),
        max: fc.integer({ min: 5, max: 40 }),
        limit: fc.integer({ min: 1, max: 12 }),
      }),
      fc.array(fc.nat({ max: 40 }), { minLength: 1, maxLength: 20 }),
      async (steps, { before, max, limit }, delays) => {
        const { world, server, run } = useServer();
        let turn = 0;
        server.takesMs = () => delays[turn++ % delays.length] ?? 0;
        const room = new MessageRoom(server, "tea");
        for (let index = 0; index < before; index++) room.say("ben", { body: { text: `old ${index}` } });
        const refusals: boolean[] = [];
        server.refuse = (kind) => {
          const retryable = kind === "publish" || kind === "getHistory" ? refusals.shift() : undefined;
          if (retryable === undefined) return undefined;
          if (kind === "getHistory" || retryable) return { code: "ERROR_CODE_UNAVAILABLE", retryable: true };
          return { code: "ERROR_CODE_PERMISSION_DENIED" };
        };
        const client = new Client(
          { url: "http://one", token: () => server.issue(AN_HOUR_MS) },
          { codec: jsonCodec, platform: new Page(server.network) },
        );
        const handle = client.room("tea");
        const timeline = handle.timeline({ limit, max });
        const paging: Promise<unknown>[] = [];
        let told = timeline.snapshot;
        timeline.onChange((snapshot) => {
          told = snapshot;
          const keys = snapshot.messages.map(({ key }) => key);
          expect(new Set(keys).size).toBe(keys.length);
          const indexes = snapshot.messages.flatMap(({ messageIndex, sending }) =>
            sending ? [] : (messageIndex ?? 0),
          );
          expect(indexes).toEqual(indexes.toSorted((a, b) => a - b));
        });
        const sendings: ReturnType<typeof handle.send>[] = [];
        for (const what of steps) {
          const picked = "number" in what ? room.pick(what.number) : undefined;
          const { messageId, version = 1, reactions = [], pinned = false } = picked ?? {};
          if (what.kind === "say" || what.kind === "send") {
            const root = what.thread && picked?.threadRoot === undefined ? messageId : undefined;
            const created = { replyTo: root, threadRoot: root };
            const text = `${what.kind} ${what.number}`;
            if (what.kind === "say") room.say("ben", { body: { text }, metadata: { a: [1] }, ...created });
            else sendings.push(handle.send(text, created));
          } else if (what.kind === "wait") await run(what.number / 10);
          else if (what.kind === "older") paging.push(timeline.older().catch(() => {}));
          else if (what.kind === "cut") server.network.cut();
          else if (what.kind === "reset") for (const session of server.sessions) session.reset("tea");
          else if (what.kind === "forget") {
            server.room("tea").forget(2);
            server.network.cut();
          } else if (what.kind === "trim") timeline.trim();
          else if (what.kind === "reload") timeline.reload();
          else if (what.kind === "leave") {
            handle.close();
            await run(what.kind.length);
            handle.open();
          } else if (what.kind === "refuse") refusals.push(what.number % 2 === 0);
          else if (messageId === undefined) continue;
          else if (what.kind === "edit") {
            room.do("ben", {
              messageEdited: { messageId, body: { text: `edit ${what.number}` }, version: version + 1 },
            });
          } else if (what.kind === "pin") room.do("eve", { messagePinned: { messageId, pinned: !pinned } });
          else if (what.kind === "react") {
            const user = USERS[what.number % USERS.length] ?? "";
            const emoji = EMOJI[what.number % EMOJI.length] ?? "";
            const on = !reactions.some((each) => each.emoji === emoji && each.userIds?.includes(user));
            room.do(user, { reactionSet: { messageId, emoji, on } });
          } else {
            const expired = what.kind === "expire";
            room.do("ben", { messageDeleted: { messageId, version: version + 1, expired } });
          }
        }
        refusals.length = 0;
        await run(120_000);
        await Promise.all(paging);
        const held = shown(timeline);
        const all = room.messages;
        expect(timeline.loading).toBe(false);
        expect(held).toEqual(held.length === 0 ? [] : all.slice(-held.length));
        if (timeline.atStart) expect(held).toHaveLength(all.length);
        while (!timeline.atStart) {
          const older = timeline.older();
          await run(1_000);
          await older;
        }
        expect(shown(timeline)).toEqual(all);
        // What was sent is there, or refused and at the end.
        const failed = sendings.filter(({ state }) => state === "failed");
        expect(sendings.filter(({ state }) => state !== "stored")).toEqual(failed);
        expect(timeline.messages.flatMap(({ sending }) => sending ?? [])).toEqual(failed);
        await run(100);
        expect(told.messages).toEqual(timeline.messages);
        expect(server.violations).toEqual([]);
        timeline.close();
        client.close();
        await world.run(60_000);
      },
    ),
    { numRuns: 300 },
  );
}, 120_000);
