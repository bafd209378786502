// Order: whatever a publish hook takes its time over, what one session says in a room is stored in the order it was said.

import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { PublishVerdict } from "../../../src/ports/publish-hook.js";
import { settle, text, useCore } from "../use-core.js";
import { ALLOW, refuse, replace, ScriptedPublishHook } from "./scripted-publish-hook.js";

const SESSIONS = ["ann", "bob"] as const;
const ROOMS = ["one", "two"] as const;

const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      does: fc.constant("says" as const),
      who: fc.constantFrom(...SESSIONS),
      where: fc.constantFrom(...ROOMS),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant("answers" as const),
      /** Which of the questions that are open. */
      which: fc.nat(),
      how: fc.constantFrom("allow" as const, "replace" as const, "refuse" as const, "fail" as const),
    }),
  },
);

test("what a session says in a room keeps its order, in whatever order and however the hook answers", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30, size: "max" }), async (steps) => {
      const hook = new ScriptedPublishHook();
      const test = await useCore({ publishHook: hook.rules() });
      const ann = await test.connect("ann");
      const clients = { ann, bob: await test.connect("bob") };
      for (const room of ROOMS) {
        await test.room(ann, room, "bob");
        await ann.ask({ case: "subscribe", value: { roomId: room } });
      }
      const open = new Set<number>();
      const refused = new Set<string>();
      let seen = 0;
      let count = 0;
      const lookAround = () => {
        for (; seen < hook.asked.length; seen++) open.add(seen);
      };
      const answer = (index: number, how: "allow" | "replace" | "refuse" | "fail") => {
        open.delete(index);
        const { key } = hook.asked[index] ?? { key: "" };
        if (how === "refuse" || how === "fail") refused.add(key);
        const verdict: { readonly [K in typeof how]: PublishVerdict | Error } = {
          allow: ALLOW,
          replace: replace("other words"),
          refuse: refuse("no"),
          fail: new Error("away"),
        };
        hook.answer(index, verdict[how]);
      };
      const sent: { readonly who: string; readonly where: string; readonly key: string }[] = [];
      for (const each of steps) {
        if (each.does === "says") {
          const key = `m${++count}`;
          sent.push({ ...each, key });
          clients[each.who].send(text(each.where, key));
        } else if (open.size > 0) answer([...open][each.which % open.size] ?? 0, each.how);
        await settle(3);
        lookAround();
        // One question of a session and room at a time.
        const waiting = [...open].map((index) => `${hook.asked[index]?.sender.userId} ${hook.asked[index]?.roomId}`);
        expect(new Set(waiting).size).toBe(waiting.length);
      }
      while (open.size > 0) {
        for (const index of open) answer(index, "allow");
        await settle(3);
        lookAround();
      }
      await settle();
      for (const where of ROOMS) {
        const stored = ann
          .all("roomEvents")
          .filter(({ value }) => value.roomId === where)
          .flatMap(({ value }) => value.events)
          .flatMap(({ kind, actor }) =>
            kind.case === "messageCreated" ? [{ who: actor?.userId, key: kind.value.clientMessageId }] : [],
          );
        for (const who of SESSIONS) {
          const wanted = sent.filter((each) => each.who === who && each.where === where && !refused.has(each.key));
          expect(stored.filter((each) => each.who === who).map(({ key }) => key)).toEqual(wanted.map(({ key }) => key));
        }
      }
    }),
    { numRuns: 60 },
  );
});
