// Events that leave for a target of their own.

import { expect, it } from "vitest";
import type { EventOutletOptions } from "../../../src/core/outlet/options.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { gate, settle, TestCore, text, useCore } from "../use-core.js";
import { holds, RecordingTarget } from "./use-sink.js";

type Differing = Partial<Omit<EventOutletOptions, "sink">>;

async function useOutlet(differing: Differing = {}, engine = new MemoryEngine(), target = new RecordingTarget()) {
  const events = [{ name: "orders", ...differing, sink: target }];
  const core = await useCore({ engine, outlets: { store: engine.outlets, events } });
  await settle();
  return { core, target, engine };
}

const MESSAGES = { kinds: new Set(["messageCreated"] as const) };
const MINUTE = 60_000;

it("hands over every event once, in the order of each room", async () => {
  const { core, target } = await useOutlet();
  const ada = await core.connect("ada");
  for (const roomId of ["r", "s"]) await core.room(ada, roomId, "bob");
  for (const words of ["one", "two", "three"]) for (const roomId of ["r", "s"]) await ada.ask(text(roomId, words));
  await settle();
  for (const roomId of ["r", "s"]) expect(target.seqs(roomId)).toEqual([1, 2, 3, 4]);
});

it("hands over what it was asked for by kind, tenant and beginning of the room's id", async () => {
  const { core, target } = await useOutlet({ ...MESSAGES, tenants: new Set(["acme"]), roomPrefix: "order-" });
  const ada = await core.connect("ada");
  const eve = await core.connect("eve", {}, { tenantId: "globex" });
  for (const roomId of ["order-1", "lobby"]) await core.room(ada, roomId);
  await core.room(eve, "order-1");
  await ada.ask(text("order-1", "wanted"));
  await ada.ask(text("lobby", "elsewhere"));
  await eve.ask(text("order-1", "foreign"));
  await settle();
  expect(target.texts).toEqual(["wanted"]);
});

it("begins with what happens after it was set up, and goes on where it was after a restart", async () => {
  const engine = new MemoryEngine();
  const before = await useCore({ engine });
  const ada = await before.connect("ada");
  await before.room(ada, "r");
  await ada.ask(text("r", "before"));
  await before.core.stop();

  const first = await useOutlet(MESSAGES, engine);
  await (await first.core.connect("ada")).ask(text("r", "first"));
  await settle();
  await first.core.core.stop();
  expect(first.target.texts).toEqual(["first"]);

  const without = await useCore({ engine });
  await (await without.connect("ada")).ask(text("r", "meanwhile"));
  await without.core.stop();

  const second = await useOutlet(MESSAGES, engine);
  await settle();
  expect(second.target.texts).toEqual(["meanwhile"]);
});

it("hands over what was said in a room that is deleted meanwhile", async () => {
  const { core, target } = await useOutlet(MESSAGES);
  const ada = await core.connect("ada");
  await core.room(ada, "r");
  const taken = gate<void>();
  target.hold = taken.promise;
  for (const words of ["one", "two", "three"]) await ada.ask(text("r", words));
  const deleteRoom = { roomId: "r", key: "delete" };
  await ada.ask({ case: "call", value: { rpc: { case: "deleteRoom", value: deleteRoom } } });
  await settle();
  taken.resolve();
  await settle();
  expect(target.texts).toEqual(["one", "two", "three"]);
});

it("sets aside a room whose events are not taken, while the others go on, and keeps its order", async () => {
  const { core, target } = await useOutlet(MESSAGES);
  const ada = await core.connect("ada");
  for (const roomId of ["sick", "well"]) await core.room(ada, roomId);
  target.refuses = (batch) => holds(batch, "sick");
  await ada.ask(text("sick", "one"));
  for (const words of ["two", "three"]) {
    await ada.ask(text("sick", words));
    await ada.ask(text("well", words));
  }
  await core.elapse(2 * MINUTE);
  expect(target.texts).toEqual(["two", "three"]);
  target.refuses = () => false;
  await core.elapse(5 * MINUTE);
  expect(target.seqs("sick")).toEqual([2, 3, 4]);
  await (await core.connect("ada", { attempt: 2 })).ask(text("sick", "four"));
  expect(target.seqs("sick")).toEqual([2, 3, 4, 5]);
});

it("does not make a sender or another outlet wait for a target that does not answer", async () => {
  const engine = new MemoryEngine();
  const [stuck, well] = [new RecordingTarget(), new RecordingTarget()];
  const answers = gate<void>();
  stuck.hold = answers.promise;
  const events = [
    { name: "stuck", ...MESSAGES, sink: stuck },
    { name: "well", ...MESSAGES, sink: well },
  ];
  const core = await useCore({ engine, outlets: { store: engine.outlets, events } });
  const ada = await core.connect("ada");
  await core.room(ada, "r");
  for (const words of ["one", "two"]) expect((await ada.ask(text("r", words))).case).toBe("published");
  expect(well.texts).toEqual(["one", "two"]);
  expect(stuck.texts).toEqual([]);
  answers.resolve();
  await settle();
  expect(stuck.texts).toEqual(["one", "two"]);
});

it("hands over again what may have been taken, under the same id", async () => {
  const { core, target } = await useOutlet(MESSAGES);
  const ada = await core.connect("ada");
  await core.room(ada, "r");
  target.losesAnswer = () => target.batches.length === 1;
  await ada.ask(text("r", "one"));
  await core.elapse(2_000);
  expect(target.texts).toEqual(["one", "one"]);
  expect(new Set(target.batches.map(({ id }) => id)).size).toBe(1);
});

it("waits longer and longer between tries", async () => {
  const { core, target } = await useOutlet(MESSAGES);
  const ada = await core.connect("ada");
  await core.room(ada, "r");
  target.refuses = () => true;
  await ada.ask(text("r", "one"));
  await core.elapse(10_000);
  const first = target.tries;
  expect(first).toBeGreaterThan(3);
  await core.elapse(10_000);
  expect(target.tries - first).toBeLessThanOrEqual(1);
});

it("goes on with a room that was set aside after a restart", async () => {
  const { core, target, engine } = await useOutlet(MESSAGES);
  const ada = await core.connect("ada");
  await core.room(ada, "r");
  target.refuses = () => true;
  for (const words of ["one", "two"]) await ada.ask(text("r", words));
  await core.core.stop();

  const again = await useOutlet(MESSAGES, engine);
  await (await again.core.connect("ada")).ask(text("r", "three"));
  await again.core.elapse(2_000);
  expect(again.target.texts).toEqual(["one", "two", "three"]);
});

it("forgets in the end that a room was set aside, though the store was away when it no longer was", async () => {
  const { core, target, engine } = await useOutlet(MESSAGES);
  const ada = await core.connect("ada");
  await core.room(ada, "r");
  target.refuses = () => true;
  await ada.ask(text("r", "one"));
  target.refuses = () => {
    engine.archiveDown = true;
    return false;
  };
  await core.elapse(3_000);
  expect(target.texts).toEqual(["one"]);
  engine.archiveDown = false;
  await core.elapse(3_000);
  expect(await engine.outlets.parked("events.orders", [0, 1, 2, 3])).toEqual([]);
  expect(target.texts).toEqual(["one"]);
});

it("gives up only the event that is not taken, after a day, and goes on behind it", async () => {
  const { core, target, engine } = await useOutlet({ ...MESSAGES, giveUpAfterMs: 10 * MINUTE });
  const buried = core.record("outlet.buried");
  const ada = await core.connect("ada");
  await core.room(ada, "r");
  const isPoison = (batch: Parameters<typeof target.refuses>[0]) =>
    batch.rooms.some(({ events }) => events.some(({ seq }) => seq === 3));
  target.refuses = isPoison;
  const hold = gate<void>();
  target.hold = hold.promise;
  for (const words of ["one", "poison", "three", "four"]) await ada.ask(text("r", words));
  hold.resolve();
  await core.elapse(30 * MINUTE);
  expect(target.texts).toEqual(["one", "three", "four"]);
  expect(buried).toMatchObject([{ outlet: "events.orders", roomId: "r" }]);
  const letters = await engine.outlets.deadLetters("events.orders", { after: "", limit: 10 });
  expect(letters).toMatchObject([{ roomId: "r", firstSeq: 3, lastSeq: 3, reason: "the target does not take it" }]);

  const [letter] = letters;
  await engine.outlets.retry("events.orders", letter?.letterId ?? "");
  await core.elapse(10_000);
  expect(await engine.outlets.deadLetters("events.orders", { after: "", limit: 10 })).toHaveLength(1);
  expect(await engine.outlets.retries("events.orders", [0, 1, 2, 3], 10)).toEqual([]);

  target.refuses = () => false;
  await engine.outlets.retry("events.orders", letter?.letterId ?? "");
  await core.elapse(10_000);
  expect(target.texts).toEqual(["one", "three", "four", "poison"]);
  expect(await engine.outlets.deadLetters("events.orders", { after: "", limit: 10 })).toEqual([]);
}, 20_000);

it("goes on with a room of which nothing was left when it was to be given up", async () => {
  const before = await useOutlet({ ...MESSAGES, giveUpAfterMs: 10 * MINUTE });
  const ada = await before.core.connect("ada");
  await before.core.room(ada, "r");
  before.target.refuses = () => true;
  await ada.ask(text("r", "gone"));
  await before.core.core.stop();

  const { core, target, engine } = await useOutlet({ ...MESSAGES, giveUpAfterMs: 1 }, before.engine);
  let purged = false;
  target.refuses = () => {
    if (!purged) void engine.archive.purge(roomRef("acme", "r"), 2);
    purged = true;
    return true;
  };
  await core.elapse(10 * MINUTE);
  expect(purged).toBe(true);
  target.refuses = () => false;
  await (await core.connect("ada")).ask(text("r", "next"));
  await core.elapse(10_000);
  expect(target.texts).toEqual(["next"]);
});

it("hands over a message that was deleted meanwhile without what it said", async () => {
  const { core, target } = await useOutlet(MESSAGES);
  const ada = await core.connect("ada");
  await core.room(ada, "r");
  target.refuses = () => true;
  const said = await ada.ask(text("r", "secret"));
  const messageId = said.case === "published" ? said.value.messageId : "";
  await ada.ask({ case: "deleteMessage", value: { roomId: "r", messageId, key: "delete" } });
  target.refuses = () => false;
  await core.elapse(2_000);
  expect(target.seqs("r")).toEqual([2]);
  expect(target.texts).toEqual([]);
});

it("costs nothing where nothing was asked for: no timer, no place in the log", async () => {
  const [without, engine] = [new TestCore({}), new MemoryEngine()];
  const clock = new StoppedClock();
  const empty = new TestCore({ engine, clock, outlets: { store: engine.outlets } });
  for (const { core } of [without, empty]) await core.start();
  expect(clock.pending).toBe(without.clock.pending);
  for (const { core } of [without, empty]) await core.stop();
});
