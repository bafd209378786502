// A last event whose announcement was lost: nothing comes after it that would show the hole.

import { expect, it } from "vitest";
import type { Fanout } from "../../../src/ports/fanout.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { useCore } from "../use-core.js";

it("reaches subscribers within seconds all the same, and a quiet room costs nothing", async () => {
  const test = await useCore();
  const ada = await test.connect("ada");
  await test.room(ada, "lobby", "bob");
  const bob = await test.connect("bob");
  await bob.ask({ case: "subscribe", value: { roomId: "lobby" } });
  await test.elapse(10_000);
  const quiet = test.clock.pending;
  test.engine.lostAnnouncements = 1;
  const body = { kind: { case: "text", value: "are you there?" } } as const;
  await ada.ask({ case: "publish", value: { roomId: "lobby", clientMessageId: "m1", body } });
  expect(bob.all("roomEvents")).toEqual([]);
  await test.elapse(2_000);
  const events = bob.all("roomEvents").flatMap(({ value }) => value.events);
  expect(events.map(({ kind }) => kind.case)).toEqual(["messageCreated"]);
  await test.elapse(10_000);
  expect(bob.all("roomEvents").flatMap(({ value }) => value.events)).toHaveLength(1);
  expect(test.clock.pending).toBe(quiet);
});

/** Its announcements are lost, and what is said again is not taken, while `mute`. */
class MuteEngine extends MemoryEngine {
  mute = false;

  override get fanout(): Fanout {
    const inner = super.fanout;
    return {
      lossy: true,
      announce: (room, events) => {
        if (!this.mute) inner.announce(room, events);
      },
      signal: (room, frame) => inner.signal(room, frame),
      top: async (room, seq) => !this.mute && inner.top(room, seq),
      subscribe: (...asked) => inner.subscribe(...asked),
    };
  }
}

it("reaches them once its owner can be heard again, however long that takes", async () => {
  const engine = new MuteEngine();
  const test = await useCore({ engine });
  const ada = await test.connect("ada");
  await test.room(ada, "lobby", "bob");
  const bob = await test.connect("bob");
  await bob.ask({ case: "subscribe", value: { roomId: "lobby" } });
  await test.elapse(10_000);
  const quiet = test.clock.pending;
  engine.mute = true;
  const body = { kind: { case: "text", value: "are you there?" } } as const;
  await ada.ask({ case: "publish", value: { roomId: "lobby", clientMessageId: "m1", body } });
  await test.elapse(12_000);
  expect(bob.all("roomEvents")).toEqual([]);
  engine.mute = false;
  await test.elapse(2_000);
  const events = bob.all("roomEvents").flatMap(({ value }) => value.events);
  expect(events.map(({ kind }) => kind.case)).toEqual(["messageCreated"]);
  await test.elapse(10_000);
  expect(test.clock.pending).toBe(quiet);
});

it("reaches them where it was stored without an answer, too", async () => {
  const test = await useCore();
  const ada = await test.connect("ada");
  await test.room(ada, "lobby", "bob");
  const bob = await test.connect("bob");
  await bob.ask({ case: "subscribe", value: { roomId: "lobby" } });
  await test.elapse(10_000);
  test.engine.faultNextAppend({ kind: "lose-answer" });
  // It is announced once the log was opened again.
  test.engine.lostAnnouncements = 1;
  const body = { kind: { case: "text", value: "are you there?" } } as const;
  const answer = await ada.ask({ case: "publish", value: { roomId: "lobby", clientMessageId: "m1", body } });
  expect(answer.case).toBe("error");
  await test.elapse(10_000);
  const events = bob.all("roomEvents").flatMap(({ value }) => value.events);
  expect(events.map(({ kind }) => kind.case)).toEqual(["messageCreated"]);
});
