// Subscribing again to a room that the session is subscribed to.

import { expect, it } from "vitest";
import { ErrorCode } from "../../../src/ports/error.js";
import { settle, text, useCore } from "../use-core.js";

const LOBBY = "lobby";

async function useTwo() {
  const core = await useCore();
  const anna = await core.connect("anna");
  await core.room(anna, LOBBY, "bert");
  const bert = await core.connect("bert");
  expect(await bert.ask({ case: "subscribe", value: { roomId: LOBBY } })).toMatchObject({ case: "subscribed" });
  return { core, anna, bert };
}

it("moves the subscription: events come once from there, and once when they are new", async () => {
  const { anna, bert } = await useTwo();
  await anna.ask(text(LOBBY, "m2"));
  await settle();
  expect(bert.seqs(LOBBY)).toEqual([2]);
  await bert.ask({ case: "subscribe", value: { roomId: LOBBY, after: { seq: 0, tag: 0 } } });
  await anna.ask(text(LOBBY, "m3"));
  await settle();
  expect(bert.seqs(LOBBY)).toEqual([2, 1, 2, 3]);
});

it("leaves the subscription as it was where it is refused", async () => {
  const { core, anna, bert } = await useTwo();
  core.engine.archiveDown = true;
  const refusal = await bert.ask({ case: "subscribe", value: { roomId: LOBBY, after: { seq: 0, tag: 0 } } });
  expect(refusal).toMatchObject({ case: "error", value: { code: ErrorCode.UNAVAILABLE, retryable: true } });
  core.engine.archiveDown = false;
  await anna.ask(text(LOBBY, "m2"));
  await settle();
  expect(bert.seqs(LOBBY)).toEqual([2]);
});

it("counts a room that is moved once against the limit", async () => {
  const core = await useCore({ limits: { maxRoomsPerSession: 1 } });
  const anna = await core.connect("anna");
  for (const roomId of [LOBBY, "other"]) await core.room(anna, roomId);
  for (const roomId of [LOBBY, LOBBY]) {
    expect(await anna.ask({ case: "subscribe", value: { roomId } })).toMatchObject({ case: "subscribed" });
  }
  expect(await anna.ask({ case: "subscribe", value: { roomId: "other" } })).toMatchObject({
    value: { code: ErrorCode.LIMIT_EXCEEDED },
  });
});
