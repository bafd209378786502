// Whatever several devices do, those who watch a room believe of each of them what is so, from the next tick on.

import fc from "fast-check";
import { expect, it } from "vitest";
import { settle, type TestClient, TestCore, text } from "../use-core.js";
import { TICK_MS, typing } from "./use-signals.js";

/** Two devices of one user, and one each of two others. */
const DEVICES = ["ann/phone", "ann/desk", "ben/desk", "cid/desk"] as const;
const TYPING_MS = 5_000;

type Device = (typeof DEVICES)[number];
type Step =
  | { readonly is: "start" | "stop" | "cut" | "say"; readonly device: Device }
  | { readonly is: "wait"; readonly ms: number };

const device = fc.constantFrom(...DEVICES);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: device.map((of) => ({ is: "start", device: of }) as const) },
  { weight: 3, arbitrary: device.map((of) => ({ is: "stop", device: of }) as const) },
  { weight: 1, arbitrary: device.map((of) => ({ is: "cut", device: of }) as const) },
  { weight: 2, arbitrary: device.map((of) => ({ is: "say", device: of }) as const) },
  { weight: 4, arbitrary: fc.integer({ min: 1, max: 3_000 }).map((ms) => ({ is: "wait", ms }) as const) },
);
/** What happens between two ticks. */
const turns = fc.array(fc.array(step, { maxLength: 5 }), { maxLength: 12 });

/** The room, and until when each device types. */
class Scene {
  readonly core = new TestCore({});
  readonly #clients = new Map<Device, TestClient>();
  readonly #until = new Map<Device, number>();
  #said = 0;
  #attempt = 1;

  async open(): Promise<TestClient> {
    await this.core.core.start();
    const watcher = await this.core.connect("eve");
    await this.core.room(watcher, "r", "ann", "ben", "cid");
    await watcher.ask({ case: "subscribe", value: { roomId: "r" } });
    return watcher;
  }

  async does(what: Step): Promise<void> {
    switch (what.is) {
      case "wait":
        // What was asked for before is judged before.
        await settle();
        this.core.clock.advance(what.ms);
        return;
      case "start":
        (await this.#client(what.device)).post(typing("r", true));
        this.#until.set(what.device, this.core.clock.monotonic() + TYPING_MS);
        return;
      case "stop":
        (await this.#client(what.device)).post(typing("r", false));
        this.#until.delete(what.device);
        return;
      case "cut":
        (await this.#client(what.device)).connection.gone(false);
        this.#clients.delete(what.device);
        this.#until.delete(what.device);
        return;
      case "say": {
        const user = userOf(what.device);
        const others = DEVICES.filter((each) => each !== what.device && userOf(each) === user);
        // Between frames of different connections there is no order, unless one was carried out before the other came.
        if (others.some((each) => this.#until.has(each))) await settle();
        await (await this.#client(what.device)).ask(text("r", `m${++this.#said}`));
        for (const other of DEVICES) if (userOf(other) === user) this.#until.delete(other);
        return;
      }
    }
  }

  get typing(): Device[] {
    const nowMs = this.core.clock.monotonic();
    return DEVICES.filter((each) => (this.#until.get(each) ?? 0) > nowMs);
  }

  async #client(of: Device): Promise<TestClient> {
    const known = this.#clients.get(of);
    if (known !== undefined && known.endedWith === undefined) return known;
    const [userId = "", deviceId = ""] = of.split("/");
    const fresh = await this.core.connect(userId, { device: { deviceId }, attempt: ++this.#attempt });
    this.#clients.set(of, fresh);
    return fresh;
  }
}

function userOf(of: Device): string {
  return of.split("/")[0] ?? "";
}

/** What somebody believes who was told all of this, in order. */
function believed(watcher: TestClient): string[] {
  const typists = new Set<string>();
  for (const { value } of watcher.all("signals")) {
    for (const { sender, kind } of value.signals) {
      const of = `${sender?.userId}/${sender?.deviceId}`;
      if (kind.case === "typing" && kind.value) typists.add(of);
      else typists.delete(of);
    }
  }
  return DEVICES.filter((each) => typists.has(each));
}

it("what subscribers believe equals what is so, within a tick of whatever happened", async () => {
  await fc.assert(
    fc.asyncProperty(turns, async (happening) => {
      const scene = new Scene();
      try {
        const watcher = await scene.open();
        for (const steps of happening) {
          for (const each of steps) {
            await scene.does(each);
            // Whether what was asked for has been judged when the next thing happens must not matter, save that it came first.
            if (each.is !== "start") await settle(4);
          }
          await settle();
          scene.core.clock.advance(TICK_MS);
          await settle();
          expect(believed(watcher)).toEqual(scene.typing);
          watcher.post({ case: "ping", value: { id: 1 } });
        }
      } finally {
        await scene.core.core.stop();
      }
      expect(scene.core.clock.pending).toBe(0);
    }),
    { numRuns: 60 },
  );
});

it("no frame tells two states of one device, and each told state is the one of its tick", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(device, fc.boolean()), { maxLength: 40 }), async (asked) => {
      const scene = new Scene();
      try {
        const watcher = await scene.open();
        for (const [of, on] of asked) await scene.does({ is: on ? "start" : "stop", device: of });
        await settle();
        const before = watcher.all("signals").length;
        scene.core.clock.advance(TICK_MS);
        await settle();
        const frames = watcher.all("signals").slice(before);
        expect(frames.length).toBeLessThanOrEqual(1);
        const told = frames.flatMap(({ value }) =>
          value.signals.map(({ sender }) => `${sender?.userId}/${sender?.deviceId}`),
        );
        expect(new Set(told).size).toBe(told.length);
        expect(believed(watcher)).toEqual(scene.typing);
      } finally {
        await scene.core.core.stop();
      }
    }),
    { numRuns: 40 },
  );
});
