// Whatever happens to connections, pages and the server: what is sent is stored once and in order, or whoever sent it is told.

import fc from "fast-check";
import { expect, it } from "vitest";
import type { Error as WireError } from "../../../../bridge/client/gen/types.js";
import type { Sending } from "../../../../bridge/client/outbox/sending.js";
import { usePages } from "./use-pages.js";

const ROOMS = ["tea", "cake", "milk"];

const REFUSALS: readonly WireError[] = [
  { code: "ERROR_CODE_UNAVAILABLE", retryable: true },
  { code: "ERROR_CODE_UNAVAILABLE", retryable: true, retryAfterMs: 700 },
  { code: "ERROR_CODE_RATE_LIMITED", retryable: true, retryAfterMs: 300, details: { bucket: "session.publish" } },
  { code: "ERROR_CODE_RATE_LIMITED", retryable: true, retryAfterMs: 900, details: { bucket: "room.slow_mode" } },
];

const number = fc.nat({ max: 1_000 });
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("send" as const), number, bad: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("wait" as const), number }) },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constantFrom("cut" as const, "silence" as const, "lose" as const), number }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("refuse" as const), number }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constantFrom("reload" as const, "tab" as const, "open" as const), number }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom("retry" as const, "discard" as const), number }) },
);

it("stores what is sent once and in order, and settles every sending", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(step, { maxLength: 50 }),
      fc.array(fc.option(fc.nat({ max: 40 }), { freq: 30 }), { minLength: 1, maxLength: 20 }),
      fc.nat({ max: 20 }),
      async (steps, delays, storageDelayMs) => {
        const { server, storage, room, run, open } = usePages(ROOMS);
        storage.delayMs = storageDelayMs;
        let turn = 0;
        let calm = false;
        server.takesMs = (kind) => (calm || kind !== "publish" ? 1 : (delays[turn++ % delays.length] ?? undefined));
        const refusals: WireError[] = [];
        server.refuse = (kind) => (kind === "publish" ? refusals.shift() : undefined);
        let lose = 0;
        const { answers } = server;
        server.answers = (frame) => {
          const answering = answers(frame);
          if (answering?.kind !== "publish") return answering;
          const answer = (): ReturnType<typeof answering.answer> => {
            if (frame.publish?.body?.text === "bad") return { error: { code: "ERROR_CODE_INVALID_ARGUMENT" } };
            const result = answering.answer();
            if (lose > 0) {
              lose--;
              server.network.cut();
            }
            return result;
          };
          return { ...answering, answer };
        };
        let page = open();
        const pages = [page];
        let alone = true;
        const sent: { readonly sending: Sending; readonly page: number; readonly bad: boolean; touched: boolean }[] =
          [];
        for (const what of steps) {
          const { number } = what;
          const chosen = sent[number % Math.max(sent.length, 1)];
          if (what.kind === "send") {
            const sending = page.client
              .room(ROOMS[number % ROOMS.length] ?? "")
              .send(what.bad ? "bad" : `${sent.length}`);
            sent.push({ sending, page: pages.indexOf(page), bad: what.bad, touched: false });
          } else if (what.kind === "wait") await run(number);
          else if (what.kind === "cut") server.network.cut();
          else if (what.kind === "silence") server.network.silence();
          else if (what.kind === "lose") lose++;
          else if (what.kind === "refuse") refusals.push(REFUSALS[number % REFUSALS.length] ?? {});
          else if (what.kind === "open") page.client.room(ROOMS[number % ROOMS.length] ?? "").open();
          else if (what.kind === "retry") {
            if (chosen?.sending.state === "failed") Object.assign(chosen, { touched: true });
            chosen?.sending.retry();
          } else if (what.kind === "discard") {
            if (chosen !== undefined) chosen.touched = true;
            chosen?.sending.discard();
          } else {
            if (what.kind === "reload") for (const each of pages) each.client.close();
            else alone = false;
            page = open();
            pages.push(page);
          }
        }
        calm = true;
        lose = 0;
        refusals.length = 0;
        // What was told to nobody, and pages that are gone, are seen to by the page that is opened last.
        await run(300_000);
        for (const each of pages) each.client.close();
        page = open();
        await run(300_000);
        for (const id of ROOMS) {
          const keys = room(id).messages.map(({ clientMessageId }) => clientMessageId);
          const ofRoom = sent.filter(({ sending }) => sending.roomId === id);
          const good = ofRoom.filter(({ bad, touched }) => !bad && !touched);
          const orders = alone ? [good] : pages.map((_, index) => good.filter((each) => each.page === index));
          for (const order of orders) {
            const wanted = order.map(({ sending }) => sending.key);
            expect(keys.filter((key) => wanted.includes(key ?? ""))).toEqual(wanted);
          }
          for (const { bad, sending } of ofRoom) if (bad) expect(keys).not.toContain(sending.key);
          // Two tabs may send the same one at once: then the first attempt may come after the second.
          const resent = alone ? [...room(id).attempts.values()].flatMap((attempts) => attempts.slice(1)) : [];
          expect(resent.filter((attempt) => attempt < 2)).toEqual([]);
          // What has failed for good is there to be seen to.
          expect(page.client.room(id).pending.every(({ state }) => state === "failed")).toBe(true);
        }
        for (const { state } of sent
          .filter((each) => pages[each.page] === pages.at(-1))
          .map(({ sending }) => sending)) {
          expect(["stored", "failed"]).toContain(state);
        }
        for (const { failure } of await settledLoad(run, storage))
          expect(failure?.code).toBe("ERROR_CODE_INVALID_ARGUMENT");
        expect(server.violations).toEqual([]);
        expect(pages.flatMap(({ storageErrors }) => storageErrors)).toEqual([]);
        page.client.close();
        await run(100);
        for (const each of [...pages, { page: page.page }]) expect(each.page.timers).toBe(0);
      },
    ),
    { numRuns: 300 },
  );
}, 120_000);

async function settledLoad(run: (ms: number) => Promise<void>, storage: ReturnType<typeof usePages>["storage"]) {
  const loading = storage.load(" ada");
  await run(100);
  return await loading;
}
