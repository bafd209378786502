// Whatever happens in a room and to its server: it is archived when it has been idle for its time, within a round, and never sooner.

import fc from "fast-check";
import { expect, it } from "vitest";
import { RoomStatus } from "../../../src/gen/trunkline/v1/message_pb.js";
import { roomRef } from "../../../src/ports/room-ref.js";
import { MemoryEngine } from "../../support/memory-engine.js";
import { StoppedClock } from "../../support/stopped-clock.js";
import { settle, type TestClient, TestCore, text } from "../use-core.js";

const NEVER = 0xffff_ffff;
const STEP_MS = 250;
/** The poller's interval, and what it takes to come round in steps. */
const ROUND_MS = 5_000 + STEP_MS;
const ROOM = "lobby";
const UNDER = "lobby~corner";

type Action =
  | { readonly is: "wait"; readonly ms: number }
  | { readonly is: "publish" | "publishUnder" | "restart" | "wake" | "archive" }
  | { readonly is: "setTime"; readonly seconds: number };

const seconds = fc.constantFrom(0, 60, 90, 240, NEVER);
const actions: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      is: fc.constant("wait" as const),
      ms: fc.integer({ min: 1, max: 320 }).map((n) => n * STEP_MS),
    }),
  },
  { weight: 4, arbitrary: fc.record({ is: fc.constantFrom("publish", "publishUnder", "restart", "wake", "archive") }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constant("setTime" as const), seconds }) },
);

/** One room in one store, with what should have become of it. */
class World {
  readonly #clock = new StoppedClock();
  readonly #engine: MemoryEngine;
  readonly #defaultMs: number;
  #core: TestCore;
  #ada: TestClient | undefined;
  #keys = 0;
  #activeAtMs = 0;
  #seconds: number;
  #active = true;
  /** By the system, as it should be. */
  #archived = 0;

  constructor(answersLater: boolean, defaultMs: number, seconds: number) {
    this.#engine = new MemoryEngine({ answersLater });
    this.#defaultMs = defaultMs;
    this.#seconds = seconds;
    this.#clock.advance(1_790_000_000_000);
    this.#core = this.#begin();
  }

  async start(): Promise<void> {
    await this.#connect();
    const settings = { archiveAfterS: this.#seconds };
    await this.#call({ case: "createRoom", value: { roomId: ROOM, key: "make", settings } });
    await this.#call({ case: "createRoom", value: { roomId: UNDER, parentId: ROOM, key: "under" } });
    this.#activeAtMs = this.#clock.now();
  }

  async act(action: Action): Promise<void> {
    switch (action.is) {
      case "wait":
        return await this.#wait(action.ms);
      case "publish":
      case "publishUnder":
        return await this.#publish(action.is === "publish" ? ROOM : UNDER);
      case "restart":
        this.#engine.crash();
        this.#core = this.#begin();
        return await this.#connect();
      case "wake":
      case "archive":
        return await this.#update({ status: action.is === "wake" ? RoomStatus.ACTIVE : RoomStatus.ARCHIVED });
      case "setTime":
        return await this.#update({ settings: { archiveAfterS: action.seconds } });
    }
  }

  stop(): Promise<void> {
    return this.#core.core.stop();
  }

  #begin(): TestCore {
    const limits = { pingIntervalMs: NEVER, archiveAfterMs: this.#defaultMs };
    return new TestCore({ engine: this.#engine, clock: this.#clock, limits });
  }

  async #connect(): Promise<void> {
    await this.#core.core.start();
    this.#ada = await this.#core.connect("ada");
  }

  async #wait(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= STEP_MS) {
      this.#clock.advance(STEP_MS);
      await settle(8);
      await this.#compare();
    }
  }

  async #publish(roomId: string): Promise<void> {
    const answer = await this.#tell(text(roomId, `m${this.#keys++}`));
    await this.#compare();
    expect(answer.case).toBe(this.#active ? "published" : "error");
    if (this.#active) this.#activeAtMs = this.#clock.now();
  }

  async #update(value: { status?: RoomStatus; settings?: { archiveAfterS: number } }): Promise<void> {
    await this.#call({ case: "updateRoom", value: { roomId: ROOM, key: `u${this.#keys++}`, ...value } });
    await this.#compare();
    this.#activeAtMs = this.#clock.now();
    this.#seconds = value.settings?.archiveAfterS ?? this.#seconds;
    if (value.status !== undefined) this.#active = value.status === RoomStatus.ACTIVE;
  }

  async #call(rpc: Rpc): Promise<void> {
    const answer = await this.#tell({ case: "call", value: { rpc } });
    expect(answer.case).toBe("callResult");
  }

  #tell(frame: Parameters<TestClient["ask"]>[0]) {
    if (this.#ada === undefined) throw new Error("nobody is connected");
    return this.#ada.ask(frame);
  }

  /** Takes note of an archiving by the system, and fails where there is one too soon, too late, or too many. */
  async #compare(): Promise<void> {
    const range = { from: 1, to: NEVER, limit: 10_000, maxBytes: 1 << 30 };
    const events = await this.#engine.archive.events(roomRef("acme", ROOM), range);
    const count = events.filter(
      ({ event: { kind, actor } }) => kind.case === "roomUpdated" && actor === undefined,
    ).length;
    const idleMs = this.#clock.now() - this.#activeAtMs;
    const timeMs = this.#timeMs();
    if (count > this.#archived) {
      expect({ count, active: this.#active }).toEqual({ count: this.#archived + 1, active: true });
      expect(idleMs).toBeGreaterThanOrEqual(timeMs);
      this.#archived = count;
      this.#active = false;
    } else if (this.#active) expect(idleMs).toBeLessThanOrEqual(timeMs + 2 * ROUND_MS);
  }

  #timeMs(): number {
    if (this.#seconds === NEVER) return Number.POSITIVE_INFINITY;
    if (this.#seconds > 0) return this.#seconds * 1_000;
    return this.#defaultMs > 0 ? this.#defaultMs : Number.POSITIVE_INFINITY;
  }
}

type Frame = Extract<Parameters<TestClient["ask"]>[0], { case: "call" }>["value"];
type Rpc = NonNullable<Exclude<Frame["rpc"], undefined>>;

it("archives a room when it has been idle for its time, whatever comes between", async () => {
  const scenario = fc.record({
    answersLater: fc.boolean(),
    defaultMs: fc.constantFrom(0, 60_000, 150_000),
    seconds,
    steps: fc.array(actions, { minLength: 5, maxLength: 25 }),
  });
  await fc.assert(
    fc.asyncProperty(scenario, async ({ answersLater, defaultMs, seconds, steps }) => {
      const world = new World(answersLater, defaultMs, seconds);
      await world.start();
      for (const step of steps) await world.act(step);
      await world.act({ is: "wait", ms: 100 * STEP_MS });
      await world.stop();
    }),
    { numRuns: 40 },
  );
});
